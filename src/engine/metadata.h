/*
 * metadata.h - memory for the engine's own structures, apart from every block.
 *
 * Pieces of 64 to METADATA_MAX bytes, in steps of 64, cut from the window's metadata area from its start on; those
 * whose size is a power of two are aligned to it. A piece that is given back serves the next request of its size; when
 * the area is at its end, pieces that touch are merged, and serve any size. Pages that hold nothing but free pieces go
 * back to the system when the heap is trimmed, and later requests of any size are cut from them. The memory is never
 * unmapped, so a descriptor may be read at any time, also after it was given back: it is then stale, and never a fault.
 */
#ifndef MEMS_ENGINE_METADATA_H
#define MEMS_ENGINE_METADATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/lock.h"

#define METADATA_STEP ((size_t)64)
#define METADATA_MAX ((size_t)8192)

/* A free one. */
struct metadata_piece {
    struct metadata_piece *next;
    size_t size; /* while pieces are merged */
};

/* Pages of the area that have gone back to the system. */
struct metadata_run {
    uint32_t first;
    uint32_t pages;
};

/* used = the pieces in use + spare + returned. All under `lock`. */
struct metadata {
    struct lock lock;
    size_t used;     /* bytes cut off the area so far */
    size_t spare;    /* bytes of them that lie in `free`, and between `open` and `open_end` */
    size_t unmerged; /* bytes given back since pieces were last merged */
    size_t returned; /* bytes of them that lie in `runs` */
    uintptr_t open;  /* what is left of the run from which pieces are being cut */
    uintptr_t open_end;
    struct metadata_run *runs; /* run_count of them, in a mapping of runs_size bytes */
    size_t run_count;
    size_t runs_size;
    bool trimming;                                                 /* a thread holds pages that are in none of these */
    struct metadata_piece *free[METADATA_MAX / METADATA_STEP + 1]; /* by size in steps */
};

extern struct metadata metadata;

/* A piece of at least `size` bytes; its contents are undefined. NULL when there is no memory for it. */
void *metadata_alloc(size_t size);

/*
 * The same for what a free cannot do without. The other requests leave the last METADATA_HEADROOM accessible bytes
 * untouched, so that these succeed for some time after memory has run out.
 */
#define METADATA_HEADROOM ((size_t)64 << 10)
void *metadata_alloc_urgent(size_t size);

/*
 * What describes one unit of the window, at most: the slab of the smallest class, and a free span. So much becomes
 * accessible with the unit, or the limit that ends the one would end the other: a heap of large blocks, say, could
 * never become one of small blocks.
 */
#define METADATA_OF_UNIT ((size_t)768)

/* Makes metadata for so many units accessible, if the system allows it. */
void metadata_reserve(size_t units);

/* Gives back a piece of `size` bytes. */
void metadata_free(void *piece, size_t size);

/*
 * Gives pages that hold no piece in use to the system; the bytes given. O(free pieces), and others wait meanwhile, but
 * not while the system takes the pages. Nothing happens without memory for a word a page, or while another thread is at
 * it.
 */
size_t metadata_trim(void);

/* In a forked child: nobody is trimming. */
void metadata_recover(void);

/* True when all invariants hold; otherwise *why names the first that does not. O(free pieces). */
bool metadata_valid(const char **why);

#endif
