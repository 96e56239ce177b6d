/* leak_groups.h - groups of similar leaks: of one size, with the same symbol, or with some text; sampled ones also by
 * call site. */
#pragma once

#include "leaks/leaks.h"

/* Addresses kept per group; text shows fewer. */
#define GROUP_ADDRESSES 64u

struct leak_group {
    enum block_kind kind;
    uint64_t size;    /* of each */
    struct hint hint; /* of the first one: texts may differ */
    uint64_t count, bytes;
    uint64_t below_count, below_bytes;
    uint64_t cycles;
    const struct call_stack *stack;  /* of their allocation; NULL: they were not sampled */
    const struct call_stack *likely; /* otherwise that of most sampled leaks that look the same, or NULL */
    uint64_t youngest_s, oldest_s;   /* births of sampled blocks, or of others' slabs; 0: unknown */
    uint64_t addresses[GROUP_ADDRESSES];
};

struct leak_groups {
    struct leak_group *groups; /* those with the most bytes, including what is below them, first */
    size_t count;
};

void leak_groups_make(struct leak_groups *groups, struct leaks *leaks);
void leak_groups_free(struct leak_groups *groups);
