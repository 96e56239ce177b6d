/*
 * hmm.h - the public interface of HMM, the Heap Memory Manager: dynamic memory from one contiguous region whose end is
 * the program break.
 *
 * The break is the process's own (sbrk), or a simulated one that moves inside a buffer: on a device without an
 * operating system, where the core compiles freestanding, or in a program that chooses where its heap lies.
 * libhmm.so's malloc family uses this heap too. A program can also make any number of further heaps in its own memory
 * (HmmHeapCreate); each function has a second form that takes such a heap.
 *
 * All functions may be called from any thread and in a forked child (freestanding: from one thread at a time, or with a
 * lock in struct HmmHooks), but not in a signal handler or an interrupt that may have interrupted the heap.
 *
 * It is a fault to pass a pointer that is not a live block of this heap, to free a block twice, or to overwrite a
 * block's header. A fault writes one line that says what is wrong to standard error and calls abort(), before anything
 * is reused. No lock is held then, so a handler of SIGABRT may allocate. "Origin: this project" means that the
 * behaviour is defined here and nowhere else.
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
 * A heap that the program has made. The functions that take one do the same as those that do not, which use the heap of
 * the process.
 */
struct HmmHeap;

/*
 * HmmAlloc - allocates a block of at least `size` bytes, aligned to two words (16 bytes; 8 where a pointer has 4).
 *
 * size: bytes; 0 gives a distinct block that holds nothing. Returns the block, with undefined contents; NULL with errno
 * ENOMEM if size is above PTRDIFF_MAX, or if the break cannot be moved far enough and a bounded search finds no free
 * block that fits. Constant time, apart from the system's. Origin: this project; like C's malloc.
 */
void *HmmAlloc(size_t size);
void *HmmHeapAlloc(struct HmmHeap *heap, size_t size);

/*
 * HmmFree - frees a block.
 *
 * ptr: from HmmAlloc, HmmCalloc, HmmRealloc or HmmAlignedAlloc; NULL is ignored, and anything else is a fault. errno is
 * unchanged. Constant time. Origin: this project; like C's free.
 */
void HmmFree(void *ptr);
void HmmHeapFree(struct HmmHeap *heap, void *ptr);

/* HmmCalloc - like HmmAlloc for count * size bytes, all zero, and with an operating system also the rest of the usable
 * size. Also returns NULL with errno ENOMEM if the product overflows. */
void *HmmCalloc(size_t count, size_t size);
void *HmmHeapCalloc(struct HmmHeap *heap, size_t count, size_t size);

/*
 * HmmRealloc - resizes a block, in place if the memory behind it is free, otherwise by moving it.
 *
 * ptr: a block, or NULL for HmmAlloc(size). size: 0 frees the block and returns NULL, as in glibc. Returns the block,
 * with its first min(old, new) bytes unchanged; on failure NULL with errno ENOMEM, and the old block is untouched. A
 * ptr that is not a block is a fault. Origin: this project; like C's realloc.
 */
void *HmmRealloc(void *ptr, size_t size);
void *HmmHeapRealloc(struct HmmHeap *heap, void *ptr, size_t size);

/*
 * HmmAlignedAlloc - like HmmAlloc, aligned to `alignment`, which may be any power of two; otherwise returns NULL with
 * errno EINVAL. Origin: this project; like C's aligned_alloc, for any size.
 */
void *HmmAlignedAlloc(size_t alignment, size_t size);
void *HmmHeapAlignedAlloc(struct HmmHeap *heap, size_t alignment, size_t size);

/* HmmUsableSize - how many bytes of a block may be written, at least the size asked for; 0 for NULL. */
size_t HmmUsableSize(void *ptr);
size_t HmmHeapUsableSize(struct HmmHeap *heap, void *ptr);

/*
 * HmmTrim - lowers the break to the end of the last used block, and returns all whole pages inside free blocks to the
 * system (but not those of a buffer). If the process's address space or data is limited, malloc's heap also gives up
 * the addresses inside its largest free blocks, which divides its region; it takes them back when the break cannot
 * rise.
 *
 * Returns the number of bytes given back, whether they had been touched or not; errno is unchanged. The time depends on
 * the number of cached blocks and of free blocks of at least a page. Origin: this project; like glibc's malloc_trim(0).
 */
size_t HmmTrim(void);
size_t HmmHeapTrim(struct HmmHeap *heap);

/*
 * HmmUseBuffer - makes a buffer the heap: the break is simulated and moves within it.
 *
 * buffer: memory that belongs to the heap from then on; size: its bytes, all that the heap will ever have. Must precede
 * the first allocation. Returns 0; EINVAL for NULL or a size without room for one block; EBUSY if the heap is in use.
 * Origin: this project.
 */
int HmmUseBuffer(void *buffer, size_t size);

/*
 * HmmAddRegion - gives the heap more memory, which may lie anywhere, such as in another RAM of a device. Allocations
 * come from any region.
 *
 * memory: belongs to the heap from then on; size: its bytes. May be called at any time. Returns 0; EINVAL for NULL, for
 * memory that overlaps the heap's (its regions, its buffer, or its own state), and for a size without room for a block
 * or beyond what a header can express (1 TiB; where a pointer has 4 bytes, 1 MiB or 2^HMM_SIZE_BITS); ENOMEM if the
 * heap already has HMM_REGIONS regions. Origin: this project.
 */
int HmmAddRegion(void *memory, size_t size);
int HmmHeapAddRegion(struct HmmHeap *heap, void *memory, size_t size);

