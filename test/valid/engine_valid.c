/* engine_valid.c - the engine's invariants, over every unit, span, slab, list and heap. */
#include "engine_valid.h"

#include "base/broken.h"
#include "engine/heaps/hardened_heap.h"
#include "engine/heaps/heap.h"
#include "engine/heaps/magazine.h"
#include "engine/heaps/magazine_budget.h"
#include "engine/heaps/remote.h"
#include "engine/memory/huge.h"
#include "engine/memory/large.h"
#include "engine/root/root.h"
#include "engine/samples/sample.h"
#include "engine/slabs/abandoned.h"
#include "engine/slabs/slab.h"
#include "engine/tables/holding.h"
#include "engine/tables/live_map.h"
#include "engine/tables/metadata.h"
#include "large_cache_valid.h"

static bool free_span_valid(const struct free_span *free, size_t unit, const char **why) {
    size_t end = unit + free->span.units;
    if (free->span.first != unit || window.spans[end - 1] != &free->span) {
        return broken(why, "a free span's ends do not point at it");
    }
    for (size_t at = unit; at < end; at++) {
        if (!entry_is_free(page_map_load(at))) {
            return broken(why, "a unit of a free span is not free");
        }
    }
    return (end == spans.top || !entry_is_free(page_map_load(end)) || broken(why, "two free spans touch")) &&
           (page_map_count(unit, free->span.units, UNIT_DIRTY) == free->dirty_units ||
            broken(why, "a free span's dirty units are not those of the page map")) &&
           ((free->dirty_units == 0) == list_empty(&free->age) ||
            broken(why, "a free span ages without being dirty, or the other way round")) &&
           (live_count_bits(unit, free->span.units) == 0 || broken(why, "a bit of the live map is set in a free span"));
}

/* Counted by walking the window, to compare with the counters. */
struct census {
    size_t live_units;
    size_t free_units;
    size_t dirty_units;
    size_t unmapped_units;
    size_t lost_units;
    size_t slabs;
    size_t guarded; /* spans */
    size_t present; /* pages of slabs */
    size_t cached;  /* slots */
    struct {
        size_t slabs;
        size_t free;
        size_t untouched;
    } classes[SIZE_CLASSES];
};

static bool span_valid_at(size_t unit, struct census *census, size_t *units, const char **why) {
    uint32_t entry = page_map_load(unit);
    const struct span *span = window.spans[unit];
    *units = 1;
    if (entry == UNIT_LOST) {
        census->lost_units++;
        return true;
    }
    if (span->first != unit || span->units == 0 || unit + span->units > spans.top) {
        return broken(why, "a span does not start where its unit says");
    }
    *units = span->units;
    if (entry_is_free(entry)) {
        const struct free_span *free = CONTAINER_OF(span, struct free_span, span);
        census->free_units += span->units;
        census->dirty_units += free->dirty_units;
        census->unmapped_units += page_map_count(unit, span->units, UNIT_UNMAPPED);
        return free_span_valid(free, unit, why);
    }
    census->live_units += span->units;
    if (entry_is_slab(entry)) {
        const struct slab *slab = CONTAINER_OF(span, struct slab, span);
        if (!slab_valid(slab, why)) {
            return false;
        }
        census->slabs++;
        census->classes[entry_class(entry)].slabs++;
        census->classes[entry_class(entry)].free += slab_free_slots(slab);
        census->classes[entry_class(entry)].untouched +=
            atomic_load_explicit(&slab->fresh, memory_order_relaxed) ? slab->slots - slab_used(slab) : 0;
        census->present += slab_present(slab);
        census->cached += slab_count_cached(slab);
        return true;
    }
    if (entry == UNIT_SAMPLES) {
        census->guarded++;
        return guarded_valid(CONTAINER_OF(span, struct guarded, span), why);
    }
    if (entry != UNIT_LARGE && entry != UNIT_PART) {
        return broken(why, "a unit below the top is unused, or being purged");
    }
    return (page_map_count(unit + 1, span->units - 1, UNIT_PART) == span->units - 1 ||
            broken(why, "a unit within a large block is not part of it")) &&
           (large_size(CONTAINER_OF(span, struct large, span)) <= (size_t)span->units << UNIT_SHIFT ||
            broken(why, "a large block is larger than its span")) &&
           (live_count_bits(unit, span->units) == 0 ||
            broken(why, "a bit of the live map is set within a large block"));
}

