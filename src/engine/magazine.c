#include "magazine.h"

#include <stdalign.h>
#include <string.h>

#include "base/compiler.h"
#include "block.h"
#include "heap.h"
#include "metadata.h"
#include "os/os.h"
#include "slab.h"
#include "span.h"

/* What a magazine holds at first. It doubles each time it proves too small, so that a thread that does little keeps
 * little. */
#define CAPACITY_START 8u

/* A heap that grows unloads its bundles when they hold this part of its slots, or more. */
#define UNLOAD_SHARE 8u

/* What is put by at most: so many bundles of a heap, which are metadata themselves, and so many bytes of blocks in all
 * heaps together: a thread that sleeps keeps what it has put by. */
#define BUNDLES_MAX 512u
#define BUNDLES_BYTES_MAX ((size_t)4 << 20)

alignas(MAGAZINE_SLOTS * sizeof(void *)) void *magazine_none[MAGAZINE_SLOTS];

static unsigned smaller(unsigned a, unsigned b) {
    return a < b ? a : b;
}

/*
 * Statistics ask it of other threads' heaps too, whose plain words may change meanwhile (as atomics they would cost
 * each malloc and free an instruction or two): each word is read whole, and a count that cannot be is taken for none.
 */
RACY_READER unsigned magazine_count(const struct heap *heap, unsigned size_class) {
    void **bottom = heap->classes[size_class].bottom;
    ptrdiff_t count = bottom ? heap->tops[heap->first + size_class] - bottom : 0;
    return count >= 0 && count <= (ptrdiff_t)MAGAZINE_MAX ? (unsigned)count : 0;
}

RACY_READER size_t magazine_cached(const struct heap *heap, unsigned size_class) {
    return magazine_count(heap, size_class) + (size_t)heap->classes[size_class].stock * bundle_size(size_class);
}

static void set_bottom(struct heap *heap, unsigned size_class, void **bottom, unsigned count) {
    *bottom = NULL;
    heap->classes[size_class].bottom = bottom;
    heap->tops[heap->first + size_class] = bottom + count;
}

/* Makes a magazine, or doubles its capacity. False when it is as large as it may be, or there is no memory for it. */
static bool grow(struct heap *heap, unsigned size_class) {
    void **bottom = heap->classes[size_class].bottom;
    unsigned most = size_classes[size_class].magazine;
    if (!bottom) {
        void **slots = metadata_alloc(MAGAZINE_SIZE);
        if (slots) {
            set_bottom(heap, size_class, slots + MAGAZINE_MAX - smaller(CAPACITY_START, most), 0);
        }
        return slots != NULL;
    }
    unsigned capacity = magazine_capacity(bottom);
    unsigned by = smaller(capacity, most - capacity);
    if (by == 0) {
        return false;
    }
    unsigned count = magazine_count(heap, size_class);
    memmove(bottom + 1 - by, bottom + 1, count * sizeof *bottom);
    set_bottom(heap, size_class, bottom - by, count);
    return true;
}

unsigned bundle_size(unsigned size_class) {
    return (size_classes[size_class].magazine + 1u) / 2;
}

static size_t bundle_bytes(unsigned size_class) {
    return (size_t)bundle_size(size_class) * size_classes[size_class].size;
}

static struct bundle *empty_bundle(struct heap *heap) {
    struct bundle *bundle = heap->empty_bundle;
    heap->empty_bundle = NULL;
    return bundle ? bundle : metadata_alloc(sizeof *bundle);
}

/* relaxed: a bound, which nothing else depends on. */
static void release(size_t bytes) {
    atomic_fetch_sub_explicit(&registry.bundle_bytes, bytes, memory_order_relaxed);
}

static bool reserve(size_t bytes) {
    if (atomic_fetch_add_explicit(&registry.bundle_bytes, bytes, memory_order_relaxed) + bytes <= BUNDLES_BYTES_MAX) {
        return true;
    }
    release(bytes);
    return false;
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

/* The older half of the full magazine becomes a bundle. False when there are enough, or no memory for one. */
static bool put_by(struct heap *heap, unsigned size_class) {
    struct heap_class *of = &heap->classes[size_class];
    if (heap->bundle_count == BUNDLES_MAX || !reserve(bundle_bytes(size_class))) {
        return false;
    }
    struct bundle *bundle = empty_bundle(heap);
    if (!bundle) {
        release(bundle_bytes(size_class));
        return false;
    }
    heap->bundle_count++;
    unsigned half = bundle_size(size_class);
    unsigned rest = size_classes[size_class].magazine - half;
    memcpy(bundle->blocks, of->bottom + 1, half * sizeof *bundle->blocks);
    if (!heap->proves) {
        prove(bundle->blocks, half);
    }
    memmove(of->bottom + 1, of->bottom + 1 + half, rest * sizeof *bundle->blocks);
    heap->tops[heap->first + size_class] = of->bottom + rest;
    bundle->next = of->bundles;
    of->bundles = bundle;
    of->stock++;
    if (!heap->bundle_bytes) {
        heap->period_ms = os_coarse_ms();
    }
    heap->bundle_bytes += bundle_bytes(size_class);
    return true;
}

/* Takes the bundle that was put by last; NULL when there is none. */
static struct bundle *take_bundle(struct heap *heap, unsigned size_class) {
    struct heap_class *of = &heap->classes[size_class];
    struct bundle *bundle = of->bundles;
    if (bundle) {
        of->bundles = bundle->next;
        of->stock--;
        if (of->surplus > of->stock) {
            of->surplus = of->stock;
        }
        heap->bundle_count--;
        heap->bundle_bytes -= bundle_bytes(size_class);
        release(bundle_bytes(size_class));
    }
    return bundle;
}

/* A bundle's blocks go into the empty magazine. False when there is none. */
static bool bring_back(struct heap *heap, unsigned size_class) {
    struct bundle *bundle = take_bundle(heap, size_class);
    if (!bundle) {
        return false;
    }
    void **bottom = heap->classes[size_class].bottom;
    unsigned half = bundle_size(size_class);
    memcpy(bottom + 1, bundle->blocks, half * sizeof *bundle->blocks);
    for (unsigned i = 1; !heap->proves && i <= half; i++) {
        live_set(bottom[i]);
    }
    heap->tops[heap->first + size_class] = bottom + half;
    if (heap->empty_bundle) {
        metadata_free(bundle, sizeof *bundle);
    } else {
        heap->empty_bundle = bundle;
    }
    return true;
}

/* Gives the blocks of so many bundles back to their slabs. */
static void unload(struct heap *heap, unsigned size_class, unsigned count) {
    for (; count; count--) {
        struct bundle *bundle = take_bundle(heap, size_class);
        heap_give(heap, bundle->blocks, bundle_size(size_class), false);
        metadata_free(bundle, sizeof *bundle);
        counter_add(&heap->counters.flushes, 1);
    }
}

static void unload_all(struct heap *heap) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        unload(heap, size_class, heap->classes[size_class].stock);
    }
    if (heap->empty_bundle) {
        metadata_free(heap->empty_bundle, sizeof *heap->empty_bundle);
        heap->empty_bundle = NULL;
    }
}

