/*
 * mems.h - the public interface of libmems beyond the standard malloc family.
 *
 * libmems.so and libmems.a replace the malloc family, which needs no other header than the C library's. This header
 * declares the rest: the version, options and statistics of the engine behind malloc; then the MeMS heap, a separate
 * heap with its own virtual addresses. All functions may be called from any thread, before main and after it, but not
 * in a signal handler that may have interrupted the heap. "Origin: this project" means that the behaviour is defined
 * only here.
 */
#ifndef MEMS_H
#define MEMS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header, as major * 10000 + minor * 100 + patch. */
#define MEMS_VERSION_MAJOR 1
#define MEMS_VERSION_MINOR 0
#define MEMS_VERSION_PATCH 0
#define MEMS_VERSION (MEMS_VERSION_MAJOR * 10000 + MEMS_VERSION_MINOR * 100 + MEMS_VERSION_PATCH)

/*
 * mems_version - the version of the library that is running, in the form of MEMS_VERSION. It is smaller than
 * MEMS_VERSION in a program compiled against a newer header. Never fails.
 */
int mems_version(void);

/*
 * mems_option_set - sets one option, as MEMS_OPTIONS="name=value" in the environment does.
 *
 * name: an option's name; value: its value as text. MEMS_OPTIONS=help prints the options, their values and defaults.
 * Returns 0; EINVAL for NULL, an unknown name, a value that the option does not take, or a limit_soft above limit;
 * EBUSY for an option that is fixed once the heap is in use (check, harden, window). On an error nothing changes; errno
 * is unchanged either way.
 * Origin: this project.
 */
int mems_option_set(const char *name, const char *value);

/*
 * mems_option_get - the value of an option as text.
 *
 * name: an option's name; value: receives the text, cut to fit and always terminated by '\0'; size: bytes at value.
 * Returns 0; EINVAL for an unknown name, or when value is NULL or size is 0; ERANGE when the text was cut. errno is
 * unchanged. Origin: this project.
 */
int mems_option_get(const char *name, char *value, size_t size);

/*
 * mems_on_limit - registers a function to be called when the engine's heap holds more than the option limit_soft.
 *
 * handler: receives how many bytes the heap holds, limit_soft, and the context given here; NULL: no function is called
 * (a line goes to standard error in any case). It is called in a thread that allocates, after all free memory has gone
 * back to the system, and then not again until the heap has held less; no lock is held, so it may allocate and free, or
 * end the process. Never fails; errno is unchanged. Origin: this project.
 */
typedef void mems_limit_handler(size_t held, size_t limit, void *context);
void mems_on_limit(mems_limit_handler *handler, void *context);

/*
 * mems_check_write - whether `size` bytes at an address may be written, as far as libmems' malloc knows.
 *
 * If the address lies in a live block of up to 64 MiB that ends before the last of them, that is a fault, and its
 * report names `function`. For any other address nothing happens. A block ends where malloc_usable_size says: with
 * harden=full at its exact size. libmems-copy.so calls this for memcpy and its kin. Thread-safe; takes no lock.
 */
void mems_check_write(const char *function, const void *address, size_t size);

/* At most this many size classes are reported. */
#define MEMS_SIZE_CLASSES 96

/*
 * One size class of small blocks. slots = live + cached + free. A block that another thread has freed counts as cached
 * until the heap that owns it has collected it.
 */
struct mems_class_stats {
    size_t size;   /* bytes of a slot */
    size_t slabs;  /* slabs of this class */
    size_t slots;  /* slots of these slabs */
    size_t live;   /* slots that users hold */
    size_t cached; /* slots in a thread's magazine or depot, or on their way back */
    size_t free;   /* slots that are free in their slab, including those never used */
};

/*
 * The engine's memory, in bytes unless a comment says "number". The rows of the window add up:
 *
 *   live + slack + cached + free + untouched + dirty + fresh = accessible
 *
 * live is the sum of live * size over the classes, large_bytes and sampled_bytes.
 *
 * Of the rows, live + slack + cached + free + dirty may be resident; metadata and huge are not part of the window.
 */