/* Areas grow by multiples of a page; reserved ones by multiples of a unit, and so of every page size. */
static bool areas_valid(const char **why) {
    const struct area *const areas[] = {&window.page_map_area,    &window.spans_area,    &window.heaps_area,
                                        &window.inbox_links_area, &window.live_map_area, &window.records_area,
                                        &window.metadata_area,    &window.units_area};
    for (size_t i = 0; i < sizeof areas / sizeof *areas; i++) {
        if (areas[i]->start % UNIT || areas[i]->accessible % (areas[i]->claimed ? os_page_size() : UNIT) ||
            areas[i]->accessible > areas[i]->size) {
            return broken(why, "an area ends within a page or unit, or beyond what is reserved");
        }
    }
    return true;
}

static bool slab_counts_valid(const struct census *census, const char **why) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        size_t slabs = census->classes[size_class].slabs;
        size_t free = census->classes[size_class].free;
        size_t untouched = census->classes[size_class].untouched;
        for (unsigned row = 0; row < SLAB_COUNT_ROWS; row++) {
            const struct slab_counts *counts = &slab_counts[row][size_class];
            slabs -= atomic_load_explicit(&counts->slabs, memory_order_relaxed);
            free -= atomic_load_explicit(&counts->free, memory_order_relaxed);
            untouched -= atomic_load_explicit(&counts->untouched, memory_order_relaxed);
        }
        if (slabs != 0 || free != 0 || untouched != 0) {
            return broken(why, "the slabs of a class are not what is counted");
        }
    }
    return true;
}

static bool window_valid(struct census *census, const char **why) {
    for (size_t unit = 0, units; unit < spans.top; unit += units) {
        if (!span_valid_at(unit, census, &units, why)) {
            return false;
        }
    }
    if (census->live_units != spans.live_units || census->free_units != spans.free_units ||
        census->dirty_units != spans.dirty_units || census->unmapped_units != spans.unmapped_units ||
        census->lost_units != spans.lost_units) {
        return broken(why, "the units by state are not what the walk counts");
    }
    if (holding_held() != ((census->live_units + census->dirty_units) << UNIT_SHIFT) + huge_table.bytes) {
        return broken(why, "what is held is not what is live and dirty");
    }
    if (!slab_counts_valid(census, why)) {
        return false;
    }
    if (spans.taken && spans.descriptors < spans.taken + SPANS_SPARE) {
        return broken(why, "there are too few descriptors to free every span");
    }
    return free_span_index_valid(&spans.fresh, why) && free_span_index_valid(&spans.dirty, why) &&
           (list_valid(&spans.aging, spans.top) || broken(why, "the list of dirty spans is torn"));
}

/* The slabs of one class and heap: those with free slots first. Adds their number to *slabs. */
static bool slabs_valid(const struct list *head, uint32_t id, unsigned size_class, size_t *slabs, const char **why) {
    if (!list_valid(head, spans.top)) {
        return broken(why, "a list of slabs is torn");
    }
    bool full_seen = false;
    for (const struct list *link = head->next; link != head; link = link->next) {
        const struct slab *slab = CONTAINER_OF(link, struct slab, link);
        if (page_map_load(slab->span.first) != (page_map_tag(id) | size_class)) {
            return broken(why, "a slab is in the list of another heap or class");
        }
        if (full_seen && slab_free_slots(slab)) {
            return broken(why, "a slab with free slots stands behind a full one");
        }
        full_seen = slab_free_slots(slab) == 0;
        ++*slabs;
    }
    return true;
}

static bool blocks_valid(const struct heap *heap, unsigned size_class, void *const *blocks, size_t count, bool live,
                         const char **why) {
    for (size_t i = 0; i < count; i++) {
        if (page_map_load(window_unit(blocks[i])) != (page_map_tag(heap->id) | size_class)) {
            return broken(why, "a magazine holds a block of another heap or class");
        }
        const struct slab *slab = slab_of(blocks[i]);
        size_t offset = (uintptr_t)blocks[i] - (uintptr_t)window_address(slab->span.first);
        if (slab_slot_free(slab, size_class_slot(size_class, offset))) {
            return broken(why, "a block in a magazine is free in its slab");
        }
        if (live_test(blocks[i]) != live) {
            return broken(why, "a block in a magazine is live, or not, against its heap's mode");
        }
    }
    return true;
}

