/*
 * zeros.h - memory that reads as zero, for calloc.
 *
 * Fresh memory is zero as it is, and costs nothing until it is used. But a page that a program reads first and writes
 * later, as it does with a table of zeros, faults twice, and where there are several threads the second fault
 * interrupts the other processors. So if a program uses all of what it is given, it is better given it present. Whether
 * it does is seen in what it made of an earlier block: each block that is left untouched is looked at when the next one
 * is wanted.
 */
#ifndef MEMS_ENGINE_ZEROS_H
#define MEMS_ENGINE_ZEROS_H

#include <stdbool.h>
#include <stddef.h>

/* What a heap knows of its program's habits. */
struct zeros {
    void *watched; /* the last block that was left untouched; it may have been freed since */
    size_t bytes;
    unsigned credit; /* so many blocks are still to be made present, before one is watched again */
};

/* Makes a block of `bytes` bytes zero; `fresh`: it is, and its pages have not been touched. `zeros` is the heap's,
 * NULL for a thread without one. Returns the block. */
void *zeros_make(struct zeros *zeros, void *block, size_t bytes, bool fresh);

#endif
