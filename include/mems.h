/*
 * mems.h - the public interface of libmems beyond the standard malloc family.
 *
 * libmems.so and libmems.a replace malloc, free and their kin; those need no header but the C library's own. What is
 * declared here is particular to MeMS: first its version, its options and the statistics of the engine, on which malloc
 * stands; then the MeMS heap, a heap apart with virtual addresses of its own. All functions may be called from any
 * thread, before main and after it, but not in a signal handler that may have interrupted the heap. Where a line of
 * documentation says "this project", the behaviour is defined here and nowhere else.
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
#define MEMS_VERSION_MAJOR 0
#define MEMS_VERSION_MINOR 1
#define MEMS_VERSION_PATCH 0
#define MEMS_VERSION (MEMS_VERSION_MAJOR * 10000 + MEMS_VERSION_MINOR * 100 + MEMS_VERSION_PATCH)

/*
 * mems_version - the version of the library that is running, in the form of MEMS_VERSION. A program that was compiled
 * against a newer header than it runs with sees a smaller number here. Never fails.
 */
int mems_version(void);

/*
 * mems_option_set - sets one option, as MEMS_OPTIONS="name=value" in the environment would.
 *
 * name: an option's name; value: its value as text. The options, their values and defaults are those that
 * MEMS_OPTIONS=help prints.
 * Returns 0; EINVAL for NULL, an unknown name or a value that the option does not take; EBUSY for an option that shapes
 * the heap (window, check) once the heap is in use. On an error nothing changes; errno is unchanged either way. Origin:
 * this project.
 */
int mems_option_set(const char *name, const char *value);

/*
 * mems_option_get - the value of an option as text.
 *
 * name: an option's name; value: receives the text, cut to fit and always ended by '\0'; size: bytes at value.
 * Returns 0; EINVAL for an unknown name, or when value is NULL or size is 0; ERANGE when the text was cut. errno is
 * unchanged.
 * Origin: this project.
 */
int mems_option_get(const char *name, char *value, size_t size);

/*
 * mems_on_limit - has a function called when the engine's heap holds more than the option limit_soft.
 *
 * handler: is told how many bytes the heap holds and what limit_soft is, with the context that is given here; NULL: no
 * function is called (and a line goes to standard error in any case). It is called in a thread that allocates, when all
 * free memory has gone back to the system already, once until the heap holds less again; with no lock held, so it may
 * allocate and free, and end the process. Never fails; errno is unchanged. Origin: this project.
 */
typedef void mems_limit_handler(size_t held, size_t limit, void *context);
void mems_on_limit(mems_limit_handler *handler, void *context);

/* At most this many size classes are reported. */
#define MEMS_SIZE_CLASSES 96

/*
 * One size class of small blocks. slots = live + cached + free. A block that another thread has freed counts as cached
 * until the heap that owns it has got it back.
 */
struct mems_class_stats {
    size_t size;   /* bytes of a slot */
    size_t slabs;  /* slabs of this class */
    size_t slots;  /* slots of these slabs */
    size_t live;   /* slots that a user holds */
    size_t cached; /* slots in a thread's magazine or depot, or on their way back */
    size_t free;   /* slots that a slab may hand out, never used ones included */
};

/*
 * The engine's memory, in bytes unless a comment says "number". The rows of the window add up:
 *
 *   live + slack + cached + free + untouched + dirty + fresh = accessible
 *
 * of which live + slack + cached + free + dirty may be resident; metadata and huge are apart from the window.
 */
struct mems_engine_stats {
    uint32_t version;     /* of this structure: MEMS_ENGINE_STATS_VERSION */
    uint32_t class_count; /* number: entries of classes that are filled in */
    struct mems_class_stats classes[MEMS_SIZE_CLASSES];

    size_t live;       /* blocks in users' hands, whole slots and large blocks, in the window */
    size_t slack;      /* ends of spans too short for a slot, and the rounding of large blocks to whole units */
    size_t cached;     /* in magazines and reserves, slots and large blocks */
    size_t free;       /* free slots whose memory has been used before */
    size_t untouched;  /* free slots that hold no memory: never used */
    size_t dirty;      /* free spans whose memory the system has not got back yet */
    size_t fresh;      /* free spans that read as zero: never used, or given back */
    size_t accessible; /* the part of the window that is readable and writable */
    size_t window;     /* the window's address space, accessible or not */
    size_t metadata;   /* the engine's own tables and descriptors */

