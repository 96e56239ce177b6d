/* profile.h - sites, each a stack (and perhaps a thread or a class), with an estimate. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "samples/calls.h"
#include "samples/samples.h"
#include "verbs.h"

struct site {
    const struct call_stack *stack; /* NULL: not known */
    uint64_t group;                 /* thread or class; 0: not grouped */
    struct estimate value;          /* what the rows are ordered by */
    struct estimate allocated;      /* everything that the stack allocated; for lifetimes and exports */
    struct estimate freed;
    double lives[LIVES]; /* of freed blocks, and */
    double ages[LIVES];  /* living ones by age */
};

struct profile {
    struct session *session;
    struct samples samples;
    struct calls calls;
    enum profile_kind kind;
    enum profile_group group;
    struct site *sites; /* the largest first */
    size_t count;
    struct estimate total;
    size_t most; /* rows to be shown; 0: all */
};

/* The name of a kind: "live", "peak", ... */
const char *profile_kind_name(enum profile_kind kind);

/* `beside`: also fills in `allocated`, and includes stacks without a value. */
void profile_take(struct profile *profile, struct session *session, enum profile_kind kind, enum profile_group group,
                  bool beside);
void profile_free(struct profile *profile);

/* NULL: there are no groups. The caller frees it. */
char *profile_group_name(struct profile *profile, const struct site *site);

/* The smallest mean interval of the samples, in bytes. */
uint64_t profile_interval(const struct profile *profile);

/* Without the heap's own frames, for JSON. */
json_t *profile_stack_json(struct calls *calls, const struct call_stack *stack);

/* Writes it to standard output. */
void profile_flat(struct profile *profile);
void profile_tree(struct profile *profile, bool inverted);
void profile_lifetimes(struct profile *profile);
void profile_collapsed(struct profile *profile);
void profile_json(struct profile *profile);
void profile_heap_v2(struct profile *profile);
void profile_pprof(struct profile *profile);
void profile_html(struct profile *profile);
void profile_speedscope(struct profile *profile);
void profile_flame_json(struct profile *profile); /* of that page (flame.h) */