struct mems_engine_stats {
    uint32_t version;     /* of this structure: MEMS_ENGINE_STATS_VERSION */
    uint32_t class_count; /* number: entries of classes that are filled in */
    struct mems_class_stats classes[MEMS_SIZE_CLASSES];

    size_t live;       /* allocated blocks in the window: whole slots, large blocks, samples' pages */
    size_t slack;      /* ends of spans too short for a slot, and the rounding of large blocks to whole units */
    size_t cached;     /* in magazines and depots, slots and large blocks */
    size_t free;       /* free slots that have been used before */
    size_t untouched;  /* free slots never used; of growing classes, up to 64 KiB in a slab may be present already */
    size_t dirty;      /* free spans whose memory has not gone back to the system */
    size_t fresh;      /* free spans that read as zero: never used, or given back */
    size_t accessible; /* the part of the window that is readable and writable */
    size_t window;     /* the window's address space, accessible or not */
    size_t metadata;   /* the engine's own tables and descriptors */

    size_t large_blocks; /* number of live large blocks */
    size_t large_bytes;  /* their bytes, part of live */
    size_t huge_blocks;  /* number of live huge blocks */
    size_t huge_bytes;   /* their bytes, apart from live */

    size_t
        sampled_blocks; /* number of live small blocks that are samples; in no class, because each has its own pages */
    size_t sampled_bytes; /* these pages, part of live */

    uint64_t threads;         /* number of heaps in use */
    uint64_t heaps_made;      /* number of heaps ever made for a thread */
    uint64_t refills;         /* number of magazines refilled */
    uint64_t flushes;         /* number of magazines flushed */
    uint64_t remote_frees;    /* number of blocks freed by a thread that has a heap, and whose heap does not own them */
    uint64_t adoptions;       /* number of abandoned slabs adopted */
    uint64_t purges;          /* number of spans purged: given back to the system */
    uint64_t purged_bytes;    /* their bytes */
    uint64_t pages_moved;     /* number of blocks whose pages realloc moved into another block */
    uint64_t huge_page_bytes; /* bytes made present as huge pages, if the system had them (option huge_pages) */
    uint64_t failures;        /* number of allocations that failed for lack of memory */
    uint64_t minor_faults;    /* number of page faults of the process, served from memory */
    uint64_t major_faults;    /* number of page faults that waited for a disk */
    size_t resident;          /* resident bytes of the process, of all its mappings */

    /* With harden=light and full; quarantined also with samples. */
    uint64_t guards;         /* number of guards: ranges of pages that fault when touched */
    uint64_t guards_refused; /* number of guards that the system refused, or that would have been too many mappings */
    size_t quarantined;      /* bytes of freed blocks in quarantine and of unused guarded pages, part of cached */
};

#define MEMS_ENGINE_STATS_VERSION 5

/*
 * mems_engine_stats - the current state of the engine's heap.
 *
 * stats: is filled in; NULL is ignored. Other threads may allocate and free meanwhile: each number is right for a
 * moment within the call, and with no other thread running they agree exactly. Takes some microseconds, and another one
 * for each thread. Never fails, allocates nothing, leaves errno unchanged. Starts the heap if it has not started.
 * Origin: this project.
 */
void mems_engine_stats(struct mems_engine_stats *stats);

/*
 * mems_engine_stats_text, mems_engine_stats_json - the same as a table for people, or as one JSON object, written to a
 * file descriptor. They return 0, or EBADF when fd is negative. They allocate nothing; errno is unchanged. Origin: this
 * project.
 */
int mems_engine_stats_text(int fd);
int mems_engine_stats_json(int fd);

/*
 * mems_sample_interval_set - sets how often an allocation by malloc is sampled, which records who requested the block,
 * and when.
 *
 * bytes: the mean number of requested bytes between samples; 0: no samples; 1: every block. Sampling begins once the
 * heap has held four times as much, and while it holds less than 16 times as much, samples are four times as far apart.
 * From 65536 bytes on, a process has at most 1,000 samples a second, and 62 from 2 MiB on; if it allocates faster for
 * long, they are farther apart.
 * Same as the option `sample`. Each thread follows at its next allocation after some hundred kilobytes. Thread-safe.
 * Origin: this project.
 */
