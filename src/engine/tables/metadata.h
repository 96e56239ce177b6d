/*
 * metadata.h - memory for the engine's own structures, away from all blocks.
 *
 * Pieces of 64 to METADATA_MAX bytes, in steps of 64, are cut from the window's metadata area; those whose size is a
 * power of two are aligned to it. A freed piece serves the next request of its size; when the area is used up, adjacent
 * pieces are merged to serve any size. Trimming gives completely free pages back to the system; later requests are cut
 * from them. The memory is never unmapped, so reading a freed descriptor finds stale data but never faults.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/lock.h"

#define METADATA_STEP ((size_t)64)
#define METADATA_MAX ((size_t)16384)

/* A free one. */
struct metadata_piece {
    struct metadata_piece *next;
    size_t size; /* while pieces are merged */
};

/* Purged pages of the area. */
struct metadata_run {
    uint32_t first;
    uint32_t pages;
};

/* used = the pieces in use + spare + returned. All under `lock`. */
struct metadata {
    struct lock lock;
    size_t used;     /* bytes cut off the area */
    size_t spare;    /* of these: in `free`, and between `open` and `open_end` */
    size_t unmerged; /* bytes freed since the last merge */
    size_t returned; /* of the used: in `runs` */
    uintptr_t open;  /* the rest of the run that is being cut */
    uintptr_t open_end;
    struct metadata_run *runs; /* run_count of them, in a mapping of runs_size bytes */
    size_t run_count;
    size_t runs_size;
    bool trimming;                                                 /* a thread holds pages that are in none of these */
    struct metadata_piece *free[METADATA_MAX / METADATA_STEP + 1]; /* by size in steps */
};

extern struct metadata metadata;

/* At least `size` bytes, undefined contents; NULL if there is no memory. */
void *metadata_alloc(size_t size);

/* The most metadata that one unit needs: the slab of the smallest class, and a free span. It becomes accessible with
 * the unit; otherwise, under a memory limit, units could use up the room for metadata, and a heap of large blocks could
 * never become one of small blocks. */
#define METADATA_OF_UNIT ((size_t)768)

/* Makes that accessible for `units` units, if the system allows it. */
void metadata_reserve(size_t units);

/* The window has been shrunk to these units: what was made accessible for more is claimed again when needed. */
void metadata_retreat(size_t units);

void metadata_free(void *piece, size_t size);

/* Gives completely free pages back to the system; returns the bytes. O(free pieces), with the lock held except during
 * system calls. Does nothing without memory for a word per page, or while another thread is at it. */
size_t metadata_trim(void);

/* In a forked child, where no thread is trimming. */
void metadata_recover(void);

/* O(free pieces). */
bool metadata_valid(const char **why);
