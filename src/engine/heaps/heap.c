#include "heap.h"

#include <stdalign.h>
#include <string.h>

#include "base/fault.h"
#include "engine/slabs/abandoned.h"
#include "engine/slabs/slab.h"
#include "engine/tables/metadata.h"
#include "magazine.h"
#include "magazine_budget.h"
#include "ranks.h"
#include "unused_heaps.h"

/* Idle classes are first flushed when a heap's slabs have this much (before_growth.h). */
#define FLUSH_START ((size_t)1 << 20)

/* The magazine of heap_none, and of a class that has none yet. */
alignas(MAGAZINE_SIZE) void *magazine_none[MAGAZINE_SLOTS];

struct heap heap_none = {
    .tag = HEAP_NOBODY << HEAP_ID_SHIFT,
    .tops = {[0 ... HARDENED + SIZE_CLASSES - 1] = MAGAZINE_NONE},
};

TLS struct heap *heap_mine = &heap_none;

void heaps_start(bool checks_every, uint32_t harden) {
    heaps.checks_every = checks_every || harden != HARDEN_OFF;
    heaps.harden = harden;
    atomic_store_explicit(&heaps.magazine_most, MAGAZINES_MIN, memory_order_relaxed);
    atomic_store_explicit(&heaps.magazine_limit, SIZE_MAX, memory_order_relaxed);
    unused_heaps_start();
}

void heap_catch_up(struct heap *heap) {
    const bool slow = heaps.harden != HARDEN_OFF && (heap->arena != NULL || heap->early_frees != 0);
    heap->granules[heaps.harden] = slow ? 0 : window_granules();
}

void heap_reset(struct heap *heap) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        heap->tops[size_class] = MAGAZINE_NONE;
        heap->tops[size_class + DEFERRED] = MAGAZINE_NONE;
        heap->tops[size_class + HARDENED] = MAGAZINE_NONE;
        const uint32_t remote = atomic_load_explicit(&heap->classes[size_class].remote, memory_order_relaxed);
        if (remote != 0) { /* mostly it is 0, and the addition is atomic */
            slab_count_add(&slab_counts[0][size_class].remote, remote);
        }
        heap->classes[size_class] = (struct heap_class){.grown = heap->classes[size_class].grown};
        heap->bottoms[size_class] = NULL;
        list_init(&heap->classes[size_class].slabs);
    }
    heap->magazine_cost = 0;
    heap->magazine_drawn = 0;
    heap->slab_bytes = 0;
    list_init(&heap->aging);
    heap->flush_at = FLUSH_START;
    heap->depot = (struct depot){0};
    large_cache_init(&heap->larges);
    heap->victim = 0;
    heap->until_beat = HEAP_BEAT;
    heap->beat = HEAP_BEAT;
    heap->beat_to_sample = UINT64_MAX;
    heap->beat_to_pass = 0;
    heap->interval = 0;
    heap->random = 0;
    heap->stack = (struct os_stack){0};
    for (unsigned i = 0; i < ZEROS_SIZES; i++) {
        heap->watches[i] = (struct zeros_watch){0};
    }
    heap_catch_up(heap);
}

uint32_t heap_tag(const struct heap *heap) {
    return page_map_tag(heap->id) | (heap->checks_every ? 0 : DEFERRED);
}

void heap_set_mode(struct heap *heap, bool checks_every) {
    heap->checks_every = checks_every;
    heap->mode_offset = checks_every ? 0 : DEFERRED;
    if (heaps.harden == HARDEN_FULL && heap->arena == NULL) {
        heap->mode_offset = HARDENED;
    }
    heap->tag = heap_tag(heap);
}

/* Sets what never changes in the members that a bare heap gives back. */
static void set_constants(struct heap *heap) {
    heap_set_mode(heap, heaps.checks_every);
    heap->base = window.base;
    heap->entry_of_zero = (uintptr_t)window.page_map - window.base / UNIT * sizeof *window.page_map;
    heap->live_of_zero = (uintptr_t)window.live_map - window.base / GRANULE / LIVE_WORD_BITS * sizeof(struct live_word);
    heap->records_of_zero = (uintptr_t)window.records - window.base / UNIT * RECORDS_BYTES;
}

/* Sets what never changes about a heap. */
static void set_up(struct heap *heap, uint32_t id) {
    heap->id = id;
    set_constants(heap);
    lock_init(&heap->lock, LOCK_HEAP);
    list_init(&heap->link);
    atomic_store_explicit(&heap->inbox, INBOX_CLOSED, memory_order_relaxed);
}

