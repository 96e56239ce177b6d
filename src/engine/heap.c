#include "heap.h"

#include <pthread.h>

#include "block.h"
#include "magazine.h"
#include "metadata.h"
#include "orphan.h"
#include "os/os.h"
#include "ranks.h"
#include "slab.h"

/* A heap is swept when its slabs have grown by so many bytes, and by this share. */
#define SWEEP_MIN ((size_t)1 << 20)
#define SWEEP_SHARE 8u

/* A thread beside others has so many blocks of each class from the commons, in classes of up to so many bytes. */
#define COMMONS_SHARE 4u
#define COMMONS_SIZE_MAX 256u

struct registry registry = {.lock = LOCK_INIT(LOCK_REGISTRY)};

struct heap heap_none = {
    .tag = OWNER_NOBODY << OWNER_SHIFT,
    .tops = {[0 ... DEFERRED + SIZE_CLASSES - 1] = MAGAZINE_NONE},
};

TLS struct heap *heap_mine = &heap_none;

/* Its heap is gone, and it must not get another one that nobody would take back. */
static TLS bool thread_is_ending;

static pthread_key_t end_of_thread;
static bool has_end_of_thread;

static void heap_end(void *heap);

void heaps_start(bool proves) {
    registry.proves = proves;
    list_init(&registry.unused);
    has_end_of_thread = pthread_key_create(&end_of_thread, heap_end) == 0;
}

void heap_catch_up(struct heap *heap) {
    heap->granules = window_granules();
}

static void heap_reset(struct heap *heap) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        heap->tops[size_class] = MAGAZINE_NONE;
        heap->tops[size_class + DEFERRED] = MAGAZINE_NONE;
        heap->classes[size_class] = (struct heap_class){0};
        list_init(&heap->classes[size_class].slabs);
    }
    heap->slab_bytes = 0;
    heap->sweep_at = SWEEP_MIN;
    heap->reserve = (struct reserve){0};
    heap->zeros = (struct zeros){0};
    heap->proves = registry.proves;
    heap->first = heap->proves ? 0 : DEFERRED;
    heap->tag = page_map_tag(heap->owner) | heap->first;
    heap->base = window.base;
    heap->page_map = window.page_map;
    heap->live_map = window.live_map;
    heap->live_by_address = window.live_map - window.base / GRANULE / BITMAP_WORD_BITS;
    heap_catch_up(heap);
    heap->outbox = (struct outbox){0};
}

/* A heap that no thread ever had. Under the registry's lock. */
static struct heap *heap_create(void) {
    uint32_t owner = registry.made + 1;
    if (owner >= HEAPS_MAX || area_reach(&window.heaps_area, (owner + 1) * sizeof *window.heaps, UNIT)) {
        return NULL;
    }
    struct heap *heap = metadata_alloc(sizeof *heap);
    if (heap == NULL) {
        return NULL;
    }
    heap->owner = owner;
    heap->counters = (struct heap_counters){0};
    list_init(&heap->link);
    heap_reset(heap);
    atomic_store_explicit(&heap->inbox, PARCEL_CLOSED, memory_order_relaxed);
    /* Release: pairs with the acquire of who looks the owner up. */
    atomic_store_explicit(&window.heaps[owner], heap, memory_order_release);
    registry.made = owner;
    return heap;
}

struct heap *heap_begin(void) {
    if (thread_is_ending || !has_end_of_thread) {
        return NULL;
    }
    bool alone = true;
    lock_take(&registry.lock);
    struct heap *heap;
    if (list_empty(&registry.unused)) {
        heap = heap_create();
    } else {
        heap = CONTAINER_OF(registry.unused.next, struct heap, link);
        list_remove(&heap->link);
    }
    if (heap != NULL) {
        alone = registry.in_use++ == 0;
        registry.started++;
        inbox_open(&heap->inbox);
    }
    lock_give(&registry.lock);
    if (heap != NULL) {
        for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
            bool shares = !alone && size_classes[size_class].size <= COMMONS_SIZE_MAX;
            heap->classes[size_class].share = shares ? COMMONS_SHARE : 0;
        }
        /* The heap is in place before this call, which may allocate for itself. */
        heap_mine = heap;
        pthread_setspecific(end_of_thread, heap);
    }
    return heap;
}

