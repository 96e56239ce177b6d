/*
 * zeros.h - memory that reads as zero, for calloc.
 *
 * Fresh memory is zero as it is, and costs nothing until it is used. But a page that a program reads first and writes
 * later, as it does with a table of zeros, faults twice, and where there are several threads the second fault
 * interrupts the other processors. So if a program uses all of what it is given, it is better given it present. Whether
 * it does is learned from blocks that were left untouched, when they are freed: a word of some pages is read, and pages
 * that hold something have been used. Where nothing is freed nothing is learned, and blocks stay untouched.
 */
#ifndef MEMS_ENGINE_ZEROS_H
#define MEMS_ENGINE_ZEROS_H

#include <stdbool.h>
#include <stddef.h>

/* What a heap knows of its program's habits. */
struct zeros {
    unsigned credit; /* blocks that will still be made present, before one is left untouched again */
};

/* Makes a block of `bytes` bytes zero; `fresh`: it is, and its pages have not been touched. `zeros` is the heap's,
 * NULL for a thread without one. True when the block has been left untouched and can teach (zeros_learn). */
bool zeros_make(struct zeros *zeros, void *block, size_t bytes, bool fresh);

/* To be called when such a block is freed, by the heap's thread. Reads a word in each of at most 16 pages. */
void zeros_learn(struct zeros *zeros, const void *block, size_t bytes);

#endif