void mems_sample_interval_set(size_t bytes);

/*
 * mems_profile_write - writes a profile of the samples to a file descriptor, as text in the form heap_v2, which pprof
 * and jeprof read. `kind` selects the blocks: those live now, or those live at the peak.
 *
 * Returns 0; EBADF when fd is negative, EINVAL for another kind. An error while writing ends the text silently.
 * Allocates nothing. Thread-safe: other threads may allocate meanwhile. Origin: this project; the form is gperftools'.
 */
enum { MEMS_PROFILE_LIVE, MEMS_PROFILE_PEAK };
int mems_profile_write(int fd, int kind);

/*
 * --- Beyond malloc ---------------------------------------------------------------------------------------------
 *
 * The functions below return blocks of the engine's heap, as malloc does: they are aligned like malloc's, checked when
 * they are freed, and any thread may pass them to free, realloc and malloc_usable_size. For C++, mems.hpp has
 * allocators and memory resources based on them.
 */

/*
 * mems_good_size - a size that costs no more than `size`: malloc then gives the same block for both.
 *
 * Request this size to use all of the block; after malloc(size) some blocks end earlier: samples, and with harden=full
 * all. malloc_usable_size tells where a block ends. size: bytes. Returns a number of bytes, at least `size` and at
 * least 16; `size` itself if no block can be that large. Some ten instructions; never fails. Origin: this project;
 * macOS has malloc_good_size, jemalloc nallocx.
 */
size_t mems_good_size(size_t size);

/*
 * mems_alloc_at_least - a block of at least `size` bytes, and how many may be used.
 *
 * size: bytes; usable: receives the bytes that may be used, NULL: nothing. The block may be freed with any size from
 * `size` to that; for most blocks above 32 KiB, for samples, and with harden=full, it is `size`. Returns NULL with
 * errno ENOMEM if there is no memory, and *usable is unchanged. Costs as much as malloc and mems_good_size. Origin:
 * C++23, std::allocator::allocate_at_least.
 */
void *mems_alloc_at_least(size_t size, size_t *usable);

/*
 * mems_alloc_batch - many blocks of one size at once.
 *
 * size: bytes of each; count: how many; blocks: receives their addresses, blocks[0 .. count - 1]. Each is a separate
 * block, as from malloc(size), and is freed alone or in a batch. Returns how many it allocated: `count`, or fewer
 * when memory ran out (errno ENOMEM); those are valid. For small blocks this costs about a fifth less than as many
 * calls of malloc and free. Origin: this project; jemalloc and rpmalloc have similar functions.
 */
size_t mems_alloc_batch(size_t size, size_t count, void **blocks);

/*
 * mems_free_batch - frees blocks[0 .. count - 1], each as free does: in any order, of any sizes, however they were
 * allocated from this heap; NULL is ignored. errno is unchanged. A block that is not live is a fault, as in free.
 * Origin: this project.
 */
void mems_free_batch(void *const *blocks, size_t count);

/*
 * An *arena* is a heap with a name, for blocks that belong together: those of one request, one document, one plug-in.
 * Destroying or resetting the arena frees all of them at once, in time proportional to the slabs they lie in, not to
 * their number. No other block shares their memory.
 *
 *   struct mems_arena *arena = mems_arena_create("request 17");
 *   char *line = mems_arena_malloc(arena, 100);
 *   mems_arena_destroy(arena);                                       line is gone, too
 *
 * Any thread may use any arena; each has a lock, which a call holds for some 50 instructions. Blocks may be freed one
 * by one, by mems_arena_free or plain free, in any thread. Plain realloc may move a block out of its arena; the block
 * then outlives the arena. Memory that an arena has and does not use goes back to the system after a while, as a
 * thread's does. A forked child has a copy of all arenas. Only memory limits their number: each takes some 6 KiB, and a
 * unit of 64 KiB for the first block of each size class.
 *
 * Passing a pointer that is not an arena, or a destroyed one, ends the program with a report. So does freeing a block
 * twice, even one that went with its arena, unless its address has been used again.
 */
