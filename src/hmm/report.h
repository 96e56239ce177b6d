/*
 * report.h - the fault reports of a heap: what an address is, and who has damaged what.
 *
 * None of these return. They look for the words by a walk over the blocks, as far as the headers allow, with the heap's
 * lock held; the lock is given back before anything is told, so that a handler of the program's may allocate.
 */
#ifndef MEMS_HMM_REPORT_H
#define MEMS_HMM_REPORT_H

#include "base/compiler.h"
#include "block.h"

struct HmmHeap;

#if HMM_REPORTS

/* Tells the handler, or standard error, and ends the program. state: NULL leaves it out. */
COLD _Noreturn void hmm_report_fault(struct HmmHeap *heap, const char *operation, const void *address,
                                     const char *problem, const char *state);

/* `payload` is no block that a user holds. freed: what is told of a block that was given back already. */
COLD _Noreturn void hmm_report_pointer(struct HmmHeap *heap, const char *operation, void *payload, const char *freed);

/* The block has another size than its user says, or another alignment. */
COLD _Noreturn void hmm_report_size(struct HmmHeap *heap, const char *operation, struct block *block, size_t size,
                                    size_t alignment);

/* The header of the block behind `block` is not as the heap wrote it. */
COLD _Noreturn void hmm_report_next(struct HmmHeap *heap, struct block *block, struct block *next);

/* The free block before `block` is not as the heap wrote it. */
COLD _Noreturn void hmm_report_previous(struct HmmHeap *heap, struct block *block);

/* The header at the end of the region that grows is not as the heap wrote it. */
COLD _Noreturn void hmm_report_end(struct HmmHeap *heap);

/* A block of the free list is not as the heap wrote it, or its neighbours in the list are not. */
COLD _Noreturn void hmm_report_free_block(struct HmmHeap *heap, struct block *block);

/* The same of a block of a quick list. */
COLD _Noreturn void hmm_report_cached_block(struct HmmHeap *heap, const char *operation, struct block *block);

#else

/* Tells the handler the operation, and ends the program. */
COLD _Noreturn void hmm_report_short(struct HmmHeap *heap, const char *operation);

#define hmm_report_fault(heap, operation, address, problem, state) hmm_report_short(heap, operation)
#define hmm_report_pointer(heap, operation, payload, freed) ((void)(freed), hmm_report_short(heap, operation))
#define hmm_report_size(heap, operation, block, size, alignment) hmm_report_short(heap, operation)
#define hmm_report_next(heap, block, next) ((void)(block), hmm_report_short(heap, (heap)->operation))
#define hmm_report_previous(heap, block) ((void)(block), hmm_report_short(heap, (heap)->operation))
#define hmm_report_end(heap) hmm_report_short(heap, (heap)->operation)
#define hmm_report_free_block(heap, block) ((void)(block), hmm_report_short(heap, (heap)->operation))
#define hmm_report_cached_block(heap, operation, block) ((void)(block), hmm_report_short(heap, operation))

#endif

#endif
