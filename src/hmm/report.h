/*
 * report.h - the fault reports of the heap: what an address is, and who may have damaged what.
 *
 * None of these return. They look for the words by a walk over the blocks, as far as the headers allow.
 */
#ifndef MEMS_HMM_REPORT_H
#define MEMS_HMM_REPORT_H

#include "base/compiler.h"
#include "block.h"

/* Tells the handler, or standard error, and ends the program. state: NULL leaves it out. */
COLD _Noreturn void hmm_report_fault(const char *operation, const void *address, const char *problem,
                                     const char *state);

/* `payload` is no block that a user holds. freed: what is told of a block that was given back already. */
COLD _Noreturn void hmm_report_pointer(const char *operation, void *payload, const char *freed);

/* The block has another size than its user says, or another alignment. */
COLD _Noreturn void hmm_report_size(const char *operation, struct block *block, size_t size, size_t alignment);

/* The header of the block behind `block` is not as the heap wrote it. */
COLD _Noreturn void hmm_report_next(struct block *block, struct block *next);

/* The free block before `block` is not as the heap wrote it. */
COLD _Noreturn void hmm_report_previous(struct block *block);

/* A block of the free list is not as the heap wrote it, or its neighbours in the list are not. */
COLD _Noreturn void hmm_report_free_block(struct block *block);

/* The same of a block of a quick list, or of the link that led to it. */
COLD _Noreturn void hmm_report_cached_block(const char *operation, struct block *block);

#endif
