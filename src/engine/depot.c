#include "depot.h"

#include <string.h>

#include "base/compiler.h"
#include "base/fault.h"
#include "heap.h"
#include "live_map.h"
#include "metadata.h"
#include "os/os.h"
#include "span.h"

/* Limits on the depot: magazines of a heap, and bytes over all heaps. */
#define STORED_MAX 512u
#define STORED_BYTES_MAX ((size_t)4 << 20)

/* A heap that grows gives its depot back when that is this part of its slots, or more. */
#define UNLOAD_SHARE 8u

/* A heap draws on the bound in steps, no smaller than a stored magazine, so that most need no atomic operation. */
#define CREDIT_STEP ((size_t)64 << 10)

static unsigned kept_size(unsigned size_class) {
    return size_classes[size_class].magazine / KEPT_SHARE;
}

unsigned stored_size(unsigned size_class) {
    return size_classes[size_class].magazine - kept_size(size_class);
}

/* Where the bottom is of the largest magazine of a class that starts here. */
static void **bottom_in(void **start, unsigned size_class) {
    return start + (MAGAZINE_MAX - size_classes[size_class].magazine);
}

void *const *stored_blocks(const struct stored *stored, unsigned size_class) {
    return (void *const *)stored + (MAGAZINE_SLOTS - size_classes[size_class].magazine);
}

static size_t stored_bytes(unsigned size_class) {
    return (size_t)stored_size(size_class) * size_classes[size_class].size;
}

/* --- The bound over all heaps --------------------------------------------------------------------------------- */

/* `own`: what the heap keeps of a kind; `all`: what all heaps keep. Relaxed: a bound, which nothing else depends on. */
static bool add_bytes(size_t *own, _Atomic size_t *all, size_t bytes, size_t most) {
    if (atomic_load_explicit(&spans.decay_ms, memory_order_relaxed) == 0) {
        return false; /* nothing that is not in use shall be kept */
    }
    if (atomic_fetch_add_explicit(all, bytes, memory_order_relaxed) + bytes > most) {
        atomic_fetch_sub_explicit(all, bytes, memory_order_relaxed);
        return false;
    }
    *own += bytes;
    return true;
}

/* What comes into an empty depot begins a period of the decay. */
static void begin_period(struct depot *depot) {
    if (depot_bytes(depot) == 0) {
        depot->period_ms = os_coarse_ms();
    }
}

static bool add_stored_bytes(struct depot *depot, size_t bytes) {
    if (depot->stored_credit < bytes) {
        ASSERT(bytes <= CREDIT_STEP);
        if (!add_bytes(&depot->stored_credit, &heaps.depot_bytes, CREDIT_STEP, STORED_BYTES_MAX)) {
            return false;
        }
    }
    begin_period(depot);
    depot->stored_credit -= bytes;
    depot->stored_bytes += bytes;
    return true;
}

/* Gives back what is drawn beyond `kept` bytes. */
static void return_credit(struct depot *depot, size_t kept) {
    if (depot->stored_credit > kept) {
        atomic_fetch_sub_explicit(&heaps.depot_bytes, depot->stored_credit - kept, memory_order_relaxed);
        depot->stored_credit = kept;
    }
}

static void take_stored_bytes(struct depot *depot, size_t bytes) {
    depot->stored_bytes -= bytes;
    depot->stored_credit += bytes;
    if (depot->stored_credit >= 3 * CREDIT_STEP) {
        return_credit(depot, CREDIT_STEP);
    }
}

/* --- Magazines ------------------------------------------------------------------------------------------------ */

static struct stored *take_empty(struct depot *depot) {
    struct stored *stored = depot->empty;
    if (stored != NULL) {
        depot->empty = stored->next;
    }
    return stored;
}

static void free_empties(struct depot *depot) {
    struct stored *stored;
    while ((stored = take_empty(depot)) != NULL) {
        metadata_free(stored, sizeof *stored);
    }
}

