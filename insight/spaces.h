/*
 * spaces.h - the MeMS heap in the target: its spaces, their main and sub-chains, segment by segment.
 */
#ifndef MEMS_INSIGHT_SPACES_H
#define MEMS_INSIGHT_SPACES_H

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"
#include "target.h"

struct account;

/* A segment, with the main node that it lies in. Virtual addresses, first and last; physical 0: no memory. */
struct space_segment {
    unsigned space; /* 0: the default one */
    uint64_t main_start, main_last;
    bool begins_main;
    bool is_process;
    uint64_t start, last;
    uint64_t physical;
};

/* Shows every segment to `visit`, until that returns false. NULL, or what is wrong: a chain that is torn. */
const char *spaces_walk(struct target *target, struct layout *layout,
                        bool (*visit)(const struct space_segment *segment, void *context), void *context);

/* The rows of account.h that are of the MeMS heap. */
void spaces_count(struct account *account, struct layouts *layouts);

#endif
