#include "abandoned.h"

#include "engine/tables/live_map.h"
#include "os/os.h"
#include "ranks.h"
#include "slab.h"

#define CACHE_LINE ((size_t)64)

struct abandoned abandoned[SIZE_CLASSES];

void abandoned_start(void) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        lock_init(&abandoned[size_class].lock, LOCK_ABANDONED);
        list_init(&abandoned[size_class].slabs);
        list_init(&abandoned[size_class].aging);
    }
}

static void available_add(struct abandoned *of, uint32_t by) {
    uint32_t available = atomic_load_explicit(&of->available, memory_order_relaxed);
    atomic_store_explicit(&of->available, available + by, memory_order_relaxed);
}

/* Destroys the spare slab, if there is one, which is then the only one with free slots. */
static void drop_spare(struct abandoned *of) {
    const bool one = atomic_load_explicit(&of->available, memory_order_relaxed) == 1;
    struct slab *slab = one ? CONTAINER_OF(of->slabs.next, struct slab, link) : NULL;
    if (slab != NULL && slab_disposable(slab)) {
        list_remove(&slab->link);
        available_add(of, -1u);
        slab_destroy(slab);
    }
}

static void insert(struct abandoned *of, struct slab *slab) {
    if (slab_free_slots(slab) != 0) {
        drop_spare(of);
        list_push_front(&of->slabs, &slab->link);
        available_add(of, 1);
    } else {
        list_push_back(&of->slabs, &slab->link);
    }
}

static bool is_abandoned(size_t unit, unsigned size_class) {
    return page_map_load(unit) == (page_map_tag(HEAP_ABANDONED) | size_class);
}

static void set_heap(struct slab *slab, unsigned size_class, uint32_t id) {
    page_map_fill(slab->span.first, slab->span.units, page_map_tag(id) | size_class);
}

static void grow_old(struct abandoned *of, struct slab *slab) {
    if (slab_free_slots(slab) != 0 && list_empty(&slab->age)) {
        slab_age(slab, &of->aging, os_coarse_ms());
    }
}

/* Whether an empty slab that a thread leaves stays as the *spare* one of its class: if it is small, and no other has
 * free slots. Otherwise each of many short-lived threads would make its slabs anew. It is destroyed with the shared
 * slab, or when another slab gets free slots. */
static bool stays_as_spare(const struct abandoned *of, const struct slab *slab) {
    return slab->span.units == 1 && atomic_load_explicit(&of->available, memory_order_relaxed) == 0;
}

void abandoned_leave(unsigned size_class, struct list *slabs) {
    struct abandoned *of = &abandoned[size_class];
    lock_take(&of->lock);
    while (!list_empty(slabs)) {
        struct slab *slab = CONTAINER_OF(slabs->next, struct slab, link);
        list_remove(&slab->link);
        if (slab_disposable(slab) && !stays_as_spare(of, slab)) {
            slab_destroy(slab);
        } else {
            set_heap(slab, size_class, HEAP_ABANDONED);
            insert(of, slab);
            list_remove(&slab->age);
            grow_old(of, slab);
        }
    }
    lock_give(&of->lock);
}

static void take_out(struct abandoned *of, struct slab *slab) {
    if (slab == of->shared) {
        of->shared = NULL;
    } else {
        list_remove(&slab->link);
        if (slab_free_slots(slab) != 0) {
            available_add(of, -1u);
        }
    }
}

static void give_to(struct abandoned *of, struct slab *slab, unsigned size_class, uint32_t id) {
    take_out(of, slab);
    list_remove(&slab->age);
    set_heap(slab, size_class, id);
}

struct slab *abandoned_adopt(unsigned size_class, uint32_t id) {
    struct abandoned *of = &abandoned[size_class];
    if (atomic_load_explicit(&of->available, memory_order_relaxed) == 0) {
        return NULL;
    }
    lock_take(&of->lock);
    struct slab *slab = slabs_first_with_room(&of->slabs);
    if (slab != NULL) {
        give_to(of, slab, size_class, id);
    }
    lock_give(&of->lock);
    return slab;
}

struct slab *abandoned_adopt_of(const void *block, unsigned size_class, uint32_t id) {
    struct abandoned *of = &abandoned[size_class];
    lock_take(&of->lock);
    struct slab *slab = is_abandoned(window_unit(block), size_class) ? slab_of(block) : NULL;
    if (slab == of->shared) {
        slab = NULL;
    }
    if (slab != NULL) {
        give_to(of, slab, size_class, id);
    }
    lock_give(&of->lock);
    return slab;
}

/* Call it when slots of the slab have become free: moves it to its place in the list, or destroys it. An empty shared
 * slab stays, because short-lived threads would make it anew; it is destroyed after a purge, or by
 * abandoned_drop_empty. */