/* *bytes sums up the stored magazines of the classes. */
static bool stock_valid(const struct heap *heap, unsigned size_class, size_t *bytes, const char **why) {
    const struct heap_class *of = &heap->classes[size_class];
    const unsigned size = stored_size(size_class);
    size_t count = 0;
    for (const struct stored *stored = of->stock.magazines; stored != NULL; stored = stored->next) {
        if (++count > of->stock.count) {
            return broken(why, "a class has more stored magazines than are counted");
        }
        if (!blocks_valid(heap, size_class, stored_blocks(stored, size_class), size, false, why)) {
            return false;
        }
    }
    *bytes += count * size * size_classes[size_class].size;
    return (count == of->stock.count && of->stock.surplus <= of->stock.count) ||
           broken(why, "a class has fewer stored magazines than are counted");
}

static bool magazine_valid(const struct heap *heap, unsigned size_class, const char **why) {
    void **bottom = heap->bottoms[size_class];
    void **top = heap->tops[heap->mode_offset + size_class];
    static const uint32_t offsets[] = {0, DEFERRED, HARDENED};
    for (unsigned i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        if (offsets[i] != heap->mode_offset && heap->tops[offsets[i] + size_class] != MAGAZINE_NONE) {
            return broken(why, "a magazine of a mode that is not in use is not empty");
        }
    }
    if (bottom == NULL) {
        return top == MAGAZINE_NONE || broken(why, "a magazine has a top and no bottom");
    }
    if (*bottom != NULL || magazine_count(heap, size_class) > magazine_capacity(heap, size_class)) {
        return broken(why, "a magazine has no bottom, or holds more than it can");
    }
    return blocks_valid(heap, size_class, bottom + 1, (size_t)(top - bottom), !heap->checks_every, why);
}

/* A heap without a thread owns nothing and receives no units. */
static bool is_vacant(const struct heap *heap) {
    if (heap_is_bare(heap)) {
        return atomic_load_explicit(&heap->inbox, memory_order_relaxed) == INBOX_CLOSED;
    }
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        const struct heap_class *of = &heap->classes[size_class];
        if (!list_empty(&of->slabs) || heap->bottoms[size_class] != NULL || of->stock.magazines != NULL ||
            of->ring != 0) {
            return false;
        }
    }
    return depot_empty(&heap->depot) && large_cache_count(&heap->larges) == 0 && heap->backlog == 0 &&
           atomic_load_explicit(&heap->inbox, memory_order_relaxed) == INBOX_CLOSED;
}

/* Heaps are unused, or in use with an open inbox. */
static bool heaps_valid(const char **why) {
    const uint32_t made = heaps_made();
    size_t open = 0;
    size_t unused = 0;
    size_t arenas = 0;
    if (!list_valid(&heaps.unused, made)) {
        return broken(why, "the list of unused heaps is torn");
    }
    for (const struct list *link = heaps.unused.next; link != &heaps.unused; link = link->next, unused++) {
        if (!is_vacant(CONTAINER_OF(link, struct heap, link))) {
            return broken(why, "an unused heap has something");
        }
    }
    for (uint32_t id = 1; id <= made; id++) {
        const struct heap *heap = heap_of(id);
        if (heap->id != id || (!heap_is_bare(heap) && heap->tag != heap_tag(heap))) {
            return broken(why, "a heap's id is not its number");
        }
        open += atomic_load_explicit(&heap->inbox, memory_order_relaxed) != INBOX_CLOSED;
        arenas += heap->arena != NULL;
    }
    if (arenas != atomic_load_explicit(&heaps.arenas, memory_order_relaxed)) {
        return broken(why, "the arenas are not those that are counted");
    }
    return (open == atomic_load_explicit(&heaps.in_use, memory_order_relaxed) && open + unused == made) ||
           broken(why, "the heaps in use and the unused ones are not all");
}

/* How many units, and the sum of their numbers. */
struct units {
    size_t count;
    size_t sum;
};

