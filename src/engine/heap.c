#include "heap.h"

#include <limits.h>
#include <stdalign.h>

#include "abandoned.h"
#include "base/fault.h"
#include "magazine.h"
#include "metadata.h"
#include "ranks.h"
#include "slab.h"

/* A heap is swept when its slabs have grown by this much (upkeep.h). */
#define SWEEP_START ((size_t)1 << 20)

struct heaps heaps = {.lock = LOCK_INIT(LOCK_HEAPS)};

/* What the magazines of heap_none are, and of a class that has none yet. */
alignas(MAGAZINE_SIZE) void *magazine_none[MAGAZINE_SLOTS];

struct heap heap_none = {
    .tag = HEAP_NOBODY << HEAP_ID_SHIFT,
    .tops = {[0 ... DEFERRED + SIZE_CLASSES - 1] = MAGAZINE_NONE},
};

TLS struct heap *heap_mine = &heap_none;

void heaps_start(bool checks_every) {
    heaps.checks_every = checks_every;
    atomic_store_explicit(&heaps.magazine_most, MAGAZINES_MIN, memory_order_relaxed);
    atomic_store_explicit(&heaps.magazine_limit, SIZE_MAX, memory_order_relaxed);
    list_init(&heaps.unused);
}

void heap_catch_up(struct heap *heap) {
    heap->granules = window_granules();
}

void heap_reset(struct heap *heap) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        heap->tops[size_class] = MAGAZINE_NONE;
        heap->tops[size_class + DEFERRED] = MAGAZINE_NONE;
        slab_count_add(&slab_counts[0][size_class].remote,
                       atomic_load_explicit(&heap->classes[size_class].remote, memory_order_relaxed));
        heap->classes[size_class] = (struct heap_class){0};
        list_init(&heap->classes[size_class].slabs);
    }
    heap->magazine_cost = 0;
    heap->magazine_drawn = 0;
    heap->slab_bytes = 0;
    list_init(&heap->aging);
    heap->sweep_at = SWEEP_START;
    heap->depot = (struct depot){0};
    large_cache_init(&heap->larges);
    heap->zeros = (struct zeros){0};
    heap->victim = 0;
    heap->until_beat = HEAP_BEAT;
    heap_catch_up(heap);
}

/* What never changes about a heap. */
static void set_up(struct heap *heap, uint32_t id) {
    heap->id = id;
    heap->checks_every = heaps.checks_every;
    heap->mode_offset = heap->checks_every ? 0 : DEFERRED;
    heap->tag = page_map_tag(id) | heap->mode_offset;
    heap->base = window.base;
    heap->page_map = window.page_map;
    heap->live_map = window.live_map;
    heap->live_of_zero = (uintptr_t)window.live_map - window.base / GRANULE / LIVE_WORD_BITS * sizeof(struct live_word);
    lock_init(&heap->lock, LOCK_HEAP);
    list_init(&heap->link);
    atomic_store_explicit(&heap->inbox, INBOX_CLOSED, memory_order_relaxed);
}

/* A heap that no thread ever had. Under the heaps' lock. */
static struct heap *heap_create(void) {
    uint32_t id = atomic_load_explicit(&heaps.made, memory_order_relaxed) + 1;
    if (id >= HEAPS_MAX || area_reach(&window.heaps_area, (id + 1) * sizeof *window.heaps, UNIT)) {
        return NULL;
    }
    struct heap *heap = metadata_alloc(sizeof *heap);
    if (heap == NULL) {
        return NULL;
    }
    *heap = (struct heap){0};
    set_up(heap, id);
    heap_reset(heap);
    /* Release: pairs with the acquire of heap_of. */
    atomic_store_explicit(&window.heaps[id], heap, memory_order_release);
    /* Release: pairs with the acquire of heaps_made; who sees the number sees the heap. */
    atomic_store_explicit(&heaps.made, id, memory_order_release);
    return heap;
}

struct heap *heap_obtain(bool *alone) {
    lock_take(&heaps.lock);
    struct heap *heap;
    if (list_empty(&heaps.unused)) {
        heap = heap_create();
    } else {
        heap = CONTAINER_OF(heaps.unused.next, struct heap, link);
        list_remove(&heap->link);
    }
    if (heap != NULL) {
        uint32_t others = atomic_load_explicit(&heaps.in_use, memory_order_relaxed);
        *alone = others == 0;
        atomic_store_explicit(&heaps.in_use, others + 1, memory_order_relaxed);
        heaps.started++;
    }
    lock_give(&heaps.lock);
    return heap;
}

void heap_retire(struct heap *heap) {
    lock_take(&heaps.lock);
    atomic_store_explicit(&heaps.in_use, atomic_load_explicit(&heaps.in_use, memory_order_relaxed) - 1,
                          memory_order_relaxed);
    list_push_front(&heaps.unused, &heap->link);
    lock_give(&heaps.lock);
}

/* --- A heap's slabs ----------------------------------------------------------------------------------------------- */

