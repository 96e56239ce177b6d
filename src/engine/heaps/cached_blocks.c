#include "cached_blocks.h"

#include <string.h>

#include "base/compiler.h"
#include "base/fault.h"
#include "engine/slabs/slab.h"
#include "hardened_heap.h"
#include "heap.h"
#include "magazine.h"
#include "remote.h"

/* How many units a refill collects before it looks elsewhere. Usually the first one has a block. */
#define COLLECTIONS 128u

RACY_READER size_t cached_count(const struct heap *heap, unsigned size_class) {
    return magazine_count(heap, size_class) + (size_t)heap->classes[size_class].stock.count * stored_size(size_class);
}

static bool is_among(void *const *blocks, size_t count, const void *block) {
    size_t i = 0;
    while (i < count && blocks[i] != block) {
        i++;
    }
    return i < count;
}

bool cached_holds(const struct heap *heap, unsigned size_class, const void *block) {
    const struct stored *stored = heap->classes[size_class].stock.magazines;
    while (stored != NULL && !is_among(stored_blocks(stored, size_class), stored_size(size_class), block)) {
        stored = stored->next;
    }
    const unsigned count = magazine_count(heap, size_class);
    return stored != NULL || (count != 0 && is_among(heap->bottoms[size_class] + 1, count, block));
}

/* A slab with free slots, so that the heap need not grow. An arena uses only its own blocks, so it adopts none. */
static struct slab *find_slab(struct heap *heap, unsigned size_class) {
    struct slab *slab = heap_slab_with_room(heap, size_class);
    for (unsigned i = 0; slab == NULL && i < COLLECTIONS && inbox_collect_class(heap, size_class); i++) {
        slab = heap_slab_with_room(heap, size_class);
    }
    return slab != NULL || heap->arena != NULL ? slab : heap_adopt(heap, size_class);
}

/* Takes slots without growing the heap: fills slots[0 .. wanted - 1] from the end, and returns how many it filled.
 * Nobody owns them yet. */
static unsigned take_slots(struct heap *heap, unsigned size_class, void **slots, unsigned wanted) {
    unsigned got = 0;
    while (got < wanted) {
        struct slab *slab = find_slab(heap, size_class);
        if (slab == NULL) {
            break;
        }
        got += slab_take(slab, slots + (wanted - got) - 1, wanted - got);
        if (slab_free_slots(slab) == 0) {
            heap_slab_full(heap, size_class, slab);
        }
    }
    return got;
}

/* How many blocks a refill fetches, and a full magazine gives back. Half of its capacity, so that neither the next
 * mallocs nor the next frees reach an end at once; all of it if it is short, because a lock for each few blocks
 * costs more. */
static unsigned batch(const struct heap *heap, unsigned size_class) {
    const unsigned capacity = magazine_capacity(heap, size_class);
    return magazine_is_short(heap, size_class) ? capacity : (capacity + 1) / 2;
}

bool cached_refill(struct heap *heap, unsigned size_class) {
    ASSERT(lock_held(&heap->lock));
    struct heap_class *of = &heap->classes[size_class];
    of->idle = false;
    of->refilled = true;
    /* Making the thread's heap may itself have allocated, so the magazine may not be empty. */
    if (heap->bottoms[size_class] != NULL && (heap->tops[heap->mode_offset + size_class] != heap->bottoms[size_class] ||
                                              depot_bring_back(heap, size_class))) {
        return true;
    }
    /* A magazine grows only once it can be filled, because one refill may be tried several times. */
    if (find_slab(heap, size_class) == NULL) {
        return false;
    }
    if (magazine_capacity(heap, size_class) < MAGAZINE_SLOTS - 1 || magazine_busy(heap, size_class)) {
        magazine_grow(heap, size_class);
    }
    void **bottom = heap->bottoms[size_class];
    if (bottom == NULL) {
        return false;
    }
    unsigned wanted = batch(heap, size_class);
    unsigned got = take_slots(heap, size_class, bottom + 1, wanted);
    if (got < wanted) {
        memmove(bottom + 1, bottom + 1 + (wanted - got), got * sizeof *bottom);
    }
    for (unsigned i = 1; !heap->checks_every && i <= got; i++) {
        live_set(bottom[i]);
    }
    heap->tops[heap->mode_offset + size_class] = bottom + got;
    if (heap->hardened != NULL) {
        if (heaps.harden == HARDEN_FULL) {
            hardened_bring_in(heap, size_class);
        }
        hardened_shuffle(heap, size_class);
    }
    of->strays = 0;
    of->borrowed = 0;
    counter_add(&heap->counters.refills, got != 0);
    class_counter_add(&heap->counters.class_refills[size_class]);
    if (of->refills != REFILLS_BEFORE_BUSY) {
        of->refills++;
    }
    return got != 0;
}

bool cached_needs_fresh(const struct heap *heap, unsigned size_class) {
    ASSERT(lock_held(&heap->lock));
    const struct slab *slab = heap_slab_with_room(heap, size_class);
    if (slab == NULL || slab_free_slots(slab) != slab->slots - slab_used(slab) ||
        heap->classes[size_class].stock.count != 0) {
        return false;
    }
    const size_t size = size_classes[size_class].size;
    const size_t next = slab_used(slab) * size;
    return slab_absent(slab, next, next + size);
}

void *cached_take_one(struct heap *heap, unsigned size_class) {
    ASSERT(lock_held(&heap->lock));
    void *block = NULL;
    struct slab *slab = heap_slab_with_room(heap, size_class);
    if (heap->bottoms[size_class] == NULL && slab != NULL) {
        take_slots(heap, size_class, &block, 1);
        live_set(block);
    }
    return block;
}

/* Gives the `count` blocks that have been in a magazine longest back to their slabs. */
static void flush(struct heap *heap, unsigned size_class, unsigned count) {
    void **bottom = heap->bottoms[size_class];
    unsigned rest = magazine_count(heap, size_class) - count;
    heap_give(heap, bottom + 1, heap->checks_every ? count : magazine_prove(bottom + 1, count));
    memmove(bottom + 1, bottom + 1 + count, rest * sizeof *bottom);
    heap->tops[heap->mode_offset + size_class] = bottom + rest;
    counter_add(&heap->counters.flushes, 1);
    class_counter_add(&heap->counters.class_flushes[size_class]);
}

bool cached_make_room(struct heap *heap, unsigned size_class) {
    ASSERT(lock_held(&heap->lock));
    struct heap_class *of = &heap->classes[size_class];
    of->idle = false;
    if (heap->bottoms[size_class] != NULL &&
        (depot_put_full(heap, size_class) || magazine_has_room(heap, size_class))) {
        return true;
    }
    if (magazine_grow(heap, size_class)) {
        return true;
    }
    if (heap->bottoms[size_class] == NULL) {
        return false;
    }
    flush(heap, size_class, batch(heap, size_class));
    return true;
}

static void flush_magazine(struct heap *heap, unsigned size_class) {
    unsigned count = magazine_count(heap, size_class);
    if (count != 0) {
        flush(heap, size_class, count);
    }
}

void cached_flush_class(struct heap *heap, unsigned size_class) {
    ASSERT(lock_held(&heap->lock));
    depot_flush_class(heap, size_class);
    flush_magazine(heap, size_class);
}

void cached_flush(struct heap *heap) {
    if (heap->hardened != NULL) {
        hardened_flush(heap);
    }
    depot_flush(heap);
    large_cache_flush(&heap->larges, SIZE_MAX);
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        if (heap->bottoms[size_class] != NULL) {
            flush_magazine(heap, size_class);
        }
    }
}
