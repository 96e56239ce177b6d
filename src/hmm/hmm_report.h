/* hmm_report.h - fault reports: what an address is, and what damaged a block. These functions do not return. They walk
 * over the blocks, as far as headers allow, under the heap's lock, and release it before they report, so the program's
 * handler may allocate. */
#pragma once

#include "base/compiler.h"
#include "block.h"

struct HmmHeap;

#if HMM_REPORTS

/* To the handler or to standard error. state may be NULL. */
COLD _Noreturn void hmm_report_fault(struct HmmHeap *heap, const char *operation, const void *address,
                                     const char *problem, const char *state);

/* `payload` is not a block that a user holds. freed: the problem to report if it is a free block. */
COLD _Noreturn void hmm_report_pointer(struct HmmHeap *heap, const char *operation, void *payload, const char *freed);

/* The size or alignment is not the one that the user gave. */
COLD _Noreturn void hmm_report_size(struct HmmHeap *heap, const char *operation, struct block *block, size_t size,
                                    size_t alignment);

/* The header of the block behind is damaged. */
COLD _Noreturn void hmm_report_next(struct HmmHeap *heap, struct block *block, struct block *next);

/* The free block before is damaged. */
COLD _Noreturn void hmm_report_previous(struct HmmHeap *heap, struct block *block);

/* The header at the end of the region that grows is damaged. */
COLD _Noreturn void hmm_report_end(struct HmmHeap *heap);

/* A listed block, or a neighbour in the list, is damaged. */
COLD _Noreturn void hmm_report_free_block(struct HmmHeap *heap, struct block *block);

/* A block of a quick list is damaged. */
COLD _Noreturn void hmm_report_cached_block(struct HmmHeap *heap, const char *operation, struct block *block);

#else

/* Names only the operation. */
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
