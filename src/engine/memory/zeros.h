/*
 * zeros.h - memory that reads as zero, for calloc.
 *
 * Fresh memory already reads as zero, and costs nothing until used. Used memory is cleared in place if it is small, or
 * if its last user touched most of it; otherwise its pages are purged, so a large, sparsely used table costs little.
 * One word in each of at most 16 pages decides; a page that begins with a zero counts as untouched.
 *
 * A page that a program first reads and then writes faults twice, and with several threads the second fault interrupts
 * the other processors. So if a program uses all of its blocks of a size, some are handed out with their pages present.
 * calloc learns that from blocks that it left untouched: when they are freed; and each thread watches one live block,
 * at which it looks when it allocates the next one of the size. Other threads do not look, because they may have
 * interrupted the block's user before it filled the block. The kernel reads live blocks, because the program may have
 * closed their pages, or be writing to them.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Blocks of 2^ZEROS_SHIFT bytes and more are classed by doublings; from ZEROS_SPARSE_MIN on they stay untouched. */
#define ZEROS_SHIFT 15u
#define ZEROS_SPARSE_SHIFT 20u
#define ZEROS_SPARSE_MIN ((size_t)1 << ZEROS_SPARSE_SHIFT)
#define ZEROS_SIZES (ZEROS_SPARSE_SHIFT - ZEROS_SHIFT)

/* Whether the program uses its blocks of one doubling. All relaxed: at worst a block is not counted. */
struct zeros_habit {
    _Atomic uint32_t streak; /* blocks in a row that were used, up to STEADY */
    _Atomic uint32_t credit; /* bytes to make present before a block is left untouched again */
};

/* A live block that a thread has left untouched and is watching, one for each doubling. Only the thread uses it. */
struct zeros_watch {
    uintptr_t live; /* address | pages; 0: none */
    uint32_t looks; /* how many more times it is looked at */
};

/* The contents of a block's memory when zeros_make gets it. */
enum zeros_memory {
    ZEROS_USED,   /* what its last user left */
    ZEROS_PURGED, /* purged: zero, except for stray writes since */
    ZEROS_FRESH   /* never used */
};

/* Makes a large or huge block of `bytes` bytes, in whole pages, read as zero. True if zeros_learn may learn from it.
 * `watches`: the thread's, one for each doubling; NULL if it has no heap. */
bool zeros_make(void *block, size_t bytes, enum zeros_memory memory, struct zeros_watch *watches);

/* Call this when such a block is freed. Reads a word in each of at most 16 pages. */
void zeros_learn(const void *block, size_t bytes, struct zeros_watch *watches);