    size_t large_blocks; /* number of live large blocks */
    size_t large_bytes;  /* their bytes, part of live */
    size_t huge_blocks;  /* number of live huge blocks */
    size_t huge_bytes;   /* their bytes, apart from live */

    uint64_t threads;      /* number of heaps in use */
    uint64_t heaps_made;   /* number of heaps ever made for a thread */
    uint64_t refills;      /* number of magazines refilled */
    uint64_t flushes;      /* number of magazines flushed */
    uint64_t remote_frees; /* number of blocks freed by a thread that has a heap, and whose heap does not own them */
    uint64_t adoptions;    /* number of abandoned slabs adopted */
    uint64_t purges;       /* number of spans given back to the system */
    uint64_t purged_bytes; /* their bytes */
    uint64_t pages_moved;  /* number of blocks whose pages realloc moved into another block */
    uint64_t failures;     /* number of allocations that failed for want of memory */
    uint64_t minor_faults; /* number of page faults of the process, served from memory */
    uint64_t major_faults; /* number of page faults that waited for a disk */
    size_t resident;       /* resident bytes of the process, all it maps included */
};

#define MEMS_ENGINE_STATS_VERSION 2

/*
 * mems_engine_stats - the state of the engine's heap at this moment.
 *
 * stats: is filled in; NULL is ignored. Other threads may allocate and free meanwhile: each number is right for a
 * moment within the call; with no other thread running they agree exactly. Takes some microseconds, and one for each
 * thread. Never fails, allocates nothing, leaves errno alone. Starts the heap if it has not started. Origin: this
 * project.
 */
void mems_engine_stats(struct mems_engine_stats *stats);

/*
 * mems_engine_stats_text, mems_engine_stats_json - the same as a table for people, or as one JSON object, written to a
 * file descriptor. Returns 0, or EBADF when fd is negative. Allocate nothing; errno is unchanged.
 * Origin: this project.
 */
int mems_engine_stats_text(int fd);
int mems_engine_stats_json(int fd);

/*
 * --- The MeMS heap ---------------------------------------------------------------------------------------------
 *
 * mems_malloc returns a *MeMS virtual address*: a number in the heap's own address space, which begins at 1000. It is
 * not to be dereferenced. mems_get translates it, and any other address inside the block, to the *MeMS physical
 * address*, where the bytes are. The physical address of a block stays the same as long as the block lives, but for
 * spaces that are made movable.
 *
 *   void *v = mems_malloc(1000);       v is 1000: the block has the virtual addresses 1000..1999
 *   int *p = mems_get(v);              p is an ordinary pointer to its bytes
 *   mems_free(v);
 *
 * The heap's structure is a list of two levels. The *main chain* has a main node for each mapping of whole pages that
 * the system has given (mmap). Its *sub-chain* divides the main node into *segments* without gaps, each a PROCESS,
 * which the user holds, or a HOLE. A request takes the smallest HOLE that fits, of equal ones that with the lowest
 * address; what remains of it is a new HOLE. If none fits, as many whole pages as the request needs become a new main
 * node at the end of the chain. A segment that is freed becomes a HOLE, merged with the HOLEs beside it. Sizes are
 * rounded up to 8 bytes. To find, take, free and translate takes a time proportional to the logarithm of the number of
 * segments, at most.
 *
 * Memory comes from mmap and goes back by munmap, and by nothing else: that of blocks in multiples of PAGE_SIZE, at
 * mems_trim and mems_finish; that of the heap's own nodes in the system's pages.
 *
 * A *space* is a heap of its own with its own virtual addresses. The functions that name none work on the *default
 * space*, which starts with mems_init or with the first allocation. Those whose names begin with mems_space_ do the
 * same with the space that they are given. Any thread may use any space; each has a lock of its own. A forked child has
 * a copy of all of them.
 *
 * In a space *with generations*, and such are those that are made, unless something else is asked for, what the
 * functions hand out and take is a *handle*: the virtual address in the lower 48 bits, and above it a number of the
 * space and how often the place has been used. Offsets are added to a handle as to an address. So the handle of a block
 * that has been freed is refused by all functions, although another block may have its address; and so is that of
 * another space. Only after the place, or one that was joined with it, has been used 2,048 times more may a handle be
 * taken for that of a later block. Printed addresses are the virtual ones. A block that has grown, also in place, has a
 * new handle, which mems_realloc returns.
 *
 * In a *movable* space blocks may be moved, so that those in use lie close together and the rest of the memory goes
 * back (mems_space_compact). Virtual addresses and handles stay. What mems_get has returned is valid until the next
 * call, by any thread, of a function that may move: mems_space_malloc, _calloc, _realloc, _trim, _compact,
 * _compact_for. A block that is *pinned* stays where it is (mems_pin).
 *
 * Errors: a call that makes no sense changes nothing, sets errno, and is told to the error handler; unless the program
 * has one of its own, that is one line on standard error, such as
 *
 *   mems_free: 4008 is inside the block 4000:4999, not its start
 *
 * Origin of all of it: this project.
 */

