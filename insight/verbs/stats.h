/* stats.h - `mems stats` as plain data, which `mems serve` takes each second and makes JSON of only if a page asks. */
#pragma once

#include "account/account.h"
#include "walk/engine_heaps.h"
#include "walk/session.h"

struct stats {
    struct account account; /* without its target and `left` */
    bool finds_engine;      /* an engine's root */
    bool has_engine;        /* it could be read */
    unsigned class_count;
    uint64_t sizes[CLASSES_MAX], refills[CLASSES_MAX], flushes[CLASSES_MAX]; /* by class */
    uint64_t now_s;                                                          /* on the clock of slabs' birth */
    size_t heap_count;
    size_t target_size; /* with its '\0' */
    const struct engine_heap *heaps;
    const char *target; /* JSON, as session_json makes it */
};

/* To standard output, for stats_parse. The session's mappings have been read with their numbers. *target is NULL or the
 * JSON text of an earlier time, which does not change. Returns an exit status. */
int stats_write(struct session *session, char **target);

/* Parses what stats_write wrote, in place, so *text must stay and be aligned for any type. NULL: it is something
 * else. */
struct stats *stats_parse(char *text, size_t size);

/* With why each row is there, and when it goes; without `pinned`, which takes symbols. */
json_t *stats_json(const struct stats *stats);
