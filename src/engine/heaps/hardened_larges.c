#include "hardened_larges.h"

#include <stdatomic.h>

#include "engine/memory/large.h"
#include "engine/tables/canary.h"
#include "engine/tables/holding.h"
#include "os/os.h"

static size_t bytes_of(const struct large *large) {
    return (size_t)large->span.units << UNIT_SHIFT;
}

/* The bytes of the large blocks that all heaps keep (relaxed: only a bound). */
static _Atomic size_t kept_bytes;

static void count_large(struct hardened *hardened, size_t bytes) {
    hardened->larges_bytes += bytes;
    atomic_fetch_add_explicit(&kept_bytes, bytes, memory_order_relaxed);
}

/* Takes a block out of its place. */
static struct large *take_out(struct hardened *hardened, unsigned place) {
    struct large *large = hardened->larges[place];
    hardened->larges[place] = NULL;
    if (large != NULL) {
        count_large(hardened, -bytes_of(large));
    }
    return large;
}

static void drop(struct hardened *hardened, unsigned place) {
    struct large *large = take_out(hardened, place);
    if (large != NULL) {
        large_destroy(large);
    }
}

/* An empty random place, or, if there is none, any but the last block's. */
static unsigned choose_place(struct heap *heap) {
    const struct hardened *hardened = heap->hardened;
    const unsigned first = hardened->larges_last + 1 + hardened_below(heap, HARDENED_LARGES - 1);
    for (unsigned i = 0; i < HARDENED_LARGES; i++) {
        if (hardened->larges[(first + i) % HARDENED_LARGES] == NULL) {
            return (first + i) % HARDENED_LARGES;
        }
    }
    return first % HARDENED_LARGES;
}

/* Moves a block from its random place to the end of the queue, if it has no memory there. */
static void enqueue(struct hardened *hardened, unsigned place) {
    struct large *large = hardened->larges[place];
    if (large == NULL || large->fence != FENCE_ALL) {
        drop(hardened, place);
        return;
    }
    drop(hardened, HARDENED_LARGES + hardened->larges_next);
    hardened->larges[HARDENED_LARGES + hardened->larges_next] = large;
    hardened->larges[place] = NULL;
    hardened->larges_next = (hardened->larges_next + 1) % HARDENED_LARGES_QUEUED;
}

static bool keeps_too_much(const struct hardened *hardened) {
    const size_t most = window_is_claimed() || holding_limited() ? HARDENED_LARGES_SCARCE
                                                                 : HARDENED_LARGES_BYTES * HARDENED_LARGES_QUEUED;
    return hardened->larges_bytes > HARDENED_LARGES_BYTES ||
           atomic_load_explicit(&kept_bytes, memory_order_relaxed) > most;
}

void hardened_keep_large(struct heap *heap, struct large *large) {
    struct hardened *hardened = heap->hardened;
    const unsigned chosen = choose_place(heap);
    enqueue(hardened, chosen);
    hardened->larges[chosen] = large;
    hardened->larges_last = chosen;
    count_large(hardened, bytes_of(large));
    /* Those in the queue, the oldest first, then those at random places, and at last the block itself. */
    for (unsigned i = 0; i < HARDENED_LARGES_QUEUED && keeps_too_much(hardened); i++) {
        drop(hardened, HARDENED_LARGES + (hardened->larges_next + i) % HARDENED_LARGES_QUEUED);
    }
    for (unsigned i = 1; i <= HARDENED_LARGES && keeps_too_much(hardened); i++) {
        drop(hardened, (chosen + i) % HARDENED_LARGES);
    }
}

struct large *hardened_take_large(struct heap *heap, size_t units, size_t size) {
    struct hardened *hardened = heap->hardened;
    for (unsigned place = 0; place < HARDENED_LARGES; place++) {
        const struct large *large = hardened->larges[place];
        if (large != NULL && place != hardened->larges_last && large->fence != FENCE_ALL &&
            large->span.units == units && large_size(large) == size) {
            return take_out(hardened, place);
        }
    }
    return NULL;
}

const struct large *hardened_find_written(const struct heap *heap) {
    const struct hardened *hardened = heap->hardened;
    for (unsigned place = 0; hardened != NULL && place < HARDENED_LARGES; place++) {
        const struct large *large = hardened->larges[place];
        if (large != NULL && large->fence != FENCE_ALL &&
            !zero_intact(window_address(large->span.first), large_size(large))) {
            return large;
        }
    }
    return NULL;
}

/* The bytes that heaps without a thread keep with their memory, and how many blocks such heaps have fenced (both
 * relaxed: only bounds). */
static _Atomic size_t left_bytes;
static _Atomic uint32_t fenced;

/* The heap is about to be used again, or to lose its blocks or their memory. */
static void end_left(struct hardened *hardened) {
    atomic_fetch_sub_explicit(&left_bytes, hardened->larges_left, memory_order_relaxed);
    hardened->larges_left = 0;
}

void hardened_give_larges(struct heap *heap) {
    if (heap->hardened != NULL) {
        end_left(heap->hardened);
    }
    for (unsigned place = 0; heap->hardened != NULL && place < HARDENED_LARGES_ALL; place++) {
        drop(heap->hardened, place);
    }
}

/* Whether a block may keep its memory when its thread ends. Counts it. */
static bool may_be_left(struct hardened *hardened, const struct large *large) {
    const size_t bytes = bytes_of(large);
    if (atomic_load_explicit(&fenced, memory_order_relaxed) < HARDENED_LARGES_FENCED ||
        atomic_load_explicit(&spans.decay_ms, memory_order_relaxed) == 0) {
        return false;
    }
    if (atomic_fetch_add_explicit(&left_bytes, bytes, memory_order_relaxed) + bytes > HARDENED_LARGES_LEFT) {
        atomic_fetch_sub_explicit(&left_bytes, bytes, memory_order_relaxed);
        return false;
    }
    hardened->larges_left += bytes;
    return true;
}

static void keep_address(struct hardened *hardened, unsigned place) {
    atomic_fetch_add_explicit(&fenced, 1, memory_order_relaxed);
    if (!large_fence_all(hardened->larges[place])) {
        drop(hardened, place);
    }
}

static bool has_memory(const struct large *large) {
    return large != NULL && large->fence != FENCE_ALL;
}

void hardened_leave_larges(struct heap *heap) {
    struct hardened *hardened = heap->hardened;
    for (unsigned place = 0; place < HARDENED_LARGES_ALL; place++) {
        if (has_memory(hardened->larges[place]) && !may_be_left(hardened, hardened->larges[place])) {
            keep_address(hardened, place);
        }
    }
}

size_t hardened_keep_addresses(struct heap *heap) {
    struct hardened *hardened = heap->hardened;
    const size_t left = hardened->larges_left;
    for (unsigned place = 0; left != 0 && place < HARDENED_LARGES; place++) {
        if (has_memory(hardened->larges[place])) {
            keep_address(hardened, place);
        }
    }
    if (left != 0) {
        end_left(hardened);
    }
    return left;
}

void hardened_take_over(struct heap *heap) {
    end_left(heap->hardened);
}

RACY_READER size_t hardened_larges(const struct heap *heap, size_t *count) {
    const struct hardened *hardened = heap->hardened;
    for (unsigned place = 0; hardened != NULL && place < HARDENED_LARGES_ALL; place++) {
        *count += hardened->larges[place] != NULL;
    }
    return hardened != NULL ? hardened->larges_bytes : 0;
}