/* Makes a new heap. Under the heaps' lock. */
static struct heap *heap_create(void) {
    uint32_t id = atomic_load_explicit(&heaps.made, memory_order_relaxed) + 1;
    if (id >= HEAPS_MAX ||
        area_reach(&window.heaps_area, (id + 1) * sizeof *window.heaps, area_step(&window.heaps_area))) {
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
    /* Release: pairs with the acquire of heaps_made; whoever sees the number sees the heap. */
    atomic_store_explicit(&heaps.made, id, memory_order_release);
    return heap;
}

/* Ids by a hash of the thread pointer: the last heap that a thread with this hash got, but not the first heap, so that
 * a process with one thread needs no page for it. Under the heaps' lock. */
#define HEAPS_OF_THREAD 1024u
#define FIRST_HEAP 1u
static uint32_t heaps_of_thread[HEAPS_OF_THREAD];

static uint32_t *id_of_thread(uintptr_t thread) {
    return &heaps_of_thread[thread * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (HEAPS_OF_THREAD - 1)];
}

static bool is_in_use_by(const struct heap *heap, uintptr_t thread) {
    return heap->thread == thread && atomic_load_explicit(&heap->inbox, memory_order_relaxed) != INBOX_CLOSED;
}

/* The heap left by an ended thread whose thread pointer now belongs to another, or NULL. Under the heaps' lock. */
static struct heap *left_behind(uintptr_t thread) {
    struct heap *heap = heaps_made() != 0 ? heap_of(FIRST_HEAP) : NULL;
    if (heap != NULL && !is_in_use_by(heap, thread)) {
        const uint32_t id = *id_of_thread(thread);
        heap = id != 0 ? heap_of(id) : NULL;
    }
    return heap != NULL && is_in_use_by(heap, thread) ? heap : NULL;
}

/* Makes a bare heap what heap_reset left. Its memory need not be zero: the system may have refused to take it. */
static COLD void restore(struct heap *heap) {
    lock_take(&heap->lock); /* others ask whether it is bare */
    memset(heap, 0, HEAP_BARE_BYTES);
    set_constants(heap);
    heap_reset(heap);
    heap->bare = false;
    lock_give(&heap->lock);
}

struct heap *heap_obtain(uintptr_t thread, bool *alone) {
    lock_take(&heaps.lock);
    struct heap *heap = thread != 0 ? left_behind(thread) : NULL;
    *alone = false;
    if (heap != NULL) {
        heap->thread_number = ++heaps.started;
        heap->stack = (struct os_stack){0};
        lock_give(&heaps.lock);
        return heap;
    }
    heap = unused_heap_take();
    heap = heap != NULL ? heap : heap_create();
    if (heap != NULL) {
        heap->thread = thread;
        if (heap->id != FIRST_HEAP) {
            *id_of_thread(thread) = heap->id;
        }
        uint32_t others = atomic_load_explicit(&heaps.in_use, memory_order_relaxed);
        *alone = others == atomic_load_explicit(&heaps.arenas, memory_order_relaxed);
        atomic_store_explicit(&heaps.in_use, others + 1, memory_order_relaxed);
        heap->thread_number = ++heaps.started;
    }
    lock_give(&heaps.lock);
    if (heap != NULL && UNLIKELY(heap->bare)) {
        restore(heap);
    }
    return heap;
}

void heap_retire(struct heap *heap) {
    lock_take(&heaps.lock);
    atomic_store_explicit(&heaps.in_use, atomic_load_explicit(&heaps.in_use, memory_order_relaxed) - 1,
                          memory_order_relaxed);
    unused_heap_put(heap);
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
    return slabs_first_with_room(&heap->classes[size_class].slabs);
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

static void drop(struct heap *heap, struct slab *slab) {
    ASSERT(lock_held(&heap->lock));
    list_remove(&slab->link);
    heap->slab_bytes -= bytes_of(slab);
    slab_destroy(slab);
}

/* Whether the class has free slots besides those of `slab`, which has some. */
static bool has_another(const struct list *slabs, const struct slab *slab) {
    const struct list *other = slabs->next != &slab->link ? slabs->next : slab->link.next;
    return other != slabs && slab_free_slots(CONTAINER_OF(other, struct slab, link)) != 0;
}

/* Usually it is this heap already: then we do not write a word that all threads share. */
static void note_emptied(const struct heap *heap) {
    if (atomic_load_explicit(&heaps.emptied, memory_order_relaxed) != heap->id) {
        atomic_store_explicit(&heaps.emptied, heap->id, memory_order_relaxed);
    }
}

/* For a slab in which slots have become free. If it was full, it goes to second place: the first is being used up, so
 * the others may become empty. An empty one is destroyed, unless it is the last of its class, so that allocating and
 * freeing one block by turns does not cost a span each time. */
static void regain(struct heap *heap, unsigned size_class, struct slab *slab, bool was_full) {
    ASSERT(lock_held(&heap->lock));
    struct list *slabs = &heap->classes[size_class].slabs;
    if (was_full && slab_free_slots(slab) != 0) {
        list_remove(&slab->link);
        struct slab *first = first_slab(slabs);
        list_insert_after(first != NULL && slab_free_slots(first) != 0 ? &first->link : slabs, &slab->link);
    }
    if (slab_disposable(slab) && has_another(slabs, slab)) {
        drop(heap, slab);
    } else if (slab_free_slots(slab) != 0) {
        slab_age(slab, &heap->aging, heap->passed_ms);
        if (slab_empty(slab)) {
            note_emptied(heap);
        }
    }
}

/* Whether regain has something to do. Mostly not: the slab had free slots, has others that are taken, and is aging. */
static bool must_regain(const struct slab *slab, bool was_full) {
    return was_full || slab_empty(slab) || list_empty(&slab->age);
}

void heap_give(struct heap *heap, void *const *blocks, size_t count) {
    if (count == 0) {
        return;
    }
    const unsigned size_class = slab_class(slab_of(blocks[0]));
    slab_count_free(heap->id, size_class, count);
    while (count != 0) {
        struct slab *slab = slab_of(blocks[0]);
        const bool was_full = slab_free_slots(slab) == 0;
        const size_t given = slab_give_counted(slab, size_class, blocks, count);
        if (must_regain(slab, was_full)) {
            regain(heap, size_class, slab, was_full);
        }
        blocks += given;
        count -= given;
    }
}

void heap_collect_unit(struct heap *heap, size_t unit, bool writer) {
    struct slab *slab = slab_of(window_address(unit));
    bool was_full = slab_free_slots(slab) == 0;
    slab_collect(slab, unit, writer);
    regain(heap, slab_class(slab), slab, was_full);
}

size_t heap_age(struct heap *heap, uint64_t now_ms) {
    ASSERT(lock_held(&heap->lock));
    size_t aging = 0;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES && !heap_is_bare(heap); size_class++) {
        aging = slabs_age(&heap->classes[size_class].slabs, &heap->aging, now_ms);
    }
    return aging;
}

/* Under the heap's lock. */
static void end_purge(struct heap *heap, const struct slab_purge *purge) {
    struct slab *slab = purge->slab;
    if (slab_purge_end(purge)) {
        slab_age(slab, &heap->aging, purge->now_ms);
    }
    if (slab_disposable(slab) && has_another(&heap->classes[slab_class(slab)].slabs, slab)) {
        drop(heap, slab);
    }
}

/* The slab is not destroyed meanwhile, but its thread may end, and another may adopt it. */
void heap_purge_end(const struct slab_purge *purge) {
    const size_t unit = purge->slab->span.first;
    bool ended = false;
    while (!ended) {
        const uint32_t entry = page_map_acquire(unit);
        if (entry_heap(entry) == HEAP_ABANDONED) {
            ended = abandoned_purge_end(purge);
        } else {
            struct heap *heap = heap_of(entry_heap(entry));
            lock_take(&heap->lock);
            ended = page_map_load(unit) == entry;
            if (ended) {
                end_purge(heap, purge);
            }
            lock_give(&heap->lock);
        }
    }
}

void heaps_purge_recover(void) {
    for (size_t unit = 0; unit < spans.top; unit++) {
        if (entry_is_slab(page_map_load(unit))) {
            struct slab *slab = slab_of(window_address(unit));
            if (slab->purging) {
                heap_purge_end(&(struct slab_purge){.slab = slab, .free = slab_free_slots(slab)});
            }
        }
    }
}

void heap_drop_empty(struct heap *heap, unsigned most) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES && !heap_is_bare(heap); size_class++) {
        struct list *slabs = &heap->classes[size_class].slabs;
        unsigned left = most;
        for (struct list *link = slabs->next, *next; link != slabs && left != 0; link = next, left--) {
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

void heap_drop_all(struct heap *heap) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct list purging;
        list_init(&purging);
        for (struct list *slabs = &heap->classes[size_class].slabs; !list_empty(slabs);) {
            struct slab *slab = first_slab(slabs);
            if (heaps.harden != HARDEN_OFF) {
                slab_clear(slab);
            }
            slab_wipe(slab);
            if (slab->purging) {
                list_remove(&slab->link);
                list_push_back(&purging, &slab->link);
                heap->slab_bytes -= bytes_of(slab);
            } else {
                drop(heap, slab);
            }
        }
        if (!list_empty(&purging)) {
            abandoned_leave(size_class, &purging);
        }
    }
}

void heap_let_go(struct large *large) {
    struct heap *heap = heap_of(large->arena);
    lock_take(&heap->lock);
    list_remove(&large->link);
    lock_give(&heap->lock);
    large->arena = 0;
}

void heap_let_ended_go(struct heap *heap) {
    struct list *larges = &heap->arena->larges;
    for (struct list *link = larges->next, *next; link != larges; link = next) {
        next = link->next;
        struct large *large = CONTAINER_OF(link, struct large, link);
        if (!large_is_live(large)) {
            list_remove(link);
            heap_count_large(heap, -(uint64_t)large_size(large));
            if (heaps.harden != HARDEN_OFF) {
                large_clear(large);
            }
            large_destroy(large);
        }
    }
}
