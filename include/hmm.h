/*
 * hmm.h - the public interface of HMM, the Heap Memory Manager: dynamic memory from one contiguous region whose end is
 * the program break.
 *
 * The break is the process's own (sbrk), or a simulated one that moves inside a buffer: on a device without an
 * operating system, where the core compiles freestanding, or in a program that wants its heap at a place of its own
 * choice. In libhmm.so, malloc and its kin stand on this heap, too. Besides, there can be any number of heaps in memory
 * of the program's (HmmHeapCreate): each function has a second form that names one.
 *
 * All functions may be called from any thread and in a forked child (freestanding: from one thread at a time, or with a
 * lock in struct HmmHooks), but not in a signal handler or an interrupt that may have interrupted the heap.
 *
 * A pointer that is no live block of this heap, a block freed twice, and a block whose header or whose neighbour's
 * header has been overwritten are faults: one line that says what is wrong, on standard error, then abort(), before
 * anything is reused. No lock is held then, so a handler of SIGABRT may allocate. Where a line of documentation says
 * "this project", the behaviour is defined here and nowhere else.
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
 * A heap that the program has made. The functions that take one do what those without do for the heap of the process,
 * and return the same.
 */
struct HmmHeap;

/*
 * HmmAlloc - a block of at least `size` bytes, aligned to two words: 16 bytes, or 8 where a pointer has 4.
 *
 * size: bytes; 0 gives a block of its own that holds nothing. Returns the block, its contents undefined; NULL when the
 * break cannot be moved far enough (or none of the free blocks that a bounded search sees fits) or size is above
 * PTRDIFF_MAX, with errno ENOMEM. Takes constant time but for the system's own. Origin: this project; as malloc of C.
 */
void *HmmAlloc(size_t size);
void *HmmHeapAlloc(struct HmmHeap *heap, size_t size);

/*
 * HmmFree - gives a block back. ptr: from HmmAlloc, HmmCalloc, HmmRealloc or HmmAlignedAlloc; NULL is nothing. Anything
 * else is a fault. errno is unchanged. Constant time. Origin: this project; as free of C.
 */
void HmmFree(void *ptr);
void HmmHeapFree(struct HmmHeap *heap, void *ptr);

/* HmmCalloc - as HmmAlloc for count * size bytes, all zero; NULL with errno ENOMEM also where the product overflows. */
void *HmmCalloc(size_t count, size_t size);
void *HmmHeapCalloc(struct HmmHeap *heap, size_t count, size_t size);

/*
 * HmmRealloc - changes the size of a block, in place where the memory behind it is free, otherwise by moving it.
 *
 * ptr: a block, or NULL, which is HmmAlloc(size). size: 0 frees the block and returns NULL, as glibc's realloc does.
 * Returns the block, whose first min(old, new) bytes are as they were; NULL with errno ENOMEM, and the old block is
 * untouched. A ptr that is no block is a fault. Origin: this project; as realloc of C.
 */
void *HmmRealloc(void *ptr, size_t size);
void *HmmHeapRealloc(struct HmmHeap *heap, void *ptr, size_t size);

/*
 * HmmAlignedAlloc - as HmmAlloc, aligned to `alignment`: any power of two. Another alignment is an error: NULL with
 * errno EINVAL. Origin: this project; as aligned_alloc of C, for any size.
 */
void *HmmAlignedAlloc(size_t alignment, size_t size);
void *HmmHeapAlignedAlloc(struct HmmHeap *heap, size_t alignment, size_t size);

/* HmmUsableSize - how many bytes of the block may be written, at least what was asked for; 0 for NULL. */
size_t HmmUsableSize(void *ptr);
size_t HmmHeapUsableSize(struct HmmHeap *heap, void *ptr);

/*
 * HmmTrim - lowers the break to the end of the last used block, at once, and gives the system all whole pages inside
 * free blocks (not in a buffer). Returns how many bytes that was, whether they had been in use or not; errno is
 * unchanged. Takes time for each cached block, and for each free one of a page or more. Origin: this
 * project; as malloc_trim(0) of glibc.
 */
size_t HmmTrim(void);
size_t HmmHeapTrim(struct HmmHeap *heap);

/*
 * HmmUseBuffer - puts the heap into a buffer of the caller's: the break is simulated, and moves within it.
 *
 * buffer: memory that stays the heap's for good; size: its bytes, all that the heap will ever have. Before the first
 * allocation only. Returns 0; EINVAL for NULL or a size that has no room for a single block; EBUSY when the heap is in
 * use. Origin: this project.
 */
int HmmUseBuffer(void *buffer, size_t size);

/*
 * HmmAddRegion - gives the heap further memory, anywhere: the other memories of a device, for example. What is
 * allocated comes from any of them.
 *
 * memory: stays the heap's for good; size: its bytes. At any time. Returns 0; EINVAL for NULL, for a size that has no
 * room for a block or is beyond what a block's header can tell (1 TiB; where a pointer has 4 bytes, 1 MiB or what
 * HMM_SIZE_BITS makes of it), and for memory that overlaps the heap's; ENOMEM when the heap has as many regions as it
 * can (HMM_REGIONS). Origin: this project.
 */
int HmmAddRegion(void *memory, size_t size);
int HmmHeapAddRegion(struct HmmHeap *heap, void *memory, size_t size);

/*
 * What a heap asks of its surroundings. Each may be NULL: no lock of its own, and random numbers as the system has them
 * (freestanding: none).
 */