struct mems_arena;

/*
 * mems_arena_create - a new, empty arena. name: for statistics, cut to MEMS_ARENA_NAME_MAX - 1 bytes; it is copied, and
 * several arenas may share one; NULL: "". Returns NULL with errno ENOMEM if there is no memory. The handle need not
 * be kept: mems_arena_list finds the arena again. Origin: this project.
 */
#define MEMS_ARENA_NAME_MAX 32
struct mems_arena *mems_arena_create(const char *name);

/*
 * mems_arena_destroy, mems_arena_reset - free all blocks of an arena; destroy ends the arena too. No thread may be
 * using the blocks or, for destroy, the handle. NULL is ignored. errno is unchanged. Origin: this project.
 */
void mems_arena_destroy(struct mems_arena *arena);
void mems_arena_reset(struct mems_arena *arena);

/*
 * mems_arena_malloc, mems_arena_calloc, mems_arena_aligned_alloc - as malloc, calloc and aligned_alloc, from an arena;
 * mems_arena_aligned_alloc returns NULL with errno EINVAL for an alignment that is not a power of two. If `arena` is
 * NULL the block comes from malloc. They return NULL with errno ENOMEM if there is no memory. Small blocks cost about
 * twice as much as malloc's; those of 64 MiB and more lie in the window too, so an arena is limited to the room there
 * (the option window). Origin: this project.
 */
void *mems_arena_malloc(struct mems_arena *arena, size_t size);
void *mems_arena_calloc(struct mems_arena *arena, size_t count, size_t size);
void *mems_arena_aligned_alloc(struct mems_arena *arena, size_t alignment, size_t size);

/*
 * mems_arena_realloc - as realloc, and the block stays in the arena. block: one of this arena's, or NULL, which
 * allocates. size: bytes; 0 frees the block and returns NULL. Returns NULL with errno ENOMEM if there is no memory,
 * and the block is unchanged. Origin: this project.
 */
void *mems_arena_realloc(struct mems_arena *arena, void *block, size_t size);

/*
 * mems_arena_free - frees a block of the arena, as free does; a block that is not the arena's is a fault. NULL is
 * ignored. errno is unchanged. Origin: this project.
 */
void mems_arena_free(struct mems_arena *arena, void *block);

/* What an arena holds. */
struct mems_arena_stats {
    struct mems_arena *arena;
    char name[MEMS_ARENA_NAME_MAX]; /* terminated by '\0' */
    size_t blocks;                  /* number of live blocks */
    size_t bytes;                   /* of these, as whole slots and whole pages */
    size_t held;                    /* bytes of memory that no one else can use: slabs, large blocks */
};

/*
 * mems_arena_stats - fills in *stats; O(slabs). mems_arena_list - stores the handles of up to `most` arenas, and
 * returns how many there are; other threads may make and destroy some meanwhile. Neither fails or allocates; errno is
 * unchanged. Origin: this project.
 */
void mems_arena_stats(struct mems_arena *arena, struct mems_arena_stats *stats);
size_t mems_arena_list(struct mems_arena **arenas, size_t most);

