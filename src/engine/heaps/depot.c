#include "depot.h"

#include <string.h>

#include "base/compiler.h"
#include "base/fault.h"
#include "engine/tables/live_map.h"
#include "engine/tables/metadata.h"
#include "heap.h"
#include "os/os.h"

/* Limits on the depot: magazines of a heap, and bytes over all heaps. */
#define STORED_MAX 512u
#define STORED_BYTES_MAX ((size_t)4 << 20)

/* A growing heap flushes its depot if that is at least 1/FLUSH_SHARE of its slots. */
#define FLUSH_SHARE 8u

/* How many blocks one call gives back to their slabs at most: each call stays short. */
#define UNLOADED_BLOCKS 8192u

/* A heap draws on the bound in steps, or for a stored magazine that is larger, so most draws are not atomic. */
#define CREDIT_STEP ((size_t)64 << 10)

static unsigned kept_size(unsigned size_class) {
    return size_classes[size_class].magazine / KEPT_SHARE;
}

unsigned stored_size(unsigned size_class) {
    return size_classes[size_class].magazine - kept_size(size_class);
}

/* The slots of the largest magazine of a class. */
static unsigned slots_of(unsigned size_class) {
    return magazine_slots(size_classes[size_class].magazine);
}

static size_t memory_of(unsigned size_class) {
    return slots_of(size_class) * sizeof(void *);
}

void *const *stored_blocks(const struct stored *stored, unsigned size_class) {
    return (void *const *)stored + (slots_of(size_class) - size_classes[size_class].magazine);
}

static size_t stored_bytes(unsigned size_class) {
    return (size_t)stored_size(size_class) * size_classes[size_class].size;
}

/* --- The bound over all heaps --------------------------------------------------------------------------------- */

/* Adds to what all heaps have drawn; returns what it was. Relaxed: only a bound. */
static size_t add_drawn(size_t bytes) {
    if (!os_single_threaded()) {
        return atomic_fetch_add_explicit(&heaps.depot_bytes, bytes, memory_order_relaxed);
    }
    const size_t drawn = atomic_load_explicit(&heaps.depot_bytes, memory_order_relaxed);
    atomic_store_explicit(&heaps.depot_bytes, drawn + bytes, memory_order_relaxed);
    return drawn;
}

static bool draw(struct depot *depot, size_t bytes) {
    if (atomic_load_explicit(&spans.decay_ms, memory_order_relaxed) == 0) {
        return false; /* nothing that is unused may be kept */
    }
    if (add_drawn(bytes) + bytes > STORED_BYTES_MAX) {
        add_drawn(-bytes);
        return false;
    }
    depot->stored_credit += bytes;
    return true;
}

/* Storing into an empty depot begins a decay period. */
static void begin_period(struct depot *depot) {
    if (depot_bytes(depot) == 0) {
        depot->period_ms = os_coarse_ms();
    }
}

static bool add_stored_bytes(struct depot *depot, size_t bytes) {
    if (depot->stored_credit < bytes && !draw(depot, max_size(bytes - depot->stored_credit, CREDIT_STEP))) {
        return false;
    }
    begin_period(depot);
    depot->stored_credit -= bytes;
    depot->stored_bytes += bytes;
    return true;
}