bool bundles_unload(struct heap *heap) {
    bool many = heap->bundle_bytes && heap->bundle_bytes >= heap->slab_bytes / UNLOAD_SHARE;
    if (many) {
        unload_all(heap);
    }
    return many;
}

/* A heap that has not come here for a whole period has needed nothing. */
void bundles_decay(struct heap *heap) {
    if (!heap->bundle_bytes) {
        return;
    }
    uint64_t decay_ms = atomic_load_explicit(&spans.decay_ms, memory_order_relaxed);
    uint64_t age = os_coarse_ms() - heap->period_ms;
    if (age < decay_ms) {
        return;
    }
    heap->period_ms += age;
    size_t before = heap->slab_bytes;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct heap_class *of = &heap->classes[size_class];
        unload(heap, size_class, age < 2 * decay_ms ? of->surplus : of->stock);
        of->surplus = of->stock;
    }
    /* It has been free for as long as dirty memory is kept. */
    span_purge((before - heap->slab_bytes) >> UNIT_SHIFT);
}

bool magazine_refill(struct heap *heap, unsigned size_class) {
    heap->classes[size_class].idle = false;
    /* Making the thread's heap may itself have allocated: then there is something already. */
    if (magazine_count(heap, size_class)) {
        return true;
    }
    if (bring_back(heap, size_class)) {
        return true;
    }
    grow(heap, size_class);
    void **bottom = heap->classes[size_class].bottom;
    if (!bottom) {
        return false;
    }
    /* Half of it, so that neither a malloc nor a free that follows finds it at its end at once. */
    unsigned wanted = (magazine_capacity(bottom) + 1) / 2;
    unsigned got = 0;
    while (got < wanted) {
        struct slab *slab = heap_slab(heap, size_class);
        if (!slab) {
            break;
        }
        got += slab_take(slab, bottom + (wanted - got), wanted - got);
        if (slab_free_slots(slab) == 0) {
            heap_slab_full(heap, size_class, slab);
        }
    }
    if (got < wanted) {
        memmove(bottom + 1, bottom + 1 + (wanted - got), got * sizeof *bottom);
    }
    if (!heap->proves) {
        for (unsigned i = 1; i <= got; i++) {
            live_set(bottom[i]);
        }
    }
    heap->tops[heap->first + size_class] = bottom + got;
    counter_add(&heap->counters.refills, 1);
    return got > 0;
}

bool magazine_make_room(struct heap *heap, unsigned size_class) {
    heap->classes[size_class].idle = false;
    if (grow(heap, size_class)) {
        return true;
    }
    void **bottom = heap->classes[size_class].bottom;
    if (!bottom) {
        return false;
    }
    if (!put_by(heap, size_class)) {
        magazine_flush(heap, size_class, (magazine_capacity(bottom) + 1) / 2);
    }
    return true;
}

void magazine_flush(struct heap *heap, unsigned size_class, unsigned count) {
    void **bottom = heap->classes[size_class].bottom;
    unsigned rest = magazine_count(heap, size_class) - count;
    heap_give(heap, bottom + 1, count, !heap->proves);
    memmove(bottom + 1, bottom + 1 + count, rest * sizeof *bottom);
    heap->tops[heap->first + size_class] = bottom + rest;
    counter_add(&heap->counters.flushes, 1);
}

void magazine_flush_class(struct heap *heap, unsigned size_class) {
    unload(heap, size_class, heap->classes[size_class].stock);
    unsigned count = magazine_count(heap, size_class);
    if (count) {
        magazine_flush(heap, size_class, count);
    }
}

void magazine_flush_all(struct heap *heap, bool dispose) {
    unload_all(heap);
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        magazine_flush_class(heap, size_class);
        void **bottom = heap->classes[size_class].bottom;
        if (bottom && dispose) {
            metadata_free(bottom - (MAGAZINE_MAX - magazine_capacity(bottom)), MAGAZINE_SIZE);
            heap->classes[size_class].bottom = NULL;
            heap->tops[heap->first + size_class] = MAGAZINE_NONE;
        }
    }
}