/*
 * --- The MeMS heap ---------------------------------------------------------------------------------------------
 *
 * mems_malloc returns a *MeMS virtual address*: a number in the heap's own address space, which begins at 1000. It must
 * not be dereferenced. mems_get translates it, and any other address inside the block, to the *MeMS physical address*,
 * where the bytes are. The physical address of a block stays the same as long as the block lives, except in movable
 * spaces.
 *
 *   void *v = mems_malloc(1000);       v is 1000: the block has the virtual addresses 1000..1999
 *   int *p = mems_get(v);              p is an ordinary pointer to its bytes
 *   mems_free(v);
 *
 * The heap is a list of two levels. The *main chain* has a main node for each mapping of whole pages that the system
 * has given (mmap). The *sub-chain* of a main node divides it into *segments* without gaps: a PROCESS is a block that
 * the user holds, a HOLE is free. A request takes the smallest HOLE that fits, and of equal ones that with the lowest
 * address; the rest of it is a new HOLE. If none fits, as many whole pages as the request needs become a new main node
 * at the end of the chain. A freed segment becomes a HOLE and is merged with the HOLEs beside it. Sizes are rounded up
 * to 8 bytes. Each operation takes time at most proportional to the logarithm of the number of segments.
 *
 * Memory comes from mmap and goes back by munmap: that of blocks in multiples of PAGE_SIZE, at mems_trim and
 * mems_finish; that of the heap's own nodes in the system's pages.
 *
 * A *space* is a separate heap with its own virtual addresses. The functions that name none work on the *default
 * space*, which starts with mems_init or with the first allocation; those that begin with mems_space_ do the same with
 * a given space. Any thread may use any space; each has its own lock. A forked child has a copy of all spaces.
 *
 * In a space *with generations* (by default all but the default space) the functions use *handles*: the virtual address
 * in the lower 48 bits, and above it the space's number and the generation, which counts how often the place has been
 * used. Offsets are added to a handle as to an address. All functions refuse the handle of a freed block, even if
 * another block has its address, and the handle of another space. Only after the place, or one merged with it, has been
 * used 2,048 more times can a stale handle pass for that of a later block. Printed addresses are virtual ones. A block
 * that has grown, even in place, has a new handle, which mems_realloc returns.
 *
 * In a *movable* space, mems_space_compact moves the blocks together and gives the rest of the memory back to the
 * system. Virtual addresses and handles stay. What mems_get has returned is valid until the next call, by any thread,
 * of a function that may move blocks: mems_space_malloc, _calloc, _realloc, _trim, _compact, _compact_for. A block that
 * is *pinned* stays where it is (mems_pin).
 *
 * Errors: an invalid call changes nothing, sets errno, and is reported to the error handler; by default as one line on
 * standard error, such as
 *
 *   mems_free: 4008 is inside the block 4000:4999, not its start
 *
 * Origin: this project.
 */

/*
 * PAGE_SIZE - bytes of a page: the unit in which the default space takes memory. A program may define another one
 * before it includes this header, and the library may be built with another: a multiple of the system's page size.
 */
#ifdef PAGE_SIZE
#define MEMS_PAGE_SIZE_GIVEN
#else
#define PAGE_SIZE 4096
#endif

/*
 * mems_init - starts the default space.
 *
 * Optional: the first mems_malloc, mems_calloc or mems_realloc does it too; but after mems_finish only mems_init starts
 * it again. Returns 0, also if the space has been started already; otherwise an error number, which is also in errno:
 * EINVAL if PAGE_SIZE is 0 or not a multiple of the system's page size, EBUSY if the space is in use with another
 * PAGE_SIZE, ENOMEM if there is no memory.
 */
int mems_init(void);

/*
 * mems_set_page_size - sets the PAGE_SIZE with which the default space starts next. A program that defines PAGE_SIZE
 * need not call this: the functions that may start the space do so themselves.
 */
void mems_set_page_size(size_t page_size);

/* The options of a space; 0 stands for the default. */
struct mems_space_options {
    size_t page_size; /* as PAGE_SIZE; default: the library's PAGE_SIZE, or the system's page if that is larger */
    size_t alignment; /* sizes are rounded up to it, and blocks are aligned to it: 8 (default) or 16 */
    int generations;  /* 1: with generations; -1: without. Default: without for the default space, with for others */
    unsigned movable; /* 0: blocks stay (default); MEMS_MOVABLE; MEMS_MOVES_ALWAYS */
};

/*
 * MEMS_MOVABLE - blocks may be moved. MEMS_MOVES_ALWAYS helps to find errors in programs: each block whose physical
 * address mems_get has returned is moved by the next call that may move blocks, and its old memory is unmapped, so that
 * using an old address is a segmentation fault. Each block then takes separate pages.
 */
#define MEMS_MOVABLE 1u
#define MEMS_MOVES_ALWAYS 2u

