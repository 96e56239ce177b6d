#include "magazine.h"

#include <string.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "heap.h"
#include "live_map.h"
#include "metadata.h"

/* What a magazine holds at first. It doubles each time it proves too small, so that a thread that does little keeps
 * little. */
#define CAPACITY_START 8u

/* A cached block keeps its whole page from the system, unless others on the page are live: small ones cost more than
 * their bytes, though not a page, as neighbours are mostly cached together. */
#define COST_MIN 1024u

/* A heap draws on the budget in such steps, so that most need no atomic operation. */
#define DRAW_STEP ((size_t)16 << 10)

static unsigned smaller(unsigned a, unsigned b) {
    return a < b ? a : b;
}

static size_t block_cost(unsigned size_class) {
    size_t size = size_classes[size_class].size;
    return size > COST_MIN ? size : COST_MIN;
}

/* Relaxed: a bound, which nothing else depends on. */
static bool draw(struct heap *heap, size_t bytes) {
    if (atomic_fetch_add_explicit(&heaps.magazine_drawn, bytes, memory_order_relaxed) + bytes >
        atomic_load_explicit(&heaps.magazine_most, memory_order_relaxed)) {
        atomic_fetch_sub_explicit(&heaps.magazine_drawn, bytes, memory_order_relaxed);
        return false;
    }
    heap->magazine_drawn += bytes;
    return true;
}

static bool pay(struct heap *heap, size_t cost) {
    size_t needed = heap->magazine_cost + cost;
    size_t paid = MAGAZINE_FREE + heap->magazine_drawn;
    if (needed > paid && !draw(heap, round_up(needed - paid, DRAW_STEP))) {
        return false;
    }
    heap->magazine_cost = needed;
    return true;
}

static void refund(struct heap *heap, size_t cost) {
    heap->magazine_cost -= cost;
    if (heap->magazine_drawn + MAGAZINE_FREE >= heap->magazine_cost + 4 * DRAW_STEP) {
        magazines_return(heap);
    }
}

void magazines_return(struct heap *heap) {
    size_t beyond = heap->magazine_cost > MAGAZINE_FREE ? heap->magazine_cost - MAGAZINE_FREE : 0;
    size_t kept = round_up(beyond, DRAW_STEP);
    if (heap->magazine_drawn > kept) {
        atomic_fetch_sub_explicit(&heaps.magazine_drawn, heap->magazine_drawn - kept, memory_order_relaxed);
        heap->magazine_drawn = kept;
    }
}

/*
 * Statistics ask it of other threads' heaps too, whose plain words may change meanwhile (as atomics they would cost
 * each malloc and free an instruction or two): each word is read whole, and an impossible count is taken for none.
 */
RACY_READER unsigned magazine_count(const struct heap *heap, unsigned size_class) {
    void **bottom = heap->classes[size_class].bottom;
    ptrdiff_t count = bottom != NULL ? heap->tops[heap->mode_offset + size_class] - bottom : 0;
    return count >= 0 && count <= (ptrdiff_t)MAGAZINE_MAX ? (unsigned)count : 0;
}

size_t magazine_cost(const struct heap *heap, unsigned size_class) {
    void **bottom = heap->classes[size_class].bottom;
    return bottom != NULL ? magazine_capacity(bottom) * block_cost(size_class) : 0;
}

void magazine_install(struct heap *heap, unsigned size_class, void **bottom, unsigned count) {
    *bottom = NULL;
    heap->classes[size_class].bottom = bottom;
    heap->tops[heap->mode_offset + size_class] = bottom + count;
}

bool magazine_grow(struct heap *heap, unsigned size_class) {
    void **bottom = heap->classes[size_class].bottom;
    unsigned most = size_classes[size_class].magazine;
    unsigned capacity = bottom != NULL ? magazine_capacity(bottom) : 0;
    unsigned by = smaller(capacity != 0 ? capacity : CAPACITY_START, most - capacity);
    while (by != 0 && !pay(heap, by * block_cost(size_class))) {
        by /= 2;
    }
    if (by == 0) {
        return false;
    }
    if (bottom == NULL) {
        void **slots = metadata_alloc(MAGAZINE_SIZE);
        if (slots == NULL) {
            refund(heap, by * block_cost(size_class));
            return false;
        }
        magazine_install(heap, size_class, slots + MAGAZINE_MAX - by, 0);
        return true;
    }
    unsigned count = magazine_count(heap, size_class);
    memmove(bottom + 1 - by, bottom + 1, count * sizeof *bottom);
    magazine_install(heap, size_class, bottom - by, count);
    return true;
}

void magazine_shrink(struct heap *heap, unsigned size_class) {
    void **bottom = heap->classes[size_class].bottom;
    unsigned count = magazine_count(heap, size_class);
    unsigned by = bottom != NULL ? magazine_capacity(bottom) / 2 : 0;
    if (by != 0 && count + by <= magazine_capacity(bottom)) {
        memmove(bottom + 1 + by, bottom + 1, count * sizeof *bottom);
        magazine_install(heap, size_class, bottom + by, count);
        refund(heap, by * block_cost(size_class));
    }
}

unsigned magazine_prove(void *const *blocks, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        if (UNLIKELY(!live_end(blocks[i]))) {
            live_suspect(blocks[i]);
            return i;
        }
    }
    return count;
}

void magazine_dispose(struct heap *heap, unsigned size_class) {
    void **bottom = heap->classes[size_class].bottom;
    if (bottom != NULL) {
        refund(heap, magazine_cost(heap, size_class));
        metadata_free(magazine_start(bottom), MAGAZINE_SIZE);
        heap->classes[size_class].bottom = NULL;
        heap->tops[heap->mode_offset + size_class] = MAGAZINE_NONE;
    }
}
