/*
 * hmm.h - the public interface of HMM, the Heap Memory Manager: dynamic memory from one contiguous region whose end is
 * the program break.
 *
 * The break is the process's own (sbrk), or a simulated one that moves inside a buffer: on a device without an
 * operating system, where the core compiles freestanding, or in a program that wants its heap at a place of its own
 * choice. In libhmm.so, malloc and its kin stand on this heap, too. All functions may be called from any thread and in
 * a forked child (freestanding: from one thread at a time), but not in a signal handler or an interrupt that may have
 * interrupted the heap.
 *
 * A pointer that is no live block of this heap, a block freed twice, and a block whose header or whose neighbour's
 * header has been overwritten are faults: one line that says what is wrong, on standard error, then abort(), before
 * anything is reused. Where a line of documentation says "this project", the behaviour is defined here and nowhere
 * else.
 */
#ifndef HMM_H
#define HMM_H

#include <stddef.h>
#include <stdint.h>

#if __STDC_HOSTED__
#include <stdio.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*
 * HmmAlloc - a block of at least `size` bytes, aligned to 16.
 *
 * size: bytes; 0 gives a block of its own that holds nothing. Returns the block, its contents undefined; NULL when the
 * break cannot be moved far enough (or none of the free blocks that a bounded search sees fits) or size is above
 * PTRDIFF_MAX, with errno ENOMEM. Takes constant time but for the system's own. Origin: this project; as malloc of C.
 */
void *HmmAlloc(size_t size);

/*
 * HmmFree - gives a block back. ptr: from HmmAlloc, HmmCalloc, HmmRealloc or HmmAlignedAlloc; NULL is nothing. Anything
 * else is a fault. errno is unchanged. Constant time. Origin: this project; as free of C.
 */
void HmmFree(void *ptr);

/* HmmCalloc - as HmmAlloc for count * size bytes, all zero; NULL with errno ENOMEM also where the product overflows. */
void *HmmCalloc(size_t count, size_t size);

/*
 * HmmRealloc - changes the size of a block, in place where the memory behind it is free, otherwise by moving it.
 *
 * ptr: a block, or NULL, which is HmmAlloc(size). size: 0 frees the block and returns NULL, as glibc's realloc does.
 * Returns the block, whose first min(old, new) bytes are as they were; NULL with errno ENOMEM, and the old block is
 * untouched. A ptr that is no block is a fault. Origin: this project; as realloc of C.
 */
void *HmmRealloc(void *ptr, size_t size);

/*
 * HmmAlignedAlloc - as HmmAlloc, aligned to `alignment`: any power of two. Another alignment is an error: NULL with
 * errno EINVAL. Origin: this project; as aligned_alloc of C, for any size.
 */
void *HmmAlignedAlloc(size_t alignment, size_t size);

/* HmmUsableSize - how many bytes of the block may be written, at least what was asked for; 0 for NULL. */
size_t HmmUsableSize(void *ptr);

/*
 * HmmTrim - lowers the break to the end of the last used block, at once, and returns by how many bytes. errno is
 * unchanged.
 * Origin: this project; as malloc_trim(0) of glibc.
 */
size_t HmmTrim(void);

/*
 * HmmUseBuffer - puts the heap into a buffer of the caller's: the break is simulated, and moves within it.
 *
 * buffer: memory that stays the heap's for good; size: its bytes, all that the heap will ever have. Before the first
 * allocation only. Returns 0; EINVAL for NULL or a size that has no room for a single block; EBUSY when the heap is in
 * use. Origin: this project.
 */
int HmmUseBuffer(void *buffer, size_t size);

/*
 * The state of the heap. The rows add up: used + cached + free + overhead = region; numbers count blocks, sizes are in
 * bytes, headers included in the overhead.
 */
struct HmmStats {
    size_t region;        /* bytes between the heap's start and the break, in all regions */
    size_t peak;          /* the most that region has ever been */
    size_t used;          /* bytes in blocks that the user holds */
    size_t cached;        /* bytes in freed blocks that wait on a quick list */
    size_t free;          /* bytes in blocks of the free list */
    size_t overhead;      /* bytes of headers, and of what separates regions */
    size_t used_blocks;   /* number */
    size_t cached_blocks; /* number */
    size_t free_blocks;   /* number */
    size_t largest_free;  /* bytes of the largest free block */
    size_t regions;       /* number: more than one where somebody else has moved the break */
    uint64_t break_moves; /* number of times the break was moved, up or down */
    uint64_t failures;    /* number of allocations that failed */
};

/* HmmStats - fills in *stats. Takes a walk over the heap's blocks: O(number of blocks). Never fails. */
void HmmStats(struct HmmStats *stats);

/* What HmmWalk tells of a block. */
enum HmmState { HMM_USED, HMM_CACHED, HMM_FREE };

struct HmmBlock {
    void *ptr;   /* where the user's bytes are, or would be */
    size_t size; /* bytes of it, without the header */
    enum HmmState state;
};

/*
 * HmmWalk - calls visit(block, context) for every block in order of address, until it returns something other than 0.
 *
 * Returns what visit returned last, 0 for an empty heap. The heap is locked meanwhile: a visit that calls a function of
 * the heap (malloc included, under libhmm.so) is a fault.
 */
int HmmWalk(int (*visit)(const struct HmmBlock *block, void *context), void *context);

/*
 * HmmSetFaultHandler - has faults told to handler(line), `line` without a newline, instead of standard error; NULL: as
 * at the start. Returns the handler before. After it returns the program aborts all the same (freestanding: traps); a
 * device's handler may reset the device instead of returning. The handler must not use the heap.
 */
typedef void (*HmmFaultHandler)(const char *line);
HmmFaultHandler HmmSetFaultHandler(HmmFaultHandler handler);

#if __STDC_HOSTED__
/*
 * HmmPrintFreelist - prints the free list to a stream, a line for each bin that is not empty, with the addresses and
 * sizes of its blocks. stream: NULL is standard output. It may allocate (stdio does), and shows the list as it is then.
 */
void HmmPrintFreelist(FILE *stream);
#endif

#ifdef __cplusplus
}
#endif

#endif