/*
 * mems_set_options - sets the options with which the default space starts next; NULL: the defaults. Returns 0, or
 * EINVAL, which is also in errno, for invalid options.
 */
int mems_set_options(const struct mems_space_options *options);

/*
 * mems_finish - ends the default space: unmaps all its memory, including that of blocks still held. No other thread may
 * be in one of its functions.
 *
 * Every later call but mems_init is an error (errno EPERM). Does nothing before the start.
 */
void mems_finish(void);

/*
 * mems_malloc - allocates a block of `size` bytes, rounded up to 8.
 *
 * Returns its MeMS virtual address. The contents are undefined. Returns NULL with errno ENOMEM if size is 0 or above
 * PTRDIFF_MAX, or if the system has no memory even after the memory of HOLEs has been unmapped, as by mems_trim; with
 * EPERM after mems_finish; and with mems_init's error if the space cannot be started.
 */
void *mems_malloc(size_t size);

/* mems_calloc - like mems_malloc for count * size bytes, all zero; ENOMEM also if the product overflows. */
void *mems_calloc(size_t count, size_t size);

/*
 * mems_realloc - resizes a block. Its virtual and physical addresses stay if it shrinks, or if the next segment is a
 * HOLE that is large enough; otherwise the block moves. A block of 64 KiB or more that must move to grow gets half as
 * much again behind it, and the pages that it leaves are unmapped, so a block that grows step by step never has more
 * than two and a half times its size. Other threads can use the space while the bytes are copied.
 *
 * v_ptr: a block's start, or NULL, which is mems_malloc(size). size: bytes; 0 frees the block and returns NULL, which
 * is not an error. Returns the block's virtual address; its first min(old, new) bytes are unchanged. NULL on an error,
 * and the block is untouched: errno ENOMEM as for mems_malloc; EINVAL, EFAULT or EBUSY as for mems_free.
 */
void *mems_realloc(void *v_ptr, size_t size);

/*
 * mems_free - frees a block. v_ptr: a block's start; NULL is ignored.
 *
 * Anything else is an error: errno is EINVAL for an address inside a block; EFAULT for one in a HOLE (a block that was
 * freed before), for one that was never handed out, and for a handle that is stale or of another space; EBUSY for a
 * pinned block. Otherwise errno is unchanged.
 */
void mems_free(void *v_ptr);

/*
 * mems_get - translates any address inside a block to its MeMS physical address.
 *
 * The result is aligned like v_ptr minus the block's start: a block starts at a multiple of 8 bytes (or of the space's
 * alignment). NULL with errno EFAULT if v_ptr is in no block. Takes no lock if it finds the block. Apart from the
 * processor's caches, its time does not depend on the number of segments.
 */
void *mems_get(void *v_ptr);

/* mems_usable_size - the bytes of the block that starts at v_ptr, as rounded up; 0 for NULL, and on an error as for
 * mems_free. */
size_t mems_usable_size(void *v_ptr);

/*
 * mems_pin - like mems_get, but the physical address stays valid until mems_unpin: the block is not moved, and it
 * cannot be freed or, where it would have to move, grown (EBUSY). Pins are counted, up to 2^32 - 1. NULL with errno
 * EFAULT as for mems_get. mems_unpin: v_ptr is any address inside the block; errno is EINVAL if the block is not
 * pinned.
 */
void *mems_pin(void *v_ptr);
void mems_unpin(void *v_ptr);

/*
 * mems_read, mems_write - copy `size` bytes out of or into a block, starting at v_ptr, which may be anywhere inside it.
 *
 * Return 0, or an error, which is also in errno, with nothing copied: EFAULT if v_ptr is in no block; ERANGE if the
 * block ends before v_ptr + size; EINVAL if the other pointer is NULL, or in the first page, and size is not 0. Two
 * threads that copy to and from the same bytes at the same time race, as with memcpy. Other threads can use the space
 * meanwhile. If a block is freed while it is being copied, its handle is invalid at once, and its memory is free when
 * the copy has ended.
 */
