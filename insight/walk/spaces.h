/*
 * spaces.h - the MeMS heap in the target: its spaces, their main and sub-chains, segment by segment.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "target/target.h"
#include "walk/layout.h"

enum space_kind { SPACE_HOLE, SPACE_PROCESS, SPACE_DOOMED };

/* "HOLE", "PROCESS", "doomed PROCESS": freed while its bytes are copied. */
extern const char *const space_kind_names[];

/* A segment, with the main node that it lies in. Virtual addresses, first and last; physical 0: no memory. */
struct space_segment {
    unsigned space;         /* 0: the default one */
    uint64_t space_address; /* of the structure */
    uint64_t node;          /* address of its sub node */
    bool movable;           /* so is its space: each PROCESS has its bytes anywhere, HOLEs have no memory */
    uint64_t main_start, main_last;
    bool begins_main;
    enum space_kind kind;
    uint64_t start, last;
    uint64_t physical;
    uint64_t handle;                    /* of its first byte, as its user has it, or the last user had it */
    unsigned address_bits, number_bits; /* of a handle */
};

/* Shows every segment to `visit`, until that returns false. NULL, or what is wrong: a chain that is torn. */
const char *spaces_walk(struct target *target, struct layout *layout,
                        bool (*visit)(const struct space_segment *segment, void *context), void *context);

/* The name of a lock of the MeMS heap that a thread holds; NULL: none. */
const char *spaces_held(struct target *target, struct layout *layout);

/* Whether an address, as a handle, leads to the segment (or did while a HOLE's last block lived); and whether it may be
 * a handle of an earlier block, which differs only in the generation. */
bool segment_holds(const struct space_segment *segment, uint64_t handle);
bool segment_held(const struct space_segment *segment, uint64_t handle);

/* The uses of the MeMS heap's memory. */
enum space_area { AREA_LIVE, AREA_HOLE, AREA_NODES };

/* Shows all memory of the MeMS heap to `visit`. NULL, or what is wrong: then some is left out. */
const char *spaces_areas(struct target *target, struct layout *layout,
                         void (*visit)(enum space_area area, uint64_t start, uint64_t end, void *context),
                         void *context);
