/*
 * zeros.h - memory that reads as zero, for calloc.
 *
 * Fresh memory is zero as it is, and costs nothing until it is used. What has been used before is cleared in place if
 * its last user touched most of it; otherwise its pages are given back, so that a table of which the program uses
 * little costs little. The evidence is in the block itself: one word in each of at most 16 pages. A page that begins
 * with a zero counts as untouched.
 *
 * A page that a program reads first and writes later, as it does with a table of zeros, faults twice, and where there
 * are several threads the second fault interrupts the other processors. So where a program uses all of what it is given
 * of a size, some blocks are given to it present. Whether it does is learned from blocks of that size that were left
 * untouched, when they are freed. Where nothing is freed nothing is learned, and blocks stay untouched.
 */
#ifndef MEMS_ENGINE_ZEROS_H
#define MEMS_ENGINE_ZEROS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Blocks from 2^ZEROS_SHIFT bytes on are told apart by the doublings of their size. Those from ZEROS_SPARSE_MIN on are
 * always left untouched. */
#define ZEROS_SHIFT 15u
#define ZEROS_SPARSE_SHIFT 20u
#define ZEROS_SPARSE_MIN ((size_t)1 << ZEROS_SPARSE_SHIFT)
#define ZEROS_SIZES (ZEROS_SPARSE_SHIFT - ZEROS_SHIFT)

/* What a heap knows of its program's habits, for each doubling of the size. */
struct zeros {
    struct {
        uint32_t streak; /* blocks in a row that were used, up to the number that makes a habit */
        uint32_t credit; /* bytes that will still be made present, before a block is left untouched again */
    } sizes[ZEROS_SIZES];
};

/* What a block's memory is when it comes. */
enum zeros_memory {
    ZEROS_USED,       /* holds what its last user left */
    ZEROS_GIVEN_BACK, /* was given back to the system: zero, but for what was written after that by mistake */
    ZEROS_FRESH       /* was never used */
};

/* Makes a large or huge block of `bytes` bytes, a multiple of OS_PAGE, zero. `zeros` is the heap's, NULL for a thread
 * without one. True when the block has been left untouched and can teach (zeros_learn). */
bool zeros_make(struct zeros *zeros, void *block, size_t bytes, enum zeros_memory memory);

/* To be called when such a block is freed, by the heap's thread. Reads a word in each of at most 16 pages. */
void zeros_learn(struct zeros *zeros, const void *block, size_t bytes);

#endif