static struct slab *first_slab(const struct list *slabs) {
    return list_empty(slabs) ? NULL : CONTAINER_OF(slabs->next, struct slab, link);
}

static size_t bytes_of(const struct slab *slab) {
    return (size_t)slab->slots * size_classes[slab_class(slab)].size;
}

struct slab *heap_slab_with_room(const struct heap *heap, unsigned size_class) {
    struct slab *slab = first_slab(&heap->classes[size_class].slabs);
    return slab != NULL && slab_free_slots(slab) != 0 ? slab : NULL;
}

static struct slab *add(struct heap *heap, unsigned size_class, struct slab *slab) {
    ASSERT(lock_held(&heap->lock));
    if (slab != NULL) {
        list_push_front(&heap->classes[size_class].slabs, &slab->link);
        heap->slab_bytes += bytes_of(slab);
        if (slab_free_slots(slab) != 0) {
            slab_age(slab, &heap->aging, heap->passed_ms);
        }
    }
    return slab;
}

struct slab *heap_adopt(struct heap *heap, unsigned size_class) {
    struct slab *slab = add(heap, size_class, abandoned_adopt(size_class, heap->id));
    counter_add(&heap->counters.adoptions, slab != NULL);
    return slab;
}

bool heap_adopt_of(struct heap *heap, const void *block, unsigned size_class) {
    struct slab *slab = add(heap, size_class, abandoned_adopt_of(block, size_class, heap->id));
    counter_add(&heap->counters.adoptions, slab != NULL);
    if (slab != NULL && slab_free_slots(slab) == 0) {
        heap_slab_full(heap, size_class, slab);
    }
    return slab != NULL;
}

struct slab *heap_grow(struct heap *heap, unsigned size_class) {
    return add(heap, size_class, slab_create(size_class, heap->id));
}

void heap_slab_full(struct heap *heap, unsigned size_class, struct slab *slab) {
    ASSERT(lock_held(&heap->lock));
    list_remove(&slab->link);
    list_push_back(&heap->classes[size_class].slabs, &slab->link);
}

/* An empty slab's memory is free for any other use. */
static void drop(struct heap *heap, struct slab *slab) {
    ASSERT(lock_held(&heap->lock));
    list_remove(&slab->link);
    heap->slab_bytes -= bytes_of(slab);
    slab_destroy(slab);
}

/* Whether the class has free slots beside those of `slab`, which has some itself. */
static bool has_another(const struct list *slabs, const struct slab *slab) {
    const struct list *other = slabs->next != &slab->link ? slabs->next : slab->link.next;
    return other != slabs && slab_free_slots(CONTAINER_OF(other, struct slab, link)) != 0;
}

/*
 * Slots of a slab have become free. If it was full it comes second: the first one is being used up, which leaves the
 * others time to empty. If it is empty it goes, unless it is the last of its class: what comes and goes in turn shall
 * not cost a span each time.
 */
static void regain(struct heap *heap, struct slab *slab, bool was_full) {
    ASSERT(lock_held(&heap->lock));
    struct list *slabs = &heap->classes[slab_class(slab)].slabs;
    if (was_full && slab_free_slots(slab) != 0) {
        list_remove(&slab->link);
        struct slab *first = first_slab(slabs);
        list_insert_after(first != NULL && slab_free_slots(first) != 0 ? &first->link : slabs, &slab->link);
    }
    if (slab_disposable(slab) && has_another(slabs, slab)) {
        drop(heap, slab);
    } else if (slab_free_slots(slab) != 0) {
        slab_age(slab, &heap->aging, heap->passed_ms);
    }
}

void heap_give(struct heap *heap, void *const *blocks, size_t count) {
    while (count != 0) {
        struct slab *slab = slab_of(blocks[0]);
        bool was_full = slab_free_slots(slab) == 0;
        size_t given = slab_give(slab, blocks, count);
        regain(heap, slab, was_full);
        blocks += given;
        count -= given;
    }
}

void heap_collect_unit(struct heap *heap, size_t unit, bool writer) {
    struct slab *slab = slab_of(window_address(unit));
    bool was_full = slab_free_slots(slab) == 0;
    slab_collect(slab, unit, writer);
    regain(heap, slab, was_full);
}

size_t heap_purge_all(struct heap *heap) {
    ASSERT(lock_held(&heap->lock));
    size_t purged = 0;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct list *slabs = &heap->classes[size_class].slabs;
        for (struct list *link = slabs->next; link != slabs; link = link->next) {
            purged += slab_purge(CONTAINER_OF(link, struct slab, link), false, UINT_MAX);
        }
    }
    return purged;
}

void heap_drop_empty(struct heap *heap) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct list *slabs = &heap->classes[size_class].slabs;
        for (struct list *link = slabs->next, *next; link != slabs; link = next) {
            next = link->next;
            struct slab *slab = CONTAINER_OF(link, struct slab, link);
            if (slab_free_slots(slab) == 0) {
                break; /* so are those behind it */
            }
            if (slab_disposable(slab)) {
                drop(heap, slab);
            }
        }
    }
}