static void units_add(struct units *units, size_t unit) {
    units->count++;
    units->sum += unit;
}

/* An inbox or a backlog: its units' links are set. */
static bool chain_valid(uint32_t head, struct units *units, const char **why) {
    while (head != 0) {
        size_t unit = head - 1;
        if (unit >= spans.top || units->count > spans.top) {
            return broken(why, "an inbox leads out of the window, or in a circle");
        }
        uint32_t link = atomic_load_explicit(&window.inbox_links[unit], memory_order_relaxed);
        if (link == 0) {
            return broken(why, "a unit in an inbox has no link");
        }
        units_add(units, unit);
        head = link & ~LINK_SET;
    }
    return true;
}

/* The units of a class that wait to be collected: a ring of units of the heap's slabs. */
static bool ring_valid(const struct heap *heap, unsigned size_class, struct units *units, const char **why) {
    uint32_t number = heap->classes[size_class].ring;
    if (number == 0) {
        return true;
    }
    do {
        size_t unit = number - 1;
        if (unit >= spans.top || units->count > spans.top) {
            return broken(why, "a ring of units leads out of the window, or not back");
        }
        if (page_map_load(unit) != (page_map_tag(heap->id) | size_class)) {
            return broken(why, "a unit waits in the ring of another heap or class");
        }
        units_add(units, unit);
        number = atomic_load_explicit(&window.inbox_links[unit], memory_order_relaxed) & ~LINK_SET;
    } while (number != heap->classes[size_class].ring);
    return true;
}

static bool rings_valid(const struct heap *heap, struct units *units, const char **why) {
    const size_t before = units->count;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        if (!ring_valid(heap, size_class, units, why)) {
            return false;
        }
    }
    return units->count - before == heap->waiting || broken(why, "the units that wait in rings are not those counted");
}

/* A unit's link is set if, and only if, it is in one inbox, backlog or ring. */
static bool inboxes_valid(const char **why) {
    struct units chained = {0};
    struct units linked = {0};
    for (uint32_t id = 1; id <= heaps_made(); id++) {
        const struct heap *heap = heap_of(id);
        uint32_t inbox = atomic_load_explicit(&heap->inbox, memory_order_relaxed);
        if (!chain_valid(inbox != INBOX_CLOSED ? inbox : 0, &chained, why) ||
            !chain_valid(heap->backlog, &chained, why) || !rings_valid(heap, &chained, why)) {
            return false;
        }
    }
    for (size_t unit = 0; unit < spans.top; unit++) {
        if (atomic_load_explicit(&window.inbox_links[unit], memory_order_relaxed) != 0) {
            units_add(&linked, unit);
        }
    }
    return (chained.count == linked.count && chained.sum == linked.sum) ||
           broken(why, "the units with a link are not those in the inboxes");
}

static bool aging_valid(const struct list *aging, uint32_t id, const char **why) {
    for (const struct list *link = aging->next; link != aging; link = link->next) {
        const struct slab *slab = CONTAINER_OF(link, struct slab, age);
        if (entry_heap(page_map_load(slab->span.first)) != id) {
            return broken(why, "a slab ages in another heap's list");
        }
    }
    return true;
}

/* An arena's large blocks are live and point at it; a thread's heap has no arena, nor the mode of one. */
static bool arena_valid(const struct heap *heap, const char **why) {
    const bool has_handle = arena_handle(heap) != NULL;
    if (has_handle != (heap->arena != NULL) || (!has_handle && heap->checks_every != heaps.checks_every)) {
        return broken(why, "a heap is an arena's by some of its words, and not by others");
    }
    if (!has_handle) {
        return true;
    }
    const struct list *larges = &heap->arena->larges;
    if (!list_valid(larges, spans.top)) {
        return broken(why, "a list of an arena's large blocks is torn");
    }
    for (const struct list *link = larges->next; link != larges; link = link->next) {
        const struct large *large = CONTAINER_OF(link, struct large, link);
        if (large->arena != heap->id || !large_is_live(large)) {
            return broken(why, "a large block in an arena's list is not that arena's, or not live");
        }
    }
    return true;
}

