#include "reserve.h"

#include <string.h>

#include "base/compiler.h"
#include "base/fault.h"
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

/* Of a full magazine this part stays at hand: the newest blocks, whose lines the processor has in its caches. */
#define KEPT_SHARE 4u

/* A heap draws on the bound in steps, no smaller than a bundle, so that most bundles need no atomic operation. */
#define CREDIT_STEP ((size_t)64 << 10)

static unsigned kept_size(unsigned size_class) {
    return size_classes[size_class].magazine / KEPT_SHARE;
}

unsigned bundle_size(unsigned size_class) {
    return size_classes[size_class].magazine - kept_size(size_class);
}

/* Where the bottom is of the largest magazine of a class that starts here. */
static void **bottom_in(void **start, unsigned size_class) {
    return start + (MAGAZINE_MAX - size_classes[size_class].magazine);
}

void *const *bundle_blocks(const struct bundle *bundle, unsigned size_class) {
    return (void *const *)bundle + (MAGAZINE_SLOTS - size_classes[size_class].magazine);
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
static bool add_bytes(size_t *own, _Atomic size_t *all, size_t bytes, size_t most) {
    if (atomic_load_explicit(&spans.decay_ms, memory_order_relaxed) == 0) {
        return false; /* nothing is to be kept that is not in use */
    }
    if (atomic_fetch_add_explicit(all, bytes, memory_order_relaxed) + bytes > most) {
        atomic_fetch_sub_explicit(all, bytes, memory_order_relaxed);
        return false;
    }
    *own += bytes;
    return true;
}

/* The first that is put aside begins a period of the decay. */
static void begin_period(struct reserve *reserve) {
    if (reserve_bytes(reserve) == 0) {
        reserve->period_ms = os_coarse_ms();
    }
}

static bool add_bundle_bytes(struct reserve *reserve, size_t bytes) {
    if (reserve->bundle_credit < bytes) {
        ASSERT(bytes <= CREDIT_STEP);
        if (!add_bytes(&reserve->bundle_credit, &registry.bundle_bytes, CREDIT_STEP, BUNDLES_BYTES_MAX)) {
            return false;
        }
    }
    begin_period(reserve);
    reserve->bundle_credit -= bytes;
    reserve->bundle_bytes += bytes;
    return true;
}

/* Gives back what is drawn beyond `kept` bytes. */
static void return_credit(struct reserve *reserve, size_t kept) {
    if (reserve->bundle_credit > kept) {
        atomic_fetch_sub_explicit(&registry.bundle_bytes, reserve->bundle_credit - kept, memory_order_relaxed);
        reserve->bundle_credit = kept;
    }
}

static bool add_large_bytes(struct reserve *reserve, size_t bytes) {
    begin_period(reserve);
    return add_bytes(&reserve->large_bytes, &registry.large_bytes, bytes, LARGES_BYTES_MAX);
}

static void take_bundle_bytes(struct reserve *reserve, size_t bytes) {
    reserve->bundle_bytes -= bytes;
    reserve->bundle_credit += bytes;
    if (reserve->bundle_credit >= 3 * CREDIT_STEP) {
        return_credit(reserve, CREDIT_STEP);
    }
}

static void take_large_bytes(struct reserve *reserve, size_t bytes) {
    atomic_fetch_sub_explicit(&registry.large_bytes, bytes, memory_order_relaxed);
    reserve->large_bytes -= bytes;
}

/* --- Bundles -------------------------------------------------------------------------------------------------- */

static struct bundle *take_empty(struct reserve *reserve) {
    struct bundle *bundle = reserve->empty;
    if (bundle != NULL) {
        reserve->empty = bundle->next;
    }
    return bundle;
}

static void free_empties(struct reserve *reserve) {
    struct bundle *bundle;
    while ((bundle = take_empty(reserve)) != NULL) {
        metadata_free(bundle, sizeof *bundle);
    }
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

bool reserve_put_full(struct heap *heap, unsigned size_class) {
    struct reserve *reserve = &heap->reserve;
    if (reserve->bundle_count == BUNDLES_MAX || !add_bundle_bytes(reserve, bundle_bytes(size_class))) {
        return false;
    }
    struct bundle *empty = take_empty(reserve);
    void *slots = empty != NULL ? empty : metadata_alloc(MAGAZINE_SIZE);
    if (slots == NULL) {
        take_bundle_bytes(reserve, bundle_bytes(size_class));
        return false;
    }
    struct heap_class *of = &heap->classes[size_class];
    void **full = of->bottom + 1;
    const unsigned size = bundle_size(size_class);
    if (!heap->proves) {
        prove(full, size);
    }
    void **bottom = bottom_in(slots, size_class);
    memcpy(bottom + 1, full + size, kept_size(size_class) * sizeof *bottom);
    struct bundle *bundle = (struct bundle *)magazine_start(of->bottom);
    magazine_install(heap, size_class, bottom, kept_size(size_class));
    bundle->next = of->stock.bundles;
    of->stock.bundles = bundle;
    of->stock.count++;
    reserve->bundle_count++;
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
    struct bundle *empty = (struct bundle *)magazine_start(heap->classes[size_class].bottom);
    empty->next = heap->reserve.empty;
    heap->reserve.empty = empty;
    void **bottom = bottom_in((void **)bundle, size_class);
    const unsigned size = bundle_size(size_class);
    for (unsigned i = 1; !heap->proves && i <= size; i++) {
        live_set(bottom[i]);
    }
    magazine_install(heap, size_class, bottom, size);
    return true;
}

static void unload(struct heap *heap, unsigned size_class, unsigned count) {
    for (; count; count--) {
        struct bundle *bundle = take_bundle(heap, size_class);
        heap_give(heap, bundle_blocks(bundle, size_class), bundle_size(size_class), false);
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
    free_empties(&heap->reserve);
    return_credit(&heap->reserve, 0);
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
    if (reserve_empty(&heap->reserve) || age < decay_ms) {
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
    free_empties(&heap->reserve);
    return_credit(&heap->reserve, 0);
    size_t larges = unload_larges(heap);
    span_purge((before - heap->slab_bytes + (needed_nothing ? larges : 0)) >> UNIT_SHIFT);
}