/*
 * PAGE_SIZE - bytes of a page: the unit in which the default space takes memory. A program may define another one
 * before it includes this header (and the library may be built with another): a multiple of the system's page size.
 */
#ifdef PAGE_SIZE
#define MEMS_PAGE_SIZE_GIVEN
#else
#define PAGE_SIZE 4096
#endif

/*
 * mems_init - starts the default space.
 *
 * Optional: the first mems_malloc, mems_calloc or mems_realloc does it, too; but after mems_finish only mems_init
 * starts it again. Returns 0, also when the space has been started already; otherwise an error number, which is also in
 * errno: EINVAL when PAGE_SIZE is 0 or no multiple of the system's page size, EBUSY when the space is in use with
 * another PAGE_SIZE, ENOMEM when there is no memory.
 */
int mems_init(void);

/*
 * mems_set_page_size - the PAGE_SIZE with which the default space starts next. A program that defines PAGE_SIZE need
 * not call it: the functions that may start the space then do so themselves.
 */
void mems_set_page_size(size_t page_size);

/* What may be chosen for a space; 0 stands for the default. */
struct mems_space_options {
    size_t page_size; /* as PAGE_SIZE; default: the PAGE_SIZE of the library, or the system's page, if that is larger */
    size_t alignment; /* sizes are rounded up to it, and blocks are aligned to it: 8 (default) or 16 */
    int generations;  /* 1: with generations; -1: without. Default: with, but for the default space, without */
    unsigned movable; /* 0: blocks stay (default); MEMS_MOVABLE; MEMS_MOVES_ALWAYS */
};

/*
 * MEMS_MOVABLE - blocks may be moved. MEMS_MOVES_ALWAYS is for finding wrong programs: each block whose physical
 * address has been told by mems_get is moved by the next call that may move, and the memory that it leaves is unmapped,
 * so that whoever uses an old address has a segmentation fault. Each block takes whole pages of its own then.
 */
#define MEMS_MOVABLE 1u
#define MEMS_MOVES_ALWAYS 2u

/*
 * mems_set_options - what the default space is like when it starts next; NULL: as if nothing had been chosen. Returns
 * 0, or EINVAL, which is also in errno, for options that cannot be.
 */
int mems_set_options(const struct mems_space_options *options);

/*
 * mems_finish - ends the default space: unmaps all its memory, blocks that are still held included. No other thread may
 * be in one of its functions.
 *
 * After it every call but mems_init is an error (errno EPERM). Without effect before the start.
 */
void mems_finish(void);

/*
 * mems_malloc - a block of `size` bytes, rounded up to 8.
 *
 * Returns its MeMS virtual address; NULL with errno ENOMEM when size is 0 or above PTRDIFF_MAX, or when the system
 * gives no memory, also after what HOLEs have has gone back as by mems_trim; NULL with errno EPERM after mems_finish,
 * and with mems_init's error when the space cannot be started. The contents are undefined.
 */
void *mems_malloc(size_t size);

/* mems_calloc - as mems_malloc for count * size bytes, all zero; ENOMEM also where the product overflows. */
void *mems_calloc(size_t count, size_t size);

