/*
 * mems.h - the public interface of libmems beyond the standard malloc family.
 *
 * libmems.so and libmems.a replace malloc, free and their kin; those need no header but the C library's own. What is
 * declared here is particular to MeMS: its version, its options and its statistics. All functions may be called from
 * any thread, before main and after it, but not in a signal handler that may have interrupted the heap. Where a line of
 * documentation says "this project", the behaviour is defined here and nowhere else.
 */
#ifndef MEMS_H
#define MEMS_H

#include <stddef.h>
#include <stdint.h>

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

/* At most this many size classes are reported. */
#define MEMS_SIZE_CLASSES 80

/*
 * One size class of small blocks. slots = live + cached + free. A block that another thread has freed counts as live
 * until the heap that owns it has got it back.
 */
struct mems_class_stats {
    size_t size;   /* bytes of a slot */
    size_t slabs;  /* slabs of this class */
    size_t slots;  /* slots of these slabs */
    size_t live;   /* slots that a user holds */
    size_t cached; /* slots in a thread's magazine */
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
    size_t cached;     /* in magazines */
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
    uint64_t remote_frees; /* number of blocks freed by a thread whose heap does not own them */
    uint64_t adoptions;    /* number of orphaned slabs adopted */
    uint64_t purges;       /* number of spans given back to the system */
    uint64_t purged_bytes; /* their bytes */
    uint64_t pages_moved;  /* number of blocks whose pages realloc moved into another block */
    uint64_t failures;     /* number of allocations that failed for want of memory */
    uint64_t minor_faults; /* number of page faults of the process, served from memory */
    uint64_t major_faults; /* number of page faults that waited for a disk */
    size_t resident;       /* resident bytes of the process, all it maps included */
};

#define MEMS_ENGINE_STATS_VERSION 1

/*
 * mems_engine_stats - the state of the engine's heap at this moment.
 *
 * stats: is filled in. Other threads may allocate and free meanwhile: each number is right for a moment within the
 * call; with no other thread running they agree exactly. Walks the heap: some microseconds a MiB. Never fails,
 * allocates nothing, leaves errno alone. Starts the heap if it has not started. Origin: this project.
 */
void mems_engine_stats(struct mems_engine_stats *stats);

/*
 * mems_engine_stats_text, mems_engine_stats_json - the same as a table for people, or as one JSON object, written to a
 * file descriptor. Returns 0, or EBADF when fd is negative. Allocate nothing; errno is unchanged.
 * Origin: this project.
 */
int mems_engine_stats_text(int fd);
int mems_engine_stats_json(int fd);

#ifdef __cplusplus
}
#endif

#endif
