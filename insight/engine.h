/*
 * engine.h - the engine's heap in the target: its window, walked span by span, and its heaps.
 *
 * The words are those of docs/ARCHITECTURE.md. Everything is read as it is at that moment; while the target runs, a
 * slab whose numbers do not agree is read again, and counted if they still do not.
 */
#ifndef MEMS_INSIGHT_ENGINE_H
#define MEMS_INSIGHT_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"
#include "target.h"

#define CLASSES_MAX 256u

/* A slab has at most this many units and slots: no class of any library has more. */
#define SLAB_UNITS_MAX 64u
#define SLAB_SLOTS_MAX 65535u

struct engine_class {
    uint64_t size;
    uint64_t slots;
    uint64_t units;
    uint64_t magazine; /* the most blocks of a magazine */
};

struct engine_area {
    uint64_t start;
    uint64_t size;
    uint64_t accessible;
};

/* The areas of the tables, in this order. */
enum engine_table { TABLE_PAGE_MAP, TABLE_SPANS, TABLE_HEAPS, TABLE_LINKS, TABLE_LIVE, TABLE_METADATA, TABLES };

enum engine_kind {
    SPAN_UNUSED,   /* never part of a span */
    SPAN_FRESH,    /* free, and reads as zero */
    SPAN_UNMAPPED, /* free, and nothing is mapped there */
    SPAN_DIRTY,    /* free, and may hold what its last user left */
    SPAN_PURGING,
    SPAN_LOST,
    SPAN_LARGE, /* begins with UNIT_LARGE if the block is live, with UNIT_PART if not; all its other units are UNIT_PART
                 */
    SPAN_SLAB,
    SPAN_TORN, /* none of these, or one that cannot be read */
    SPAN_KINDS
};

enum engine_state { STATE_LIVE, STATE_CACHED, STATE_REMOTE, STATE_FREE, STATES };

struct engine {
    struct target *target;
    struct layout *layout;
    const char *trouble; /* why the heap cannot be read; NULL: it can */

    uint64_t base;
    uint64_t top; /* units that have been part of a span */
    uint64_t unit;
    uint64_t granule;
    struct engine_area units;
    struct engine_area tables[TABLES];
    uint64_t tables_start;
    uint64_t tables_size;
    uint64_t window_size;
    struct engine_class classes[CLASSES_MAX];
    unsigned class_count;
    uint64_t heaps_made;
    uint64_t heaps_in_use;
    uint64_t decay_ms;

    /* With check=deferred the blocks that lie in magazines: ascending. */
    uint64_t *deferred;
    size_t deferred_count;

    /* Addresses and layout that a walk needs. */
    uint64_t page_map;
    uint64_t spans;
    uint64_t live_map;
    uint64_t links;
    uint64_t heaps;
    uint64_t abandoned;
    uint64_t huge_table;
    uint64_t metadata;
    uint64_t spans_state;           /* the structure `spans` */
    uint64_t kinds[SPAN_LARGE + 1]; /* the page map's entries */
    uint64_t part;
    uint64_t page; /* what sizes of large blocks are rounded up to */
    uint64_t heap_shift;
    uint64_t class_mask;
    uint64_t heap_abandoned;
    uint64_t live_word_bits;
    struct field live_word, live_word_live, live_word_remote;
    struct field span_first;
    struct field slab, slab_span, slab_first, slab_units, slab_slots, slab_free, slab_used, slab_unsettled, slab_fresh,
        slab_born, slab_bitmap;
    struct field large, large_span, large_first, large_units, large_requested;
};

/* Finds everything; engine->trouble tells what is in the way. */
void engine_open(struct engine *engine, struct target *target, struct layout *layout);
void engine_close(struct engine *engine);

/* --- The window --------------------------------------------------------------------------------------------------- */