bool depot_put_full(struct heap *heap, unsigned size_class) {
    ASSERT(lock_held(&heap->lock));
    struct depot *depot = &heap->depot;
    struct heap_class *of = &heap->classes[size_class];
    void **full = of->bottom + 1;
    const unsigned size = stored_size(size_class);
    if (magazine_capacity(of->bottom) < size_classes[size_class].magazine || depot->stored_count == STORED_MAX ||
        !add_stored_bytes(depot, stored_bytes(size_class))) {
        return false;
    }
    struct stored *empty = take_empty(depot);
    void *slots = empty != NULL ? empty : metadata_alloc(MAGAZINE_SIZE);
    if (slots == NULL) {
        take_stored_bytes(depot, stored_bytes(size_class));
        return false;
    }
    if (!heap->checks_every) {
        magazine_prove(full, size);
    }
    void **bottom = bottom_in(slots, size_class);
    memcpy(bottom + 1, full + size, kept_size(size_class) * sizeof *bottom);
    struct stored *stored = (struct stored *)magazine_start(of->bottom);
    magazine_install(heap, size_class, bottom, kept_size(size_class));
    stored->next = of->stock.magazines;
    of->stock.magazines = stored;
    of->stock.count++;
    depot->stored_count++;
    return true;
}

/* Takes the newest stored magazine; NULL when there is none. */
static struct stored *take_stored(struct heap *heap, unsigned size_class) {
    ASSERT(lock_held(&heap->lock));
    struct stock *stock = &heap->classes[size_class].stock;
    struct stored *stored = stock->magazines;
    if (stored != NULL) {
        stock->magazines = stored->next;
        stock->count--;
        if (stock->surplus > stock->count) {
            stock->surplus = stock->count;
        }
        heap->depot.stored_count--;
        take_stored_bytes(&heap->depot, stored_bytes(size_class));
    }
    return stored;
}

bool depot_bring_back(struct heap *heap, unsigned size_class) {
    struct stored *stored = take_stored(heap, size_class);
    if (stored == NULL) {
        return false;
    }
    ASSERT(magazine_capacity(heap->classes[size_class].bottom) == size_classes[size_class].magazine);
    struct stored *empty = (struct stored *)magazine_start(heap->classes[size_class].bottom);
    empty->next = heap->depot.empty;
    heap->depot.empty = empty;
    void **bottom = bottom_in((void **)stored, size_class);
    const unsigned size = stored_size(size_class);
    for (unsigned i = 1; !heap->checks_every && i <= size; i++) {
        live_set(bottom[i]);
    }
    magazine_install(heap, size_class, bottom, size);
    return true;
}

static void unload(struct heap *heap, unsigned size_class, unsigned count) {
    for (; count; count--) {
        struct stored *stored = take_stored(heap, size_class);
        heap_give(heap, stored_blocks(stored, size_class), stored_size(size_class));
        metadata_free(stored, sizeof *stored);
        counter_add(&heap->counters.flushes, 1);
        class_counter_add(&heap->counters.class_flushes[size_class]);
    }
}

void depot_unload_class(struct heap *heap, unsigned size_class) {
    unload(heap, size_class, heap->classes[size_class].stock.count);
}

/* --- Giving back ---------------------------------------------------------------------------------------------- */

void depot_unload(struct heap *heap) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        depot_unload_class(heap, size_class);
    }
    free_empties(&heap->depot);
    return_credit(&heap->depot, 0);
}

bool depot_unload_much(struct heap *heap) {
    size_t bytes = depot_bytes(&heap->depot);
    bool much = bytes && bytes >= heap->slab_bytes / UNLOAD_SHARE;
    if (much) {
        depot_unload(heap);
    }
    return much;
}

/*
 * A heap that has not come here for a whole period has needed nothing. What was not needed has been free for as long as
 * dirty memory is kept.
 */
size_t depot_decay(struct heap *heap, uint64_t now_ms) {
    ASSERT(lock_held(&heap->lock));
    uint64_t decay_ms = atomic_load_explicit(&spans.decay_ms, memory_order_relaxed);
    uint64_t age = now_ms - heap->depot.period_ms;
    if (depot_empty(&heap->depot) || age < decay_ms) {
        return 0;
    }
    bool needed_nothing = age >= 2 * decay_ms;
    heap->depot.period_ms = now_ms;
    size_t before = heap->slab_bytes;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct stock *stock = &heap->classes[size_class].stock;
        unload(heap, size_class, needed_nothing ? stock->count : stock->surplus);
        stock->surplus = stock->count;
    }
    free_empties(&heap->depot);
    return_credit(&heap->depot, 0);
    return (before - heap->slab_bytes) >> UNIT_SHIFT;
}
