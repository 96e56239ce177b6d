/*
 * free.c - the ways of free beyond the fast path; malloc_trim.
 */
#include <errno.h>
#include <stdint.h>

#include "abandoned.h"
#include "engine.h"
#include "fast_path.h"
#include "front.h"
#include "huge.h"
#include "large.h"
#include "remote.h"
#include "transfer.h"
#include "upkeep.h"
#include "zeros.h"

/* A thread without a heap counts nothing; it sees to memory when it frees a block at one in this many granules. */
#define HEAPLESS_BEAT 1024u

/* A block of a slab that the calling thread's heap does not have; `entry` is what the page map said of it. False when
 * it is not live. */
static bool free_in_slab(void *block, uint32_t entry) {
    while (entry_is_slab(entry)) {
        if (entry_heap(entry) != HEAP_ABANDONED) {
            return remote_free(block);
        }
        enum abandoned_free found = abandoned_free(block);
        if (found != ABANDONED_ADOPTED) {
            return found == ABANDONED_FREED;
        }
        entry = page_map_load(window_unit(block));
    }
    return false;
}

/* False when no live large block starts there. */
static bool free_large(void *block) {
    struct large *large = large_end(block);
    if (large == NULL) {
        return false;
    }
    struct heap *heap = heap_mine;
    bool kept = false;
    if (heap != &heap_none) {
        if (large->watched) {
            zeros_learn(&heap->zeros, block, large_size(large));
        }
        lock_take(&heap->lock);
        kept = !large_advised(large) && depot_put_large(heap, large);
        lock_give(&heap->lock);
    }
    if (!kept) {
        large_destroy(large);
    }
    upkeep_decay();
    if (heap != &heap_none) {
        upkeep(heap);
    }
    return true;
}

static COLD void free_beat(void) {
    int saved = errno;
    upkeep_beat(heap_mine);
    errno = saved;
}

COLD void free_fault(void *block) {
    fault_report("free", block);
}

NOINLINE void free_foreign(void *block) {
    uint32_t entry = page_map_load(window_unit(block));
    bool freed;
    if (LIKELY(entry_is_slab(entry))) {
        counter_add(&heap_mine->counters.remote_frees, 1);
        freed = free_in_slab(block, entry);
        /* A thread that only frees what others allocate sees to memory too. */
        if (UNLIKELY(heap_count(heap_mine, size_classes[entry_class(entry)].size))) {
            free_beat();
        }
    } else {
        int saved = errno;
        freed = entry == UNIT_LARGE && free_large(block);
        errno = saved;
    }
    if (UNLIKELY(!freed)) {
        fault_report("free", block);
    }
    fault_if_suspect();
}

COLD void free_elsewhere(void *block) {
    if (block == NULL) {
        return;
    }
    int saved = errno;
    if (window_granule(block) >= window_granules()) {
        if (window_holds(block) || !huge_free(block)) {
            fault_report("free", block);
        }
        errno = saved;
        return;
    }
    struct heap *heap = heap_mine;
    uint32_t entry = page_map_load(window_unit(block));
    if (heap != &heap_none) {
        /* It did not know yet how far the window reaches. */
        heap_catch_up(heap);
        fast_free(block);
    } else if (entry_is_slab(entry) ? !free_in_slab(block, entry) : entry != UNIT_LARGE || !free_large(block)) {
        fault_report("free", block);
    } else if (live_granule(block) % HEAPLESS_BEAT == 0) {
        upkeep_of_others();
    }
    fault_if_suspect();
    errno = saved;
}

/* The block has been proved if each free is checked at the call. */
COLD void free_overflow(struct heap *heap, size_t top, void *block) {
    int saved = errno;
    unsigned size_class = (unsigned)top - heap->mode_offset;
    lock_take(&heap->lock);
    if (transfer_make_room(heap, size_class)) {
        void **room = heap->tops[top] + 1;
        *room = block;
        heap->tops[top] = room;
    } else if (heap->checks_every || magazine_prove(&block, 1) == 1) {
        heap_give(heap, &block, 1);
    }
    lock_give(&heap->lock);
    upkeep(heap);
    fault_if_suspect();
    errno = saved;
}

void engine_free(void *block) {
    fast_free(block);
}

size_t engine_trim(void) {
    if (!root_ready()) {
        return 0;
    }
    int saved = errno;
    size_t given = upkeep_trim(heap_mine != &heap_none ? heap_mine : NULL);
    fault_if_suspect();
    errno = saved;
    return given;
}
