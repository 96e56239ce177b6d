#include "orphan.h"

#include "ranks.h"
#include "slab.h"

#define CACHE_LINE ((size_t)64)

struct orphans orphans[SIZE_CLASSES];

void orphans_start(void) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        lock_init(&orphans[size_class].lock, LOCK_ORPHANS);
        list_init(&orphans[size_class].slabs);
    }
}

static void available_add(struct orphans *of, uint32_t by) {
    uint32_t available = atomic_load_explicit(&of->available, memory_order_relaxed);
    atomic_store_explicit(&of->available, available + by, memory_order_relaxed);
}

static void insert(struct orphans *of, struct slab *slab) {
    if (slab_free_slots(slab)) {
        list_push_front(&of->slabs, &slab->link);
        available_add(of, 1);
    } else {
        list_push_back(&of->slabs, &slab->link);
    }
}

static struct slab *first_with_free(struct orphans *of) {
    if (list_empty(&of->slabs)) {
        return NULL;
    }
    struct slab *slab = CONTAINER_OF(of->slabs.next, struct slab, link);
    return slab_free_slots(slab) ? slab : NULL;
}

static void set_owner(struct slab *slab, unsigned size_class, uint32_t owner) {
    page_map_fill(slab->span.first, slab->span.units, page_map_tag(owner) | size_class);
}

void orphan_leave(unsigned size_class, struct list *slabs) {
    struct orphans *of = &orphans[size_class];
    lock_take(&of->lock);
    while (!list_empty(slabs)) {
        struct slab *slab = CONTAINER_OF(slabs->next, struct slab, link);
        list_remove(&slab->link);
        if (slab_empty(slab)) {
            slab_destroy(slab);
        } else {
            set_owner(slab, size_class, OWNER_ORPHAN);
            insert(of, slab);
        }
    }
    lock_give(&of->lock);
}

void orphan_insert(struct slab *slab, unsigned size_class) {
    struct orphans *of = &orphans[size_class];
    lock_take(&of->lock);
    set_owner(slab, size_class, OWNER_ORPHAN);
    insert(of, slab);
    lock_give(&of->lock);
}

/* Takes a slab with free slots out of the list, or from its place as the commons. */
static void take_out(struct orphans *of, struct slab *slab) {
    if (slab == of->commons) {
        of->commons = NULL;
    } else {
        list_remove(&slab->link);
        available_add(of, -1u);
    }
}

struct slab *orphan_adopt(unsigned size_class, uint32_t owner) {
    struct orphans *of = &orphans[size_class];
    if (atomic_load_explicit(&of->available, memory_order_relaxed) == 0) {
        return NULL;
    }
    lock_take(&of->lock);
    struct slab *slab = first_with_free(of);
    if (slab != NULL) {
        take_out(of, slab);
        set_owner(slab, size_class, owner);
    }
    lock_give(&of->lock);
    return slab;
}

bool orphan_free(void *block) {
    size_t unit = window_unit(block);
    unsigned size_class = entry_class(page_map_load(unit));
    struct orphans *of = &orphans[size_class];
    lock_take(&of->lock);
    bool is_orphan = page_map_load(unit) == (page_map_tag(OWNER_ORPHAN) | size_class);
    if (is_orphan) {
        struct slab *slab = slab_of(block);
        bool was_full = slab_free_slots(slab) == 0;
        slab_give(slab, &block, 1, true);
        if (was_full) {
            list_remove(&slab->link);
            insert(of, slab);
        }
        if (slab_empty(slab)) {
            take_out(of, slab);
            slab_destroy(slab);
        }
    }
    lock_give(&of->lock);
    return is_orphan;
}

/* A slab for single blocks: an orphan, or a fresh one. */
static struct slab *commons_slab(struct orphans *of, unsigned size_class) {
    if (of->commons == NULL) {
        struct slab *slab = first_with_free(of);
        if (slab != NULL) {
            take_out(of, slab);
        } else {
            slab = slab_create(size_class, OWNER_ORPHAN);
        }
        of->commons = slab;
    }
    return of->commons;
}

unsigned commons_class(size_t size) {
    return size_class_of_aligned(CACHE_LINE, size);
}

void *commons_alloc(size_t size) {
    unsigned size_class = commons_class(size);
    struct orphans *of = &orphans[size_class];
    void *block = NULL;
    lock_take(&of->lock);
    struct slab *slab = commons_slab(of, size_class);
    if (slab != NULL) {
        slab_take(slab, &block, 1);
        live_set(block);
        if (slab_free_slots(slab) == 0) {
            of->commons = NULL;
            insert(of, slab);
        }
    }
    lock_give(&of->lock);
    return block;
}
