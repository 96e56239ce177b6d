#include "reserve.h"

#include <string.h>

#include "base/compiler.h"
#include "block.h"
#include "heap.h"
#include "large.h"
#include "metadata.h"
#include "os/os.h"
#include "span.h"

/* What is put by at most: so many bundles of a heap, which are metadata themselves, so many of its large blocks, of so
 * many units each, and so many bytes of either kind in all heaps together: a thread that sleeps keeps what it has put
 * by. */
#define BUNDLES_MAX 512u
#define LARGES_MAX 8u
#define LARGE_UNITS_MAX 2u
#define BUNDLES_BYTES_MAX ((size_t)4 << 20)
#define LARGES_BYTES_MAX ((size_t)2 << 20)

/* A heap that grows gives its reserve back when that is this part of its slots, or more. */
#define UNLOAD_SHARE 8u

unsigned bundle_size(unsigned size_class) {
    return (size_classes[size_class].magazine + 1u) / 2;
}

static size_t bundle_bytes(unsigned size_class) {
    return (size_t)bundle_size(size_class) * size_classes[size_class].size;
}

static size_t large_bytes(const struct large *large) {
    return (size_t)large->span.units << UNIT_SHIFT;
}

/* --- The bound over all heaps --------------------------------------------------------------------------------- */

/* `own`: what the heap has put by of a kind; `all`: what all heaps have. relaxed: a bound, which nothing else depends
 * on. */
static bool add_bytes(struct reserve *reserve, size_t *own, _Atomic size_t *all, size_t bytes, size_t most) {
    if (atomic_load_explicit(&spans.decay_ms, memory_order_relaxed) == 0) {
        return false; /* nothing is to be kept that is not in use */
    }
    if (atomic_fetch_add_explicit(all, bytes, memory_order_relaxed) + bytes > most) {
        atomic_fetch_sub_explicit(all, bytes, memory_order_relaxed);
        return false;
    }
    if (!reserve_bytes(reserve)) {
        reserve->period_ms = os_coarse_ms();
    }
    *own += bytes;
    return true;
}

static bool add_bundle_bytes(struct reserve *reserve, size_t bytes) {
    return add_bytes(reserve, &reserve->bundle_bytes, &registry.bundle_bytes, bytes, BUNDLES_BYTES_MAX);
}

static bool add_large_bytes(struct reserve *reserve, size_t bytes) {
    return add_bytes(reserve, &reserve->large_bytes, &registry.large_bytes, bytes, LARGES_BYTES_MAX);
}

static void take_bundle_bytes(struct reserve *reserve, size_t bytes) {
    atomic_fetch_sub_explicit(&registry.bundle_bytes, bytes, memory_order_relaxed);
    reserve->bundle_bytes -= bytes;
}

static void take_large_bytes(struct reserve *reserve, size_t bytes) {
    atomic_fetch_sub_explicit(&registry.large_bytes, bytes, memory_order_relaxed);
    reserve->large_bytes -= bytes;
}

/* --- Bundles -------------------------------------------------------------------------------------------------- */

static struct bundle *take_empty(struct heap *heap) {
    struct bundle *bundle = heap->reserve.empty;
    heap->reserve.empty = NULL;
    return bundle != NULL ? bundle : metadata_alloc(sizeof *bundle);
}

/* With check=deferred, where what lies in a magazine still has its live bit. */
static void prove(void *const *blocks, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        if (UNLIKELY(!live_test(blocks[i]))) {
            block_fault("free", blocks[i]);
        }
        live_clear(blocks[i]);
    }
}

bool reserve_put_half(struct heap *heap, unsigned size_class) {
    if (heap->reserve.bundle_count == BUNDLES_MAX || !add_bundle_bytes(&heap->reserve, bundle_bytes(size_class))) {
        return false;
    }
    struct bundle *bundle = take_empty(heap);
    if (bundle == NULL) {
        take_bundle_bytes(&heap->reserve, bundle_bytes(size_class));
        return false;
    }
    struct heap_class *of = &heap->classes[size_class];
    unsigned half = bundle_size(size_class);
    unsigned rest = size_classes[size_class].magazine - half;
    memcpy(bundle->blocks, of->bottom + 1, half * sizeof *bundle->blocks);
    if (!heap->proves) {
        prove(bundle->blocks, half);
    }
    memmove(of->bottom + 1, of->bottom + 1 + half, rest * sizeof *bundle->blocks);
    heap->tops[heap->first + size_class] = of->bottom + rest;
    bundle->next = of->stock.bundles;
    of->stock.bundles = bundle;
    of->stock.count++;
    heap->reserve.bundle_count++;
    return true;
}

