/* spaces.h - the MeMS heap in the target, segment by segment. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "target/target.h"
#include "walk/layout.h"

enum space_kind { SPACE_HOLE, SPACE_PROCESS, SPACE_DOOMED };

/* "HOLE", "PROCESS", "doomed PROCESS": freed while its bytes are copied. */
extern const char *const space_kind_names[];

/* With its main node. Virtual addresses, first and last; physical 0: no memory. */
struct space_segment {
    unsigned space;         /* 0: the default one */
    uint64_t space_address; /* of the structure */
    uint64_t node;          /* address of its sub node */
    bool movable;           /* in a movable space each PROCESS has its bytes anywhere, HOLEs have no memory */
    uint64_t main_start, main_last;
    bool begins_main;
    enum space_kind kind;
    uint64_t start, last;
    uint64_t physical;
    uint64_t handle;                    /* of its first byte, as the user has it, or the last one had */
    unsigned address_bits, number_bits; /* of a handle */
};

/* Visits every segment, until `visit` returns false. NULL, or what is wrong: a torn chain. */
const char *spaces_walk(struct target *target, struct layout *layout,
                        bool (*visit)(const struct space_segment *segment, void *context), void *context);

/* A lock of the MeMS heap that a thread holds, by name; or NULL. */
const char *spaces_held(struct target *target, struct layout *layout);

/* Whether a handle leads to the segment (or did while a HOLE's last block lived); and whether it may be an earlier
 * block's, which differs only in the generation. */
bool segment_holds(const struct space_segment *segment, uint64_t handle);
bool segment_held(const struct space_segment *segment, uint64_t handle);

/* The uses of the MeMS heap's memory. */
enum space_area { AREA_LIVE, AREA_HOLE, AREA_NODES };

/* Visits all memory of the MeMS heap. NULL, or what is wrong: then some is left out. */
const char *spaces_areas(struct target *target, struct layout *layout,
                         void (*visit)(enum space_area area, uint64_t start, uint64_t end, void *context),
                         void *context);