/*
 * What a heap asks of its surroundings. Each function may be NULL: no lock of the heap's own, and random numbers from
 * the system (freestanding: none). They must not use a heap. fork does not take such a lock, so in a child the heap can
 * be used only if no other thread was inside it.
 */
struct HmmHooks {
    void (*lock)(void *context); /* both or neither; around each call, not recursive */
    void (*unlock)(void *context);
    uint64_t (*entropy)(void *context); /* a random number for the checksums; only the first heap asks, once */
    void *context;
};

/* HmmSetHooks - sets the hooks of the process's heap, before the first allocation. Returns 0; EBUSY later; EINVAL
 * for a lock without an unlock. Origin: this project. */
int HmmSetHooks(const struct HmmHooks *hooks);

/*
 * HmmHeapCreate - makes a heap in the caller's memory; it uses no other unless HmmHeapAddRegion adds some.
 *
 * memory: belongs to the heap until the program reuses it; there is nothing to destroy. Its first 1 to 8 KiB hold the
 * heap's own state. size: its bytes. hooks: copied; may be NULL. Returns the heap; NULL with errno EINVAL for NULL
 * memory, a size that is too small or too large for a region, or hooks that HmmSetHooks would refuse. Heaps without a
 * lock of their own share the process's. Origin: this project.
 *
 * With NULL as the heap, HmmHeapStats gives zeros, HmmHeapWalk returns -1, HmmHeapAddRegion EINVAL, and other functions
 * NULL or 0, with errno EINVAL. Passing a block together with a NULL heap is a fault.
 */
struct HmmHeap *HmmHeapCreate(void *memory, size_t size, const struct HmmHooks *hooks);

/*
 * The state of a heap, in bytes unless a comment says "number". used + cached + free + overhead = region; headers count
 * as overhead.
 */
struct HmmStats {
    size_t region;        /* bytes between the heap's start and the break, in all regions */
    size_t peak;          /* the maximum of region so far */
    size_t used;          /* in blocks that the user holds */
    size_t cached;        /* in freed blocks on quick lists */
    size_t free;          /* in blocks of the free list */
    size_t overhead;      /* headers, and the ends of regions */
    size_t used_blocks;   /* number */
    size_t cached_blocks; /* number */
    size_t free_blocks;   /* number */
    size_t largest_free; /* of the largest free block; up to 1/16 too low if more than 64 blocks have about that size */
    size_t most;         /* the maximum, so far, of bytes neither free nor beyond the break; cached blocks count */
    size_t least_free;   /* what all of the heap's present memory would have left then, 0 if it has become smaller; in a
                          * buffer, the least free ever */
    size_t regions;      /* number: above 1 if the break was blocked, memory was added, or a trim gave up addresses */
    uint64_t break_moves; /* number of moves of the break, up or down */
    uint64_t failures;    /* number of failed allocations */
};

/* HmmStats - fills in *stats, unless it is NULL, from counters, in constant time. It looks at up to 65 free blocks for
 * the largest; a damaged one is a fault. */
void HmmStats(struct HmmStats *stats);
void HmmHeapStats(struct HmmHeap *heap, struct HmmStats *stats);

/* What HmmWalk reports about a block. */
enum HmmState { HMM_USED, HMM_CACHED, HMM_FREE };

struct HmmBlock {
    void *ptr;   /* where the user's bytes are */
    size_t size; /* bytes, without the header */
    enum HmmState state;
#ifdef HMM_TAGS
    const char *site; /* where a used block was allocated, "FILE:LINE"; NULL if unknown */
#endif
};

/*
 * HmmWalk - calls visit(block, context) for every block in address order until it returns a value other than 0.
 *
 * Returns the last value that visit returned; 0 for an empty heap; -1 with errno EINVAL if visit is NULL. The heap is
 * locked meanwhile, so a visit must not call any function of the heap, nor malloc under libhmm.so: that is a fault. It
 * must return, not longjmp.
 */
int HmmWalk(int (*visit)(const struct HmmBlock *block, void *context), void *context);
int HmmHeapWalk(struct HmmHeap *heap, int (*visit)(const struct HmmBlock *block, void *context), void *context);

/*
 * HmmSetFaultHandler - reports faults to handler(line), without a newline, instead of standard error; NULL restores
 * that.
 *
 * Returns the previous handler. When the handler returns, the program aborts all the same (freestanding: traps); a
 * device's handler may reset the device instead of returning. The handler must not use the heap.
 */
typedef void (*HmmFaultHandler)(const char *line);
HmmFaultHandler HmmSetFaultHandler(HmmFaultHandler handler);
HmmFaultHandler HmmHeapSetFaultHandler(struct HmmHeap *heap, HmmFaultHandler handler);

#if __STDC_HOSTED__
/*
 * HmmPrintFreelist - prints the free list to a stream (NULL: standard output): a line for each bin that is not empty,
 * with the addresses and sizes of its blocks. stdio may allocate; the list is shown as it is at that moment.
 */
void HmmPrintFreelist(FILE *stream);
void HmmHeapPrintFreelist(struct HmmHeap *heap, FILE *stream);
#endif

/*
 * If the heap's sources and all of its users are compiled with HMM_TAGS, each block has an extra word that says where
 * it was allocated, for HmmWalk and fault reports. HmmTag changes it: `site` must remain valid, and NULL clears it. It
 * returns ptr, which may be NULL.
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
