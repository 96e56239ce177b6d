/* leaks.h - for the files of `mems leaks`: the capture, and the blocks that cannot be reached in it. */
#pragma once

#include "check/capture.h"
#include "leaks/blocks.h"
#include "leaks/hint.h"
#include "leaks/leaked.h"
#include "leaks/roots.h"
#include "leaks/rules.h"
#include "samples/origin.h"
#include "verbs.h"
#include "walk/session.h"

struct leaks {
    struct session *session;
    struct capture capture;
    struct blocks blocks;
    struct roots roots;
    struct rules rules;
    struct hints hints;
    struct origins origins;
    uint64_t guard;      /* glibc's, for mangled pointers; 0: not known */
    uint64_t *unreached; /* by number: no root leads to the block, and no rule suppresses it */
    struct leaked leaked;
    uint64_t suppressed_count, suppressed_bytes;
};

/* Captures the target and finds its leaks. `is_stopped` as in capture.h. */
void leaks_find(struct leaks *leaks, struct session *session, const struct arguments *arguments, bool is_stopped);
void leaks_free(struct leaks *leaks);

/* To a stream, or as JSON. */
void leaks_print(struct leaks *leaks, FILE *output);
json_t *leaks_json(struct leaks *leaks);

/* Prints how an address is reached; returns the exit status. */
int leaks_why(struct leaks *leaks, uint64_t address, bool as_json);