bool heap_take_share(struct heap *heap, unsigned size_class) {
    struct heap_class *of = &heap->classes[size_class];
    if (LIKELY(!of->share || of->bottom != NULL)) {
        return false;
    }
    of->share--;
    return true;
}

static void heap_retire(struct heap *heap) {
    lock_take(&registry.lock);
    registry.in_use--;
    list_push_front(&registry.unused, &heap->link);
    lock_give(&registry.lock);
}

/*
 * The end of a thread: its blocks go back to the slabs, its slabs become orphans, and only then its inbox closes, so
 * that whoever finds it closed finds the slabs' new state too.
 */
static void heap_end(void *ending) {
    struct heap *heap = ending;
    heap_mine = &heap_none;
    thread_is_ending = true;
    inbox_drain(heap);
    magazine_flush_all(heap, true);
    outbox_send_all(heap);
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        if (!list_empty(&heap->classes[size_class].slabs)) {
            orphan_leave(size_class, &heap->classes[size_class].slabs);
        }
        heap->classes[size_class].idle = false;
    }
    heap->slab_bytes = 0;
    heap->sweep_at = SWEEP_MIN;
    inbox_close(heap);
    heap_retire(heap);
}

static struct slab *first_slab(const struct list *slabs) {
    return list_empty(slabs) ? NULL : CONTAINER_OF(slabs->next, struct slab, link);
}

static size_t bytes_of(const struct slab *slab) {
    return (size_t)slab->slots * size_classes[slab_class(slab)].size;
}

static struct slab *slab_with_room(const struct list *slabs) {
    struct slab *slab = first_slab(slabs);
    return slab != NULL && slab_free_slots(slab) ? slab : NULL;
}

/* An empty slab's memory is free for any other use. */
static void drop_slab(struct heap *heap, struct slab *slab) {
    list_remove(&slab->link);
    heap->slab_bytes -= bytes_of(slab);
    slab_destroy(slab);
}

static void drop_empty_slabs(struct heap *heap, unsigned size_class) {
    struct list *slabs = &heap->classes[size_class].slabs;
    for (struct list *link = slabs->next, *next; link != slabs; link = next) {
        next = link->next;
        struct slab *slab = CONTAINER_OF(link, struct slab, link);
        if (slab_free_slots(slab) == 0) {
            break; /* so are those behind it */
        }
        if (slab_empty(slab)) {
            drop_slab(heap, slab);
        }
    }
}

static void sweep_later(struct heap *heap) {
    size_t share = heap->slab_bytes / SWEEP_SHARE;
    heap->sweep_at = heap->slab_bytes + (share > SWEEP_MIN ? share : SWEEP_MIN);
}

/*
 * Before a heap grows on, classes whose magazines had no refill since it was last here give back what they have cached:
 * a block in a magazine may be the last that keeps a slab from being empty. The last slab of a class stays: what comes
 * and goes in turn needs no refill either. False when it is not time yet.
 */
static bool sweep(struct heap *heap) {
    if (heap->slab_bytes < heap->sweep_at) {
        return false;
    }
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct heap_class *of = &heap->classes[size_class];
        if (of->idle) {
            magazine_flush_class(heap, size_class);
        }
        of->idle = true;
    }
    sweep_later(heap);
    return true;
}

struct slab *heap_slab(struct heap *heap, unsigned size_class) {
    struct list *slabs = &heap->classes[size_class].slabs;
    struct slab *slab = slab_with_room(slabs);
    if (slab == NULL && (reserve_unload_much(heap) || sweep(heap))) {
        slab = slab_with_room(slabs);
    }
    if (slab != NULL) {
        return slab;
    }
    slab = orphan_adopt(size_class, heap->owner);
    if (slab != NULL) {
        counter_add(&heap->counters.adoptions, 1);
    } else {
        slab = slab_create(size_class, heap->owner);
    }
    if (slab != NULL) {
        list_push_front(slabs, &slab->link);
        heap->slab_bytes += bytes_of(slab);
    }
    return slab;
}