static void regain(struct abandoned *of, struct slab *slab, bool was_full) {
    if (was_full && slab_free_slots(slab) != 0) {
        list_remove(&slab->link);
        insert(of, slab);
    }
    if (slab_disposable(slab) && slab != of->shared) {
        take_out(of, slab);
        slab_destroy(slab);
    } else {
        grow_old(of, slab);
    }
}

enum abandoned_free abandoned_free(void *block) {
    size_t unit = window_unit(block);
    unsigned size_class = entry_class(page_map_load(unit));
    if (size_class >= SIZE_CLASSES) {
        return ABANDONED_NOT_LIVE;
    }
    struct abandoned *of = &abandoned[size_class];
    enum abandoned_free found = ABANDONED_ADOPTED;
    lock_take(&of->lock);
    if (is_abandoned(unit, size_class)) {
        found = live_end(block) ? ABANDONED_FREED : ABANDONED_NOT_LIVE;
    }
    if (found == ABANDONED_FREED) {
        struct slab *slab = slab_of(block);
        bool was_full = slab_free_slots(slab) == 0;
        slab_give(slab, &block, 1);
        regain(of, slab, was_full);
    }
    lock_give(&of->lock);
    return found;
}

bool abandoned_collect(size_t unit) {
    unsigned size_class = entry_class(page_map_load(unit));
    if (size_class >= SIZE_CLASSES) {
        return false;
    }
    struct abandoned *of = &abandoned[size_class];
    lock_take(&of->lock);
    bool collects = is_abandoned(unit, size_class);
    if (collects) {
        struct slab *slab = slab_of(window_address(unit));
        bool was_full = slab_free_slots(slab) == 0;
        /* seq_cst: partner of live_end_remotely, as in collect_first (remote.c). */
        atomic_store_explicit(&window.inbox_links[unit], 0, memory_order_seq_cst);
        slab_collect(slab, unit, true);
        regain(of, slab, was_full);
    }
    lock_give(&of->lock);
    return collects;
}

/* A slab to take single blocks from: an abandoned one, or a fresh one. */
static struct slab *shared_slab(struct abandoned *of, unsigned size_class) {
    if (of->shared == NULL) {
        struct slab *slab = slabs_first_with_room(&of->slabs);
        if (slab != NULL) {
            take_out(of, slab);
        } else {
            slab = slab_create(size_class, HEAP_ABANDONED);
        }
        of->shared = slab;
    }
    return of->shared;
}

unsigned shared_class(size_t size) {
    return size_class_of_aligned(CACHE_LINE, size);
}

void *shared_alloc(size_t size) {
    unsigned size_class = shared_class(size);
    struct abandoned *of = &abandoned[size_class];
    void *block = NULL;
    lock_take(&of->lock);
    struct slab *slab = shared_slab(of, size_class);
    if (slab != NULL) {
        slab_take(slab, &block, 1);
        live_set(block);
        if (slab_free_slots(slab) == 0) {
            of->shared = NULL;
            insert(of, slab);
        }
    }
    lock_give(&of->lock);
    return block;
}

void abandoned_drop_empty(void) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct abandoned *of = &abandoned[size_class];
        lock_take(&of->lock);
        struct slab *slab = of->shared;
        if (slab != NULL && slab_disposable(slab)) {
            take_out(of, slab);
            slab_destroy(slab);
        }
        drop_spare(of);
        lock_give(&of->lock);
    }
}

size_t abandoned_age(unsigned size_class, uint64_t now_ms) {
    struct abandoned *of = &abandoned[size_class];
    lock_take(&of->lock);
    if (of->shared != NULL) {
        slab_age(of->shared, &of->aging, now_ms);
    }
    const size_t aging = slabs_age(&of->slabs, &of->aging, now_ms);
    lock_give(&of->lock);
    return aging;
}

bool abandoned_purge_begin(unsigned size_class, uint64_t now_ms, uint64_t age_ms, unsigned most,
                           struct slab_purge *purge) {
    struct abandoned *of = &abandoned[size_class];
    lock_take(&of->lock);
    const bool found = slab_purge_begin(&of->aging, now_ms, age_ms, most, purge);
    if (found && purge->slab == of->shared && purge->slab->purging) {
        of->shared = NULL;
        insert(of, purge->slab);
    }
    lock_give(&of->lock);
    return found;
}

bool abandoned_purge_end(const struct slab_purge *purge) {
    struct slab *slab = purge->slab;
    const unsigned size_class = slab_class(slab);
    struct abandoned *of = &abandoned[size_class];
    lock_take(&of->lock);
    const bool ends = is_abandoned(slab->span.first, size_class);
    if (ends) {
        if (slab_purge_end(purge)) {
            slab_age(slab, &of->aging, purge->now_ms);
        }
        if (slab_disposable(slab)) {
            take_out(of, slab);
            slab_destroy(slab);
        }
    }
    lock_give(&of->lock);
    return ends;
}
