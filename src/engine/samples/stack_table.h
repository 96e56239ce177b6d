/* stack_table.h - the distinct stacks of samples, with sums over their samples. Stacks are never freed, so pointers to
 * them need no lock. Those beyond a bound count as one without frames. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/tables/metadata.h"

#define STACK_DEPTH 64u

/* As many as fit into a page with the rest of the table. */
#define STACK_BUCKETS 440u

/* With more stacks than this, the table gets an index. A stack is cold memory, so most heads have none or one: there
 * are more than twice as many as stacks, up to STACK_PARTS parts of METADATA_MAX bytes. */
#define STACK_FEW 128u
#define STACK_HEADS_FIRST 512u
#define STACK_PARTS 32u
#define STACK_PART_HEADS (METADATA_MAX / sizeof(struct stack *))

/* Memory that all stacks together may take. */
#define STACKS_MAX ((size_t)64 << 20)

/* Beside the numbers of size classes: what else a stack's blocks are. */
enum stack_class { STACK_FREES = 253, STACK_LARGE, STACK_HUGE };

/* Lifetimes are counted by powers of 4: less than 1 ms, 4 ms, 16 ms, ... and those from 4^(STACK_LIVES - 2) ms on. */
#define STACK_LIVES 16u

/* A stack as walked, the innermost frame first. */
struct stack_frames {
    uintptr_t frames[STACK_DEPTH];
    unsigned depth;
    bool cut;
    struct stack_frames *next; /* among unused ones */
};

/* Sums of estimates: a sample that was taken with probability p stands for w = 1 / p blocks. The variance of a sum of
 * w * x is the sum of w * (w - 1) * x * x. All under samples.lock. */
struct stack_sums {
    uint64_t samples;
    double blocks; /* sum of w */
    double bytes;  /* sum of w * size */
    double blocks_variance;
    double bytes_variance;
};

/* `next`, `depth`, `cut`, `size_class` and the frames never change. */
struct stack {
    struct stack *next;    /* of the same bucket */
    struct stack *indexed; /* the next one with the same head in the index */
    uint32_t hash;
    uint16_t depth;
    bool cut;           /* the outermost frame was not reached */
    uint8_t size_class; /* of the blocks that it allocates, or an enum stack_class */
    struct stack_sums allocated;
    struct stack_sums freed;
    double lives[STACK_LIVES]; /* of the freed ones, in blocks, by lifetime */
    uintptr_t frames[];
};

/* Each stack is in a bucket, where readers find all of them. Under samples.lock. */
struct stack_table {
    struct stack *buckets[STACK_BUCKETS];
    struct stack **index[STACK_PARTS]; /* STACK_PART_HEADS heads each; NULL: not made */
    uint32_t heads;                    /* in use, a power of two; 0: there is no index */
    size_t count;
    size_t bytes;
    uint64_t beyond;    /* stacks for which there was no room, */
    struct stack other; /* and the one that stands for them, whatever their class */
};

extern struct stack_table stack_table;

/* The stack with these frames and this class; NULL frames: there was no room for them. Under samples.lock. */
struct stack *stack_intern(const struct stack_frames *frames, uint8_t size_class);

/* Adds a sample of `size` bytes that was taken with probability `share`. */
void stack_sums_add(struct stack_sums *sums, uint64_t size, double share);

/* The same for a freed sample that lived this long. */
void stack_count_freed(struct stack *stack, uint64_t size, double share, uint64_t lived_ms);