void heap_slab_full(struct heap *heap, unsigned size_class, struct slab *slab) {
    list_remove(&slab->link);
    list_push_back(&heap->classes[size_class].slabs, &slab->link);
}

/* A full slab that got a free slot comes second: the first one is being used up, which leaves the others time to empty.
 */
static void slab_regain(struct list *slabs, struct slab *slab) {
    list_remove(&slab->link);
    struct slab *first = first_slab(slabs);
    list_insert_after(first != NULL && slab_free_slots(first) ? &first->link : slabs, &slab->link);
}

/* Whether the class has free slots beside those of `slab`, which has some itself. */
static bool has_another(const struct list *slabs, const struct slab *slab) {
    const struct list *other = slabs->next != &slab->link ? slabs->next : slab->link.next;
    return other != slabs && slab_free_slots(CONTAINER_OF(other, struct slab, link));
}

void heap_give(struct heap *heap, void *const *blocks, size_t count, bool prove) {
    while (count) {
        struct slab *slab = slab_of(blocks[0]);
        struct list *slabs = &heap->classes[slab_class(slab)].slabs;
        bool was_full = slab_free_slots(slab) == 0;
        size_t given = slab_give(slab, blocks, count, prove);
        if (was_full) {
            slab_regain(slabs, slab);
        }
        if (slab_empty(slab) && has_another(slabs, slab)) {
            drop_slab(heap, slab);
        }
        blocks += given;
        count -= given;
    }
}

void heap_route(struct heap *heap, void *block) {
    for (;;) {
        uint32_t entry = page_map_acquire(window_unit(block));
        if (!entry_is_slab(entry) || !live_test(block)) {
            block_fault("free", block);
        }
        uint32_t owner = entry_owner(entry);
        if (heap != NULL && owner == heap->owner) {
            heap_give(heap, &block, 1, true);
            return;
        }
        if (owner == OWNER_ORPHAN) {
            if (orphan_free(block)) {
                return;
            }
        } else if (heap != NULL ? outbox_add(heap, owner, block, size_classes[entry_class(entry)].size)
                                : parcel_send_one(owner, block)) {
            return;
        }
    }
}

void heap_trim(struct heap *heap) {
    magazine_flush_all(heap, false);
    outbox_send_all(heap);
    /* Last, for what could not be sent may have been routed back to this heap. */
    inbox_drain(heap);
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        drop_empty_slabs(heap, size_class);
    }
    sweep_later(heap);
}

/* Makes the slab that starts at a unit an orphan, unless it is one already or the calling thread's; its units. */
static size_t recover_span(size_t unit, const struct heap *mine) {
    uint32_t entry = page_map_load(unit);
    if (entry == UNIT_LOST) {
        return 1;
    }
    struct span *span = window.spans[unit];
    if (entry_is_slab(entry) && entry_owner(entry) != OWNER_ORPHAN && entry_owner(entry) != mine->owner) {
        struct slab *slab = CONTAINER_OF(span, struct slab, span);
        slab_recount(slab);
        orphan_insert(slab, entry_class(entry));
    }
    return span->units;
}

void heaps_recover(void) {
    const struct heap *mine = heap_mine;
    if (registry.in_use <= (mine != &heap_none)) {
        return;
    }
    for (size_t unit = 0; unit < spans.top;) {
        unit += recover_span(unit, mine);
    }
    /* Their magazines, reserves and parcels may have been caught in mid-operation: they are given up. */
    list_init(&registry.unused);
    registry.in_use = mine != &heap_none;
    atomic_store_explicit(&registry.bundle_bytes, mine->reserve.bundle_bytes + mine->reserve.bundle_credit,
                          memory_order_relaxed);
    atomic_store_explicit(&registry.large_bytes, mine->reserve.large_bytes, memory_order_relaxed);
    for (uint32_t owner = 1; owner <= registry.made; owner++) {
        struct heap *heap = atomic_load_explicit(&window.heaps[owner], memory_order_relaxed);
        if (heap == mine) {
            continue;
        }
        heap_reset(heap);
        atomic_store_explicit(&heap->inbox, PARCEL_CLOSED, memory_order_relaxed);
        list_push_front(&registry.unused, &heap->link);
    }
}