/* What a walk is at: a run of units. Free units come one at a time. */
struct engine_span {
    uint64_t unit;
    uint64_t units;
    uint64_t start; /* address */
    enum engine_kind kind;
    unsigned size_class;
    uint64_t heap;       /* id */
    uint64_t descriptor; /* address; 0: none */
    /* Of a slab: */
    unsigned slots;
    unsigned free;
    unsigned used;
    bool fresh;
    bool unsettled;
    uint64_t born_s; /* 0: not known */
    bool torn;       /* its numbers do not agree, and did not after a second reading */
    /* Of a large block: */
    uint64_t size;
    bool live;
};

#define WALK_UNITS 256u

struct engine_walk {
    struct engine *engine;
    struct engine_span span;
    uint64_t next; /* unit */
    uint64_t torn; /* slabs so far that changed while they were read */

    /* What has been read ahead, for `loaded` units from `first` on. */
    uint64_t first;
    uint64_t loaded;
    uint32_t entries[WALK_UNITS];
    uint64_t descriptors[WALK_UNITS];
    char *live_map;

    /* Of the slab: bits by slot (free) and by granule (live, remote). */
    uint64_t *free;
    uint64_t *live;
    uint64_t *remote;
    char *descriptor;
};

void engine_walk_start(struct engine_walk *walk, struct engine *engine, uint64_t unit);
void engine_walk_end(struct engine_walk *walk);

/* Goes to the next span; false behind the last one. */
bool engine_walk_next(struct engine_walk *walk);

/* Of the slab that the walk is at. */
enum engine_state engine_slot_state(const struct engine_walk *walk, unsigned slot);

/* The bytes of a page of the slab (`offset` from its start) by state; what is left of `page_size` lies in no slot. */
void engine_page_states(const struct engine_walk *walk, uint64_t offset, uint64_t page_size, uint64_t bytes[STATES]);

/* How many slots of the slab have each state. */
void engine_slab_states(const struct engine_walk *walk, uint64_t slots[STATES]);

/* The walk at the span that holds an address of the window; false: there is none. */
bool engine_walk_to(struct engine_walk *walk, struct engine *engine, uint64_t address);

/* --- Heaps -------------------------------------------------------------------------------------------------------- */

struct engine_heap {
    uint64_t id;
    uint64_t address;
    bool in_use;
    bool checks_every;
    uint64_t thread; /* the thread pointer of its thread; 0: not known */
    uint64_t slab_bytes;
    uint64_t stored_bytes;
    uint64_t large_bytes;
    uint64_t refills, flushes, remote_frees, adoptions, stolen;
};

/* A heap by its id; false when there is none, or it cannot be read. */
bool engine_heap(struct engine *engine, uint64_t id, struct engine_heap *heap);

/* Adds a heap's refills and flushes of each class. */
void engine_heap_classes(struct engine *engine, const struct engine_heap *heap, uint64_t refills[CLASSES_MAX],
                         uint64_t flushes[CLASSES_MAX]);

/* A block that a heap has at hand. `where` is "its thread's magazine" or "its depot". */
struct engine_cached {
    uint64_t block;
    uint64_t heap;
    unsigned size_class;
    const char *where;
};

/* Shows the small blocks that a heap has at hand to `visit`, until that returns false. */
void engine_cached(struct engine *engine, uint64_t id, bool (*visit)(const struct engine_cached *cached, void *context),
                   void *context);

/* Where a heap keeps a block that is not live; NULL: nowhere. */
const char *engine_heap_keeps(struct engine *engine, uint64_t id, uint64_t block);

/* --- Huge blocks -------------------------------------------------------------------------------------------------- */

struct engine_huge {
    uint64_t start;
    uint64_t last;
};

/* The live ones, ascending; the caller frees the array. *count tells how many. */
struct engine_huge *engine_huge_blocks(struct engine *engine, size_t *count);

/* Whether an address lay in a huge block that was freed of late; which. */
bool engine_huge_freed(struct engine *engine, uint64_t address, struct engine_huge *block);

#endif