/*
 * mems_realloc - changes the size of a block. Its virtual address, and its physical one, stay where the next segment is
 * a HOLE that is large enough, and where the block shrinks; otherwise the block moves. A block of 64 KiB or more that
 * has to move to grow gets half as much again behind it, and the pages that it leaves go back: what a block that grows
 * step by step has had is at most two and a half times its size. Other threads can use the space while the bytes are
 * copied.
 *
 * v_ptr: a block's start, or NULL, which is mems_malloc(size). size: bytes; 0 frees the block and returns NULL, which
 * is no error. Returns the block's virtual address; its first min(old, new) bytes are as they were. NULL on an error,
 * and the block is untouched: errno ENOMEM as for mems_malloc; EINVAL, EFAULT or EBUSY as for mems_free.
 */
void *mems_realloc(void *v_ptr, size_t size);

/*
 * mems_free - gives a block back. v_ptr: a block's start; NULL is nothing.
 *
 * Anything else is an error: errno is EINVAL for an address inside a block, EFAULT for one in a HOLE (a block that was
 * freed before), for one that was never handed out, and for a handle that is stale or of another space, EBUSY for a
 * block that is pinned. errno is unchanged otherwise.
 */
void mems_free(void *v_ptr);

/*
 * mems_get - the MeMS physical address of any address inside a block. It is aligned as v_ptr - the block's start is: a
 * block starts at a multiple of 8 bytes (or of the space's alignment). NULL with errno EFAULT when v_ptr lies in no
 * block. It takes no lock as long as it finds the block, and its time does not depend on the number of segments, but
 * for the processor's caches.
 */
void *mems_get(void *v_ptr);

/* mems_usable_size - the bytes of the block that starts at v_ptr, its rounding included; 0 for NULL, and on an error as
 * for mems_free. */
size_t mems_usable_size(void *v_ptr);

/*
 * mems_pin - the physical address of any address inside a block, as mems_get, which stays until mems_unpin: the block
 * is not moved, and cannot be freed, nor grow where it would have to move (EBUSY). Pins are counted, up to 2^32 - 1.
 * NULL with errno EFAULT as for mems_get. mems_unpin: v_ptr is any address inside the block; errno is EINVAL when the
 * block is not pinned.
 */
void *mems_pin(void *v_ptr);
void mems_unpin(void *v_ptr);

/*
 * mems_read, mems_write - copy `size` bytes out of a block, and into it, from v_ptr on, which may lie anywhere inside
 * the block.
 *
 * Return 0; EFAULT when v_ptr lies in no block; ERANGE when the block ends before v_ptr + size; EINVAL when the other
 * pointer is NULL and size is not 0. errno is the same then, and nothing has been copied. Two threads that copy to and
 * from the same bytes at the same time race, as with memcpy. Other threads can use the space meanwhile; a block that is
 * freed while it is copied is gone for all others at once, and its place comes free when the copy has ended.
 */
int mems_read(void *v_ptr, void *to, size_t size);
int mems_write(void *v_ptr, const void *from, size_t size);

/*
 * mems_trim - unmaps whole pages inside HOLEs. Their virtual addresses stay reserved, as main nodes without memory,
 * and are backed again when they are used. Returns the bytes unmapped. A main node is divided where a part of it is
 * unmapped, and joined again when that is backed in the same place. The largest HOLEs come first, for the system limits
 * a process's mappings: the memory of all spaces is not cut into more than 16,384 pieces (`pieces` of struct
 * mems_stats). In a movable space it compacts all there is.
 */
size_t mems_trim(void);

/*
 * mems_compact, mems_compact_for - move blocks of a movable space together, and give back the memory that comes free:
 * bounded work, to be called again and again, say when there is nothing else to do. Blocks that are pinned stay.
 *
 * budget: about how many bytes are moved at most, where a node counts as 1 KiB; 0: no limit. microseconds: about how
 * long it may take, 1 step at least. Other threads can use the space between two steps of 128 KiB. Returns how many
 * bytes it has moved and given back, both together; 0: there is nothing to gain. Of a space that is not movable the
 * nodes alone are moved together.
 */
size_t mems_compact(size_t budget);
size_t mems_compact_for(unsigned microseconds);

