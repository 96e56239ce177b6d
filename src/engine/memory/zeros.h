/*
 * zeros.h - memory that reads as zero, for calloc.
 *
 * Fresh memory is zero as it is, and costs nothing until it is used. Used memory is cleared in place if it is small or
 * its last user touched most of it; otherwise its pages are purged, so a large, sparsely used table costs little.
 * To decide, one word in each of at most 16 pages is read. A page that begins with a zero counts as untouched.
 *
 * A page that a program first reads and later writes faults twice, and with several threads the second fault interrupts
 * the other processors. So if a program uses all of its blocks of a size, some are handed out with their pages present.
 * calloc learns this from blocks of that size that it left untouched, when they are freed. If nothing is freed, it
 * learns nothing, and blocks stay untouched.
 */
#ifndef MEMS_ENGINE_ZEROS_H
#define MEMS_ENGINE_ZEROS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Blocks of 2^ZEROS_SHIFT bytes or more are classed by the doublings of their size. Those of ZEROS_SPARSE_MIN or
 * more are always left untouched. */
#define ZEROS_SHIFT 15u
#define ZEROS_SPARSE_SHIFT 20u
#define ZEROS_SPARSE_MIN ((size_t)1 << ZEROS_SPARSE_SHIFT)
#define ZEROS_SIZES (ZEROS_SPARSE_SHIFT - ZEROS_SHIFT)

/* A heap's record of the program's habits, for each doubling of the size. */
struct zeros {
    struct {
        uint32_t streak; /* blocks in a row that were used, up to the number that makes a habit */
        uint32_t credit; /* bytes that will still be made present before a block is left untouched again */
    } sizes[ZEROS_SIZES];
};

/* What a block's memory holds when it is handed over. */
enum zeros_memory {
    ZEROS_USED,   /* what its last user left */
    ZEROS_PURGED, /* purged: zero, except for stray writes since */
    ZEROS_FRESH   /* never used */
};

/* Makes a large or huge block of `bytes` bytes, a multiple of OS_PAGE, zero. `zeros` is the heap's, NULL for a thread
 * without one. True if the block was left untouched and zeros_learn can learn from it. */
bool zeros_make(struct zeros *zeros, void *block, size_t bytes, enum zeros_memory memory);

/* Call this when such a block is freed, in the heap's thread. Reads a word in each of at most 16 pages. */
void zeros_learn(struct zeros *zeros, const void *block, size_t bytes);

#endif
