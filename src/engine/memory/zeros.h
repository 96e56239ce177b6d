/*
 * zeros.h - memory that reads as zero, for calloc.
 *
 * Fresh memory is zero as it is, and costs nothing until it is used. Used memory is cleared in place if it is small or
 * its last user touched most of it; otherwise its pages are purged, so a large, sparsely used table costs little. One
 * word in each of at most 16 pages decides; a page that begins with a zero counts as untouched.
 *
 * A page that a program first reads and later writes faults twice, and with several threads the second fault interrupts
 * the other processors; so if a program uses all of its blocks of a size, some are handed out with their pages present.
 * calloc learns this from blocks that it left untouched: when they are freed, or, for one at a time in each thread,
 * when that thread allocates the next block of the size and all of that one is in use. Other threads do not look: they
 * may have interrupted the block's user before it filled the block. The kernel reads live blocks, because the program
 * may have closed their pages, or be writing to them.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From 2^ZEROS_SHIFT bytes on, blocks are classed by doublings; from ZEROS_SPARSE_MIN on, they stay untouched. */
#define ZEROS_SHIFT 15u
#define ZEROS_SPARSE_SHIFT 20u
#define ZEROS_SPARSE_MIN ((size_t)1 << ZEROS_SPARSE_SHIFT)
#define ZEROS_SIZES (ZEROS_SPARSE_SHIFT - ZEROS_SHIFT)

/* The program's habits, for each doubling of the size. All relaxed: at worst a block is not counted. */
struct zeros_habit {
    _Atomic uint32_t streak; /* blocks in a row that were used, up to the number that makes a habit */
    _Atomic uint32_t credit; /* bytes that will still be made present before a block is left untouched again */
};

/* A block of one doubling that a thread has left untouched, until it has told. Used only by the thread. */
struct zeros_watch {
    uintptr_t live; /* address | pages; 0: none */
    uint32_t looks; /* how often it may still be looked at */
};

/* What a block's memory holds when it is handed over. */
enum zeros_memory {
    ZEROS_USED,   /* what its last user left */
    ZEROS_PURGED, /* purged: zero, except for stray writes since */
    ZEROS_FRESH   /* never used */
};

/* Makes a large or huge block of `bytes` bytes, in whole pages, zero. True if zeros_learn may learn from it. `watches`:
 * the thread's, one for each doubling; NULL if it has no heap. */
bool zeros_make(void *block, size_t bytes, enum zeros_memory memory, struct zeros_watch *watches);

/* Call this when such a block is freed. Reads a word in each of at most 16 pages. */
void zeros_learn(const void *block, size_t bytes, struct zeros_watch *watches);