int mems_read(void *v_ptr, void *to, size_t size);
int mems_write(void *v_ptr, const void *from, size_t size);

/*
 * mems_trim - unmaps whole pages inside HOLEs. Returns the bytes unmapped.
 *
 * Their virtual addresses stay reserved, as main nodes without memory, and get memory again when they are used. A main
 * node is split where a part of it is unmapped, and joined again when that part gets memory in the same place. Because
 * the system limits a process's mappings, the largest HOLEs come first, and the memory of all spaces is not cut into
 * more than 16,384 pieces (`pieces` of struct mems_stats). A movable space is compacted completely instead.
 */
size_t mems_trim(void);

/*
 * mems_compact, mems_compact_for - move blocks of a movable space together, and give the memory that this frees back to
 * the system. The work is bounded, so that it can be repeated, for example whenever the program is idle. Pinned blocks
 * stay.
 *
 * budget: about how many bytes to move at most, where a node counts as 1 KiB; 0: no limit. microseconds: about how long
 * it may take; at least one step is done. Other threads can use the space between two steps of 128 KiB. Returns how
 * many bytes were moved and given back, added up; 0: there is nothing to gain. In a space that is not movable only the
 * nodes are moved together.
 */
size_t mems_compact(size_t budget);
size_t mems_compact_for(unsigned microseconds);

/*
 * mems_print_stats, mems_fprint_stats - print the main chain with its sub-chains as text, to standard output or to a
 * stream, in the form that docs/mems.md describes, as of one moment. errno is ENOMEM if there is no memory to collect
 * it.
 */
void mems_print_stats(void);
void mems_fprint_stats(FILE *stream);

/* mems_stats_json - prints the same as one JSON object: the figures of struct mems_stats up to `failures`, for a
 * movable space those about moving as well, and all main nodes with their segments, virtual and physical addresses. */
void mems_stats_json(FILE *stream);

/*
 * The figures of a space.
 *
 *   process_bytes + hole_bytes + gap_bytes = pages * page_size + reserved_bytes
 *
 * gap_bytes is 0 except in a movable space, where no HOLE has memory (reserved_bytes = hole_bytes).
 */
struct mems_stats {
    size_t page_size;
    size_t pages;          /* number: pages mapped for blocks ("Pages used") */
    size_t main_nodes;     /* number: length of the main chain */
    size_t processes;      /* number of PROCESS segments */
    size_t holes;          /* number of HOLE segments */
    size_t process_bytes;  /* bytes in PROCESS segments, rounding included */
    size_t hole_bytes;     /* bytes in HOLE segments ("Space unused") */
    size_t reserved_bytes; /* the part of hole_bytes that has no memory: unmapped by mems_trim */
    size_t metadata_bytes; /* bytes that the space's own nodes and tables have used so far */
    uint64_t maps;         /* number of mappings made for blocks */
    uint64_t unmaps;       /* number of mappings, or parts of them, unmapped */
    uint64_t failures;     /* number of requests for memory that failed */
    size_t gap_bytes;      /* bytes of a movable space's memory that are in no block */
    size_t regions;        /* number of mappings that contain its blocks */
    size_t pinned;         /* number of pinned blocks */
    uint64_t moved_blocks; /* number of blocks that have been moved together */
    uint64_t moved_bytes;  /* their bytes */
    size_t pieces;         /* number of separate pieces of the memory */
};

/* mems_stats - fills in *stats. All but page_size is 0 before the start, and everything after mems_finish. If stats is
 * NULL, errno is EINVAL and the error is reported. */
void mems_stats(struct mems_stats *stats);

/* What mems_walk shows of a segment. */
enum mems_kind { MEMS_PROCESS, MEMS_HOLE };

struct mems_segment {
    size_t main_index;    /* number of its main node, from 0 on */
    uintptr_t main_start; /* the main node's first virtual address */
    uintptr_t main_last;  /* and its last one */
    uintptr_t start;      /* the segment's first virtual address */
    uintptr_t last;       /* and its last one */
    void *physical;       /* where its bytes are; NULL if the main node has no memory */
    enum mems_kind kind;
    void *v_ptr;   /* a PROCESS's handle; NULL for a HOLE */
    unsigned pins; /* how often it is pinned */
};