/* Adds the heap's slabs and its cached blocks. */
static bool heap_valid(const struct heap *heap, size_t *slabs, size_t *cached, const char **why) {
    size_t stored_bytes = 0;
    size_t slab_bytes = 0;
    size_t cost = 0;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        if (!slabs_valid(&heap->classes[size_class].slabs, heap->id, size_class, slabs, why) ||
            !magazine_valid(heap, size_class, why) || !stock_valid(heap, size_class, &stored_bytes, why)) {
            return false;
        }
        slab_bytes += list_length(&heap->classes[size_class].slabs) * size_classes[size_class].slots *
                      size_classes[size_class].size;
        cost += magazine_cost(heap, size_class);
        *cached += (heap->checks_every ? magazine_count(heap, size_class) : 0) + hardened_detained(heap, size_class) +
                   (size_t)heap->classes[size_class].stock.count * stored_size(size_class);
    }
    if (!large_cache_valid(&heap->larges, why) || !aging_valid(&heap->aging, heap->id, why) ||
        !arena_valid(heap, why)) {
        return false;
    }
    if (cost != heap->magazine_cost || cost > MAGAZINE_FREE + heap->magazine_drawn) {
        return broken(why, "a heap's magazines cost something else than is counted, or more than is drawn");
    }
    return (stored_bytes == heap->depot.stored_bytes && slab_bytes == heap->slab_bytes) ||
           broken(why, "a heap's bytes in slabs or in its depot are not what is counted");
}

static bool abandoned_valid(size_t *slabs, const char **why) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        size_t available = 0;
        const struct list *head = &abandoned[size_class].slabs;
        if (!slabs_valid(head, HEAP_ABANDONED, size_class, slabs, why)) {
            return false;
        }
        if (!aging_valid(&abandoned[size_class].aging, HEAP_ABANDONED, why)) {
            return false;
        }
        const struct slab *shared = abandoned[size_class].shared;
        if (shared != NULL && (page_map_load(shared->span.first) != (page_map_tag(HEAP_ABANDONED) | size_class) ||
                               !slab_free_slots(shared) || shared->purging)) {
            return broken(why, "a shared slab is not its class's, full or purging");
        }
        *slabs += shared != NULL;
        for (const struct list *link = head->next; link != head; link = link->next) {
            available += slab_free_slots(CONTAINER_OF(link, struct slab, link)) > 0;
        }
        if (available != atomic_load_explicit(&abandoned[size_class].available, memory_order_relaxed)) {
            return broken(why, "the available abandoned slabs are not those with free slots");
        }
    }
    return true;
}

bool engine_valid(const char **why) {
    if (!root_ready()) {
        return true;
    }
    struct census census = {0};
    size_t listed = 0;
    size_t cached = 0;
    size_t stored = 0;
    size_t drawn = 0;
    if (!areas_valid(why) || !window_valid(&census, why) || !abandoned_valid(&listed, why) || !heaps_valid(why) ||
        !inboxes_valid(why)) {
        return false;
    }
    for (uint32_t id = 1; id <= heaps.made; id++) {
        const struct heap *heap = heap_of(id);
        if (heap_is_bare(heap)) {
            continue;
        }
        if (!heap_valid(heap, &listed, &cached, why)) {
            return false;
        }
        stored += heap->depot.stored_bytes + heap->depot.stored_credit;
        drawn += heap->magazine_drawn;
    }
    /* Fewer blocks are cached after a double free was found, or after a fork lost magazines. */
    return (stored == atomic_load_explicit(&heaps.depot_bytes, memory_order_relaxed) ||
            broken(why, "the heaps' depots are not what is counted")) &&
           (drawn == atomic_load_explicit(&heaps.magazine_drawn, memory_order_relaxed) ||
            broken(why, "what heaps have drawn for their magazines is not what is counted")) &&
           (census.present == slabs_present() || broken(why, "the pages that slabs hold are not what is counted")) &&
           (listed == census.slabs || broken(why, "some slab is in no list, or in two")) &&
           (cached <= census.cached || broken(why, "a block is cached twice")) &&
           (census.guarded == guarded_table.spans || broken(why, "the guarded spans are not those that are counted")) &&
           samples_valid(why) && metadata_valid(why) && range_tree_valid(&huge_table.live, why);
}
