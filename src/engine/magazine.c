#include "magazine.h"

#include <stdalign.h>
#include <string.h>

#include "base/compiler.h"
#include "heap.h"
#include "metadata.h"
#include "reserve.h"
#include "slab.h"
#include "window.h"

/* What a magazine holds at first. It doubles each time it proves too small, so that a thread that does little keeps
 * little. */
#define CAPACITY_START 8u

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
    ptrdiff_t count = bottom != NULL ? heap->tops[heap->first + size_class] - bottom : 0;
    return count >= 0 && count <= (ptrdiff_t)MAGAZINE_MAX ? (unsigned)count : 0;
}

RACY_READER size_t magazine_cached(const struct heap *heap, unsigned size_class) {
    return magazine_count(heap, size_class) + (size_t)heap->classes[size_class].stock.count * bundle_size(size_class);
}

void magazine_install(struct heap *heap, unsigned size_class, void **bottom, unsigned count) {
    *bottom = NULL;
    heap->classes[size_class].bottom = bottom;
    heap->tops[heap->first + size_class] = bottom + count;
}

/* Makes a magazine, or doubles its capacity. False when it is as large as it may be, or there is no memory for it. */
static bool grow(struct heap *heap, unsigned size_class) {
    void **bottom = heap->classes[size_class].bottom;
    unsigned most = size_classes[size_class].magazine;
    if (bottom == NULL) {
        void **slots = metadata_alloc(MAGAZINE_SIZE);
        if (slots != NULL) {
            magazine_install(heap, size_class, slots + MAGAZINE_MAX - smaller(CAPACITY_START, most), 0);
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
    magazine_install(heap, size_class, bottom - by, count);
    return true;
}

bool magazine_refill(struct heap *heap, unsigned size_class) {
    heap->classes[size_class].idle = false;
    /* Making the thread's heap may itself have allocated: then there is something already. */
    if (magazine_count(heap, size_class)) {
        return true;
    }
    if (reserve_bring_back(heap, size_class)) {
        return true;
    }
    grow(heap, size_class);
    void **bottom = heap->classes[size_class].bottom;
    if (bottom == NULL) {
        return false;
    }
    /* Half of it, so that neither a malloc nor a free that follows finds it at its end at once. */
    unsigned wanted = (magazine_capacity(bottom) + 1) / 2;
    unsigned got = 0;
    while (got < wanted) {
        struct slab *slab = heap_slab(heap, size_class);
        if (slab == NULL) {
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
    if (bottom == NULL) {
        return false;
    }
    if (!reserve_put_full(heap, size_class)) {
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
    reserve_unload_class(heap, size_class);
    unsigned count = magazine_count(heap, size_class);
    if (count) {
        magazine_flush(heap, size_class, count);
    }
}

void magazine_flush_all(struct heap *heap, bool dispose) {
    reserve_unload(heap);
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        magazine_flush_class(heap, size_class);
        void **bottom = heap->classes[size_class].bottom;
        if (bottom != NULL && dispose) {
            metadata_free(magazine_start(bottom), MAGAZINE_SIZE);
            heap->classes[size_class].bottom = NULL;
            heap->tops[heap->first + size_class] = MAGAZINE_NONE;
        }
    }
}