/* Gives back the credit drawn beyond `kept` bytes. */
static void return_credit(struct depot *depot, size_t kept) {
    if (depot->stored_credit > kept) {
        add_drawn(kept - depot->stored_credit);
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

static struct stored **empties_of(struct depot *depot, unsigned slots) {
    return &depot->empty[slots / MAGAZINE_SLOTS / 2];
}

static struct stored *take_empty(struct stored **empties) {
    struct stored *stored = *empties;
    if (stored != NULL) {
        *empties = stored->next;
    }
    return stored;
}

static void free_empties(struct depot *depot) {
    for (unsigned size = 0; size < MAGAZINE_SIZES; size++) {
        struct stored *stored;
        while ((stored = take_empty(&depot->empty[size])) != NULL) {
            metadata_free(stored, MAGAZINE_SIZE << size);
        }
    }
}

bool depot_put_full(struct heap *heap, unsigned size_class) {
    ASSERT(lock_held(&heap->lock));
    struct depot *depot = &heap->depot;
    struct heap_class *of = &heap->classes[size_class];
    void **full = heap->bottoms[size_class] + 1;
    const unsigned slots = of->slots;
    const unsigned kept = kept_size(size_class);
    const unsigned size = size_classes[size_class].magazine - kept;
    const size_t bytes = (size_t)size * size_classes[size_class].size;
    void **end = full + (kept + size);
    if (magazine_end(heap->bottoms[size_class], slots) != end ||
        heap->tops[heap->mode_offset + size_class] + 1 != end || depot->stored_count == STORED_MAX ||
        !add_stored_bytes(depot, bytes)) {
        return false;
    }
    struct stored *empty = take_empty(empties_of(depot, slots));
    void **start = empty != NULL ? (void **)empty : metadata_alloc(slots * sizeof *start);
    if (start == NULL) {
        take_stored_bytes(depot, bytes);
        return false;
    }
    if (!heap->checks_every) {
        magazine_prove(full, size);
    }
    void **bottom = start + (slots - 1 - (kept + size));
    for (unsigned i = 0; i < kept; i++) {
        bottom[1 + i] = full[size + i];
    }
    struct stored *stored = (struct stored *)magazine_start(heap->bottoms[size_class], slots);
    magazine_install(heap, size_class, bottom, slots, kept);
    stored->next = of->stock.magazines;
    of->stock.magazines = stored;
    of->stock.count++;
    depot->stored_count++;
    return true;
}

ALWAYS_INLINE struct stored *take_stored(struct heap *heap, unsigned size_class) {
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
    ASSERT(magazine_capacity(heap, size_class) == size_classes[size_class].magazine);
    const struct heap_class *of = &heap->classes[size_class];
    const unsigned slots = of->slots;
    struct stored **empties = empties_of(&heap->depot, slots);
    struct stored *empty = (struct stored *)magazine_start(heap->bottoms[size_class], slots);
    empty->next = *empties;
    *empties = empty;
    void **bottom = (void **)stored + (slots - 1 - size_classes[size_class].magazine);
    const unsigned size = stored_size(size_class);
    for (unsigned i = 1; !heap->checks_every && i <= size; i++) {
        live_set(bottom[i]);
    }
    magazine_install(heap, size_class, bottom, slots, size);
    return true;
}

static void flush_stored(struct heap *heap, unsigned size_class, unsigned count) {
    for (; count; count--) {
        struct stored *stored = take_stored(heap, size_class);
        heap_give(heap, stored_blocks(stored, size_class), stored_size(size_class));
        metadata_free(stored, memory_of(size_class));
        counter_add(&heap->counters.flushes, 1);
        class_counter_add(&heap->counters.class_flushes[size_class]);
    }
}

void depot_flush_class(struct heap *heap, unsigned size_class) {
    flush_stored(heap, size_class, heap->classes[size_class].stock.count);
}

void depot_flush(struct heap *heap) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES && heap->depot.stored_count != 0; size_class++) {
        depot_flush_class(heap, size_class);
    }
    free_empties(&heap->depot);
    return_credit(&heap->depot, 0);
}

/* Unloads up to `count` magazines of a class, but at most about *left blocks (*left falls). Returns how many. */
static unsigned flush_some(struct heap *heap, unsigned size_class, unsigned count, unsigned *left) {
    const unsigned size = stored_size(size_class);
    const unsigned most = (*left + size - 1) / size;
    count = count < most ? count : most;
    flush_stored(heap, size_class, count);
    *left -= count * size < *left ? count * size : *left;
    return count;
}

bool depot_flush_if_large(struct heap *heap) {
    size_t bytes = depot_bytes(&heap->depot);
    bool much = bytes && bytes >= heap->slab_bytes / FLUSH_SHARE;
    unsigned left = UNLOADED_BLOCKS;
    for (unsigned size_class = SIZE_CLASSES; much && left != 0 && size_class-- != 0;) {
        flush_some(heap, size_class, heap->classes[size_class].stock.count, &left);
    }
    return much;
}

static void begin_next_period(struct heap *heap, uint64_t now_ms) {
    heap->depot.period_ms = now_ms;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct stock *stock = &heap->classes[size_class].stock;
        stock->surplus = stock->count;
    }
    free_empties(&heap->depot);
    return_credit(&heap->depot, 0);
}

/* A heap that has not come here for a whole period needed nothing: its blocks have been free for the time that dirty
 * memory is kept. The period ends when all have been given back, perhaps by several calls. */
size_t depot_decay(struct heap *heap, uint64_t now_ms) {
    ASSERT(lock_held(&heap->lock));
    uint64_t decay_ms = atomic_load_explicit(&spans.decay_ms, memory_order_relaxed);
    uint64_t age = now_ms - heap->depot.period_ms;
    if (depot_empty(&heap->depot) || age < decay_ms) {
        return 0;
    }
    bool needed_nothing = age >= 2 * decay_ms;
    size_t before = heap->slab_bytes;
    unsigned left = UNLOADED_BLOCKS;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES && left != 0; size_class++) {
        struct stock *stock = &heap->classes[size_class].stock;
        const unsigned surplus = needed_nothing ? stock->count : stock->surplus;
        stock->surplus = surplus - flush_some(heap, size_class, surplus, &left);
    }
    if (left != 0) {
        begin_next_period(heap, now_ms);
    }
    return (before - heap->slab_bytes) >> UNIT_SHIFT;
}