struct HmmHooks {
    void (*lock)(void *context); /* both or neither; around each call, and not recursive */
    void (*unlock)(void *context);
    uint64_t (*entropy)(void *context); /* a random number, for the checksums: the first heap of all asks once */
    void *context;
};

/* HmmSetHooks - the hooks of the process's heap. Before the first allocation; EBUSY later, EINVAL for a lock without an
 * unlock; 0. Origin: this project. */
int HmmSetHooks(const struct HmmHooks *hooks);

/*
 * HmmHeapCreate - makes a heap in memory of the caller's, which it never leaves unless HmmHeapAddRegion gives it more.
 *
 * memory: stays the heap's until the program puts it to another use: there is nothing to destroy. Its first 1 to 7 KiB
 * hold what the heap knows beside its blocks. size: its bytes. hooks: NULL for none, otherwise copied. Returns the
 * heap; NULL with errno EINVAL for NULL, a size without room for that and a block or too large for a region, and hooks
 * as HmmSetHooks refuses them. Heaps without a lock of their own share the process's. Origin: this project.
 */
struct HmmHeap *HmmHeapCreate(void *memory, size_t size, const struct HmmHooks *hooks);

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
    size_t largest_free; /* bytes of the largest free block; or up to a 16th less, of more than 64 of about that size */
    size_t most;         /* the most bytes ever that were neither free nor beyond the break; cached blocks count */
    size_t least_free;   /* what was left then of all that the heap has now: in a buffer, the least free ever */
    size_t regions;      /* number: more than one where the break could not go on, or memory was added */
    uint64_t break_moves; /* number of times the break was moved, up or down */
    uint64_t failures;    /* number of allocations that failed */
};

/* HmmStats - fills in *stats, from counters: in constant time. Never fails. */
void HmmStats(struct HmmStats *stats);
void HmmHeapStats(struct HmmHeap *heap, struct HmmStats *stats);

/* What HmmWalk tells of a block. */
enum HmmState { HMM_USED, HMM_CACHED, HMM_FREE };

struct HmmBlock {
    void *ptr;   /* where the user's bytes are, or would be */
    size_t size; /* bytes of it, without the header */
    enum HmmState state;
#ifdef HMM_TAGS
    const char *site; /* of a used block: where it was allocated, "FILE:LINE"; NULL: unknown */
#endif
};

/*
 * HmmWalk - calls visit(block, context) for every block in order of address, until it returns something other than 0.
 *
 * Returns what visit returned last, 0 for an empty heap. The heap is locked meanwhile: a visit that calls a function of
 * the heap (malloc included, under libhmm.so) is a fault.
 */
int HmmWalk(int (*visit)(const struct HmmBlock *block, void *context), void *context);
int HmmHeapWalk(struct HmmHeap *heap, int (*visit)(const struct HmmBlock *block, void *context), void *context);

/*
 * HmmSetFaultHandler - has faults told to handler(line), `line` without a newline, instead of standard error; NULL: as
 * at the start. Returns the handler before. After it returns the program aborts all the same (freestanding: traps); a
 * device's handler may reset the device instead of returning. The handler must not use the heap.
 */
typedef void (*HmmFaultHandler)(const char *line);
HmmFaultHandler HmmSetFaultHandler(HmmFaultHandler handler);
HmmFaultHandler HmmHeapSetFaultHandler(struct HmmHeap *heap, HmmFaultHandler handler);

#if __STDC_HOSTED__
/*
 * HmmPrintFreelist - prints the free list to a stream, a line for each bin that is not empty, with the addresses and
 * sizes of its blocks. stream: NULL is standard output. It may allocate (stdio does), and shows the list as it is then.
 */
void HmmPrintFreelist(FILE *stream);
void HmmHeapPrintFreelist(struct HmmHeap *heap, FILE *stream);
#endif

/*
 * With HMM_TAGS, which the heap's sources and all of its users' have to be compiled with, each block costs a word more
 * that says where it was allocated: HmmWalk and fault reports tell it. HmmTag changes it; `site` stays in place, NULL
 * is none. Returns ptr, which may be NULL.
 */
#ifdef HMM_TAGS
void *HmmTag(void *ptr, const char *site);
#define HMM_LINE_TEXT(line) #line
#define HMM_LINE(line) HMM_LINE_TEXT(line)
#define HMM_SITE __FILE__ ":" HMM_LINE(__LINE__)
#define HmmAlloc(size) HmmTag(HmmAlloc(size), HMM_SITE)
#define HmmCalloc(count, size) HmmTag(HmmCalloc(count, size), HMM_SITE)
#define HmmRealloc(ptr, size) HmmTag(HmmRealloc(ptr, size), HMM_SITE)
#define HmmAlignedAlloc(alignment, size) HmmTag(HmmAlignedAlloc(alignment, size), HMM_SITE)
#define HmmHeapAlloc(heap, size) HmmTag(HmmHeapAlloc(heap, size), HMM_SITE)
#define HmmHeapCalloc(heap, count, size) HmmTag(HmmHeapCalloc(heap, count, size), HMM_SITE)
#define HmmHeapRealloc(heap, ptr, size) HmmTag(HmmHeapRealloc(heap, ptr, size), HMM_SITE)
#define HmmHeapAlignedAlloc(heap, alignment, size) HmmTag(HmmHeapAlignedAlloc(heap, alignment, size), HMM_SITE)
#endif

#ifdef __cplusplus
}
#endif

#endif