/*
 * mems_print_stats, mems_fprint_stats - the main chain with its sub-chains as text, to standard output or to a stream,
 * in the form that docs/mems.md describes. The picture is that of one moment. ENOMEM when there is no memory to gather
 * it in.
 */
void mems_print_stats(void);
void mems_fprint_stats(FILE *stream);

/* mems_stats_json - the same as one JSON object: the numbers of struct mems_stats, and all main nodes with their
 * segments, virtual and physical addresses. */
void mems_stats_json(FILE *stream);

/*
 * The default space, or another, in numbers.
 *
 *   process_bytes + hole_bytes + gap_bytes = pages * page_size + reserved_bytes
 *
 * gap_bytes is 0 but in a movable space, where all HOLEs are without memory (reserved_bytes = hole_bytes).
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
    size_t metadata_bytes; /* bytes in use, or once in use, for the space's own nodes and tables */
    uint64_t maps;         /* number of mappings made for blocks */
    uint64_t unmaps;       /* number of them, or of parts of them, given back */
    uint64_t failures;     /* number of requests for memory that failed */
    size_t gap_bytes;      /* bytes of a movable space's memory that no block has */
    size_t regions;        /* number of mappings that its blocks are in */
    size_t pinned;         /* number of blocks that are pinned */
    uint64_t moved_blocks; /* number of blocks that have been moved together */
    uint64_t moved_bytes;  /* and their bytes */
    size_t pieces;         /* number of parts of the memory that no other touches */
};

/* mems_stats - fills in *stats; before the start all but page_size is 0, and after mems_finish all. errno is EINVAL,
 * and that is told, when stats is NULL. */
void mems_stats(struct mems_stats *stats);

/* What mems_walk shows of a segment. */
enum mems_kind { MEMS_PROCESS, MEMS_HOLE };

struct mems_segment {
    size_t main_index;    /* number of its main node, from 0 on */
    uintptr_t main_start; /* the main node's first virtual address */
    uintptr_t main_last;  /* and its last one */
    uintptr_t start;      /* the segment's first virtual address */
    uintptr_t last;       /* and its last one */
    void *physical;       /* where its bytes are; NULL where the main node has no memory */
    enum mems_kind kind;
    void *v_ptr;   /* a PROCESS's handle; NULL for a HOLE */
    unsigned pins; /* how often it is pinned */
};

/*
 * mems_walk - calls visit(segment, context) for every segment, in order of virtual addresses, until it returns
 * something other than 0. A main node begins where segment->start is segment->main_start.
 *
 * Returns what visit returned last; 0 for an empty heap; -1 with errno ENOMEM when there is no memory for the list, or
 * EINVAL when visit is NULL. The
 * segments are those of one moment, and no lock is held: visit may call all functions. A visit that is left by longjmp
 * leaves the list mapped.
 */
int mems_walk(int (*visit)(const struct mems_segment *segment, void *context), void *context);

/* What an error handler is told. */
struct mems_error {
    const char *function; /* the function that was called, such as "mems_free" */
    uintptr_t address;    /* the handle or virtual address it was given; 0 where there is none */
    int error;            /* the error number that errno is set to */
    const char *text;     /* the line without its newline; valid until the handler returns */
};

/*
 * mems_set_error_handler - has errors told to handler(error, context) instead of standard error; NULL: standard error
 * again. For all spaces. The handler is called by the thread that made the error, with no lock held, and may call any
 * function; errno is set when it has returned.
 */
void mems_set_error_handler(void (*handler)(const struct mems_error *error, void *context), void *context);

/* A heap of its own. */
struct mems_space;

/*
 * mems_space_create - a new, empty space. options: NULL for the defaults. Returns NULL with errno EINVAL for options
 * that cannot be, ENOMEM when there is no memory. Up to 31 spaces with generations have numbers of their own; of
 * further ones a handle may be taken for one of another space with the same number, if the same generation is there by
 * chance. mems_space_destroy unmaps all of a space; nobody may use it any more, or be in one of its functions.
 */
struct mems_space *mems_space_create(const struct mems_space_options *options);
void mems_space_destroy(struct mems_space *space);

/* The same functions on a space. A NULL space is an error, errno EINVAL. */
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

/* In a file that has a PAGE_SIZE of its own, the calls that may start the default space start it with that. */
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
