/* engine.h - the engine's heap in the target: its window, walked span by span, and its heaps (docs/ARCHITECTURE.md has
 * the terms). Everything is read in its current state; while the target runs, a slab whose numbers do not agree is read
 * again, and counted if they still do not. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/target.h"
#include "walk/layout.h"

#define CLASSES_MAX 256u

/* The most units and slots of a slab of any library. */
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
enum engine_table {
    TABLE_PAGE_MAP,
    TABLE_SPANS,
    TABLE_HEAPS,
    TABLE_LINKS,
    TABLE_LIVE,
    TABLE_METADATA,
    TABLE_RECORDS, /* empty without harden=full */
    TABLES
};

enum engine_kind {
    SPAN_UNUSED,   /* never part of a span */
    SPAN_FRESH,    /* free, and reads as zero */
    SPAN_UNMAPPED, /* free, and nothing is mapped there */
    SPAN_DIRTY,    /* free, and may hold old data */
    SPAN_PURGING,
    SPAN_LOST,
    SPAN_LARGE, /* begins with UNIT_LARGE if the block is live, with UNIT_PART if not; all other units are UNIT_PART */
    SPAN_SLAB,
    SPAN_SAMPLES, /* sampled small blocks with guards behind them */
    SPAN_TORN,    /* none of these, or unreadable */
    SPAN_KINDS
};

/* "slab", "large block", "free, dirty" and so on. */
extern const char *const engine_kind_names[SPAN_KINDS];

enum engine_state { STATE_LIVE, STATE_CACHED, STATE_REMOTE, STATE_FREE, STATES };

/* Offsets in the library's structures; `first` and `units` are those of the span in each. */
struct engine_fields {
    struct field live_word, live_word_live, live_word_remote;
    struct field span_first;
    struct field slab, slab_span, slab_first, slab_units, slab_slots, slab_free, slab_used, slab_unsettled, slab_born,
        slab_bitmap;
    struct field guarded_span, guarded_first, guarded_units, guarded_cells, guarded_kind;
    struct field large, large_span, large_first, large_units, large_requested, large_arena;
};

struct engine {
    struct target *target;
    struct layout *layout;
    const char *trouble; /* why the heap cannot be read, or NULL */

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
    uint64_t decay_ms; /* 0: or not known */

    /* Tables that the library describes besides the window. */
    bool has_heaps, has_counters, has_cached, has_huge, has_freed;

    /* As they were when the engine was opened, with their refills and flushes of each class. */
    struct engine_heap *heap_list; /* ascending by id */
    size_t heap_count;
    uint64_t refills[CLASSES_MAX];
    uint64_t flushes[CLASSES_MAX];

    /* With check=deferred: the blocks in magazines, ascending. */
    uint64_t *deferred;
    size_t deferred_count;

    char *root; /* a copy of mems_root */

    /* Addresses and layout that a walk needs. */
    uint64_t page_map;
    uint64_t spans;
    uint64_t live_map;
    uint64_t heaps;
    uint64_t huge_table;
    uint64_t kinds[SPAN_LARGE + 1]; /* the page map's entries */
    uint64_t part;
    uint64_t samples; /* the entry of sampled blocks' spans; no entry's if the library takes none */
    uint64_t page;    /* sizes of large blocks are rounded up to this */
    uint64_t heap_shift;
    uint64_t class_mask;
    uint64_t heap_abandoned;
    uint64_t live_word_bits;
    struct engine_fields fields;
};

/* engine->trouble says why it cannot be read, if so. */
void engine_open(struct engine *engine, struct target *target, struct layout *layout);
void engine_close(struct engine *engine);

/* The address in a member of the root; 0 if the root lacks the member. */
uint64_t engine_structure(struct engine *engine, const char *member);

/* The size of the slots that serve requests of a size; `otherwise` if it is beyond the classes. */
uint64_t engine_class_size(const struct engine *engine, uint64_t size, uint64_t otherwise);