/*
 * mems_walk - calls visit(segment, context) for every segment, in order of virtual addresses, until it returns
 * something other than 0. A main node begins where segment->start is segment->main_start.
 *
 * Returns what visit returned last; 0 for an empty heap; -1 with errno ENOMEM if there is no memory for the list, or
 * EINVAL if visit is NULL. The segments are those of one moment, and no lock is held: visit may call all functions. If
 * visit is left by longjmp, the list stays mapped.
 */
int mems_walk(int (*visit)(const struct mems_segment *segment, void *context), void *context);

/* What an error handler receives. */
struct mems_error {
    const char *function; /* the function that was called, such as "mems_free" */
    uintptr_t address;    /* the handle or virtual address it was given; 0 if there is none */
    int error;            /* the error number that errno is set to */
    const char *text;     /* the line without its newline; valid until the handler returns */
};

/*
 * mems_set_error_handler - reports errors to handler(error, context) instead of standard error; NULL restores that. For
 * all spaces. The handler is called in the thread that made the error, with no lock held, and may call any function;
 * errno is set after it returns.
 */
void mems_set_error_handler(void (*handler)(const struct mems_error *error, void *context), void *context);

/* A separate heap. */
struct mems_space;

/*
 * mems_space_create - makes an empty space. options: NULL for the defaults. Returns NULL with errno EINVAL for invalid
 * options, ENOMEM if there is no memory. Up to 31 spaces with generations have different numbers; beyond that, a space
 * may accept the handle of another one with the same number, if the generation is the same by chance.
 *
 * mems_space_destroy - unmaps all of a space. No thread may be in one of its functions, or use it afterwards.
 */
struct mems_space *mems_space_create(const struct mems_space_options *options);
void mems_space_destroy(struct mems_space *space);

/* The functions above on a given space. A space that is NULL, or in the first page, is an error, errno EINVAL. */
void *mems_space_malloc(struct mems_space *space, size_t size);
void *mems_space_calloc(struct mems_space *space, size_t count, size_t size);
void *mems_space_realloc(struct mems_space *space, void *v_ptr, size_t size);
void mems_space_free(struct mems_space *space, void *v_ptr);
void *mems_space_get(struct mems_space *space, void *v_ptr);
size_t mems_space_usable_size(struct mems_space *space, void *v_ptr);
void *mems_space_pin(struct mems_space *space, void *v_ptr);
void mems_space_unpin(struct mems_space *space, void *v_ptr);
int mems_space_read(struct mems_space *space, void *v_ptr, void *to, size_t size);
int mems_space_write(struct mems_space *space, void *v_ptr, const void *from, size_t size);
size_t mems_space_trim(struct mems_space *space);
size_t mems_space_compact(struct mems_space *space, size_t budget);
size_t mems_space_compact_for(struct mems_space *space, unsigned microseconds);
void mems_space_print_stats(struct mems_space *space);
void mems_space_fprint_stats(struct mems_space *space, FILE *stream);
void mems_space_stats_json(struct mems_space *space, FILE *stream);
void mems_space_stats(struct mems_space *space, struct mems_stats *stats);
int mems_space_walk(struct mems_space *space, int (*visit)(const struct mems_segment *segment, void *context),
                    void *context);

/* In a file that defines PAGE_SIZE, the calls that may start the default space start it with that. */
#ifdef MEMS_PAGE_SIZE_GIVEN
#define mems_init() (mems_set_page_size(PAGE_SIZE), mems_init())
#define mems_malloc(size) (mems_set_page_size(PAGE_SIZE), mems_malloc(size))
#define mems_calloc(count, size) (mems_set_page_size(PAGE_SIZE), mems_calloc(count, size))
#define mems_realloc(v_ptr, size) (mems_set_page_size(PAGE_SIZE), mems_realloc(v_ptr, size))
#endif

#ifdef __cplusplus
}
#endif

#endif