/* Takes the bundle that was put by last; NULL when there is none. */
static struct bundle *take_bundle(struct heap *heap, unsigned size_class) {
    struct stock *stock = &heap->classes[size_class].stock;
    struct bundle *bundle = stock->bundles;
    if (bundle != NULL) {
        stock->bundles = bundle->next;
        stock->count--;
        if (stock->surplus > stock->count) {
            stock->surplus = stock->count;
        }
        heap->reserve.bundle_count--;
        take_bundle_bytes(&heap->reserve, bundle_bytes(size_class));
    }
    return bundle;
}

bool reserve_bring_back(struct heap *heap, unsigned size_class) {
    struct bundle *bundle = take_bundle(heap, size_class);
    if (bundle == NULL) {
        return false;
    }
    void **bottom = heap->classes[size_class].bottom;
    unsigned half = bundle_size(size_class);
    memcpy(bottom + 1, bundle->blocks, half * sizeof *bundle->blocks);
    for (unsigned i = 1; !heap->proves && i <= half; i++) {
        live_set(bottom[i]);
    }
    heap->tops[heap->first + size_class] = bottom + half;
    if (heap->reserve.empty != NULL) {
        metadata_free(bundle, sizeof *bundle);
    } else {
        heap->reserve.empty = bundle;
    }
    return true;
}

static void unload(struct heap *heap, unsigned size_class, unsigned count) {
    for (; count; count--) {
        struct bundle *bundle = take_bundle(heap, size_class);
        heap_give(heap, bundle->blocks, bundle_size(size_class), false);
        metadata_free(bundle, sizeof *bundle);
        counter_add(&heap->counters.flushes, 1);
    }
}

void reserve_unload_class(struct heap *heap, unsigned size_class) {
    unload(heap, size_class, heap->classes[size_class].stock.count);
}

/* --- Large blocks --------------------------------------------------------------------------------------------- */

bool reserve_put_large(struct heap *heap, struct large *large) {
    if (heap->reserve.large_count == LARGES_MAX || large->span.units > LARGE_UNITS_MAX ||
        !add_large_bytes(&heap->reserve, large_bytes(large))) {
        return false;
    }
    large->next = heap->reserve.larges;
    heap->reserve.larges = large;
    heap->reserve.large_count++;
    return true;
}

struct large *reserve_take_large(struct heap *heap, size_t units) {
    for (struct large **link = &heap->reserve.larges; *link != NULL; link = &(*link)->next) {
        struct large *large = *link;
        if (large->span.units == units) {
            *link = large->next;
            heap->reserve.large_count--;
            take_large_bytes(&heap->reserve, large_bytes(large));
            return large;
        }
    }
    return NULL;
}

/* Returns their bytes. */
static size_t unload_larges(struct heap *heap) {
    size_t bytes = 0;
    struct large *large;
    while ((large = heap->reserve.larges) != NULL) {
        heap->reserve.larges = large->next;
        heap->reserve.large_count--;
        take_large_bytes(&heap->reserve, large_bytes(large));
        bytes += large_bytes(large);
        large_destroy(large);
    }
    return bytes;
}

/* --- Giving back ---------------------------------------------------------------------------------------------- */

void reserve_unload(struct heap *heap) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        reserve_unload_class(heap, size_class);
    }
    unload_larges(heap);
    if (heap->reserve.empty != NULL) {
        metadata_free(heap->reserve.empty, sizeof *heap->reserve.empty);
        heap->reserve.empty = NULL;
    }
}

bool reserve_unload_much(struct heap *heap) {
    size_t bytes = reserve_bytes(&heap->reserve);
    bool much = bytes && bytes >= heap->slab_bytes / UNLOAD_SHARE;
    if (much) {
        reserve_unload(heap);
    }
    return much;
}

/*
 * A heap that has not come here for a whole period has needed nothing. Of large blocks it is not counted which were
 * needed: all go, and their memory to the system only if nothing was needed. What nobody has needed has been free for
 * as long as dirty memory is kept.
 */
void reserve_decay(struct heap *heap, uint64_t now_ms) {
    uint64_t decay_ms = atomic_load_explicit(&spans.decay_ms, memory_order_relaxed);
    uint64_t age = now_ms - heap->reserve.period_ms;
    if (!reserve_bytes(&heap->reserve) || age < decay_ms) {
        return;
    }
    bool needed_nothing = age >= 2 * decay_ms;
    heap->reserve.period_ms = now_ms;
    size_t before = heap->slab_bytes;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct stock *stock = &heap->classes[size_class].stock;
        unload(heap, size_class, needed_nothing ? stock->count : stock->surplus);
        stock->surplus = stock->count;
    }
    size_t larges = unload_larges(heap);
    span_purge((before - heap->slab_bytes + (needed_nothing ? larges : 0)) >> UNIT_SHIFT);
}
