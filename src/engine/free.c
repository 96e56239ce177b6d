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
#include "slab.h"
#include "transfer.h"
#include "upkeep.h"
#include "zeros.h"

/* A thread without a heap counts nothing; it sees to memory when it frees a block at one in this many granules. */
#define HEAPLESS_BEAT 1024u

/* For statistics: until it is collected the block is neither live nor free. */
static void count_remote(unsigned size_class) {
    struct heap *heap = heap_mine;
    if (heap == &heap_none) {
        slab_count_add(&slab_counts[0][size_class].remote, 1);
        return;
    }
    _Atomic uint32_t *remote = &heap->classes[size_class].remote;
    atomic_store_explicit(remote, atomic_load_explicit(remote, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* A block of a slab that the calling thread's heap does not have; `entry` is what the page map said of it. False when
 * it is not live. */
static bool free_in_slab(void *block, uint32_t entry) {
    while (entry_is_slab(entry)) {
        if (entry_heap(entry) != HEAP_ABANDONED) {
            bool freed = remote_free(block);
            if (freed) {
                count_remote(entry_class(entry));
            }
            return freed;
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
    heap_count_large(heap, -(uint64_t)large_size(large));
    if (heap != &heap_none) {
        if (large->watched) {
            zeros_learn(&heap->zeros, block, large_size(large));
        }
        lock_take(&heap->lock);
        kept = !large_advised(large) && large_cache_put(&heap->larges, large);
        lock_give(&heap->lock);
    }
    if (!kept) {
        large_destroy(large);
    }
    if (heap == &heap_none) {
        upkeep_decay();
    } else {
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

/*
 * Whether the block's slab, which was abandoned a moment ago, has become the calling thread's own. A thread adopts the
 * first one that it frees into if it has no magazine of the class yet, and another one at the STRAYS_MAXth such free
 * after a refill of the class: a thread that only frees leaves the slabs to those that allocate.
 */
static bool adopt_slab(const void *block, unsigned size_class) {
    struct heap *heap = heap_mine;
    struct heap_class *of = &heap->classes[size_class];
    if (heap == &heap_none || of->strays == STRAYS_MAX || (++of->strays != STRAYS_MAX && of->bottom != NULL)) {
        return false;
    }
    of->strays = STRAYS_MAX;
    lock_take(&heap->lock);
    bool adopted = heap_adopt_of(heap, block, size_class);
    lock_give(&heap->lock);
    return adopted;
}

/* A block in a unit that no heap's slab has: of an abandoned slab, a large one, or none. */
static NOINLINE void free_heapless(void *block, uint32_t entry) {
    int saved = errno;
    if (entry_is_slab(entry) && adopt_slab(block, entry_class(entry))) {
        fast_free(block);
    } else if (entry_is_slab(entry) ? !free_in_slab(block, entry) : entry != UNIT_LARGE || !free_large(block)) {
        fault_report("free", block);
    }
    errno = saved;
}

NOINLINE void free_foreign(void *block) {
    uint32_t entry = page_map_load(window_unit(block));
    if (UNLIKELY(!entry_is_slab(entry) || entry_heap(entry) == HEAP_ABANDONED)) {
        free_heapless(block, entry);
    } else if (UNLIKELY(!remote_free(block))) {
        free_fault(block);
    } else {
        count_remote(entry_class(entry));
    }
    if (entry_is_slab(entry)) {
        counter_add(&heap_mine->counters.remote_frees, 1);
        /* A thread that only frees what others allocate sees to memory too. */
        if (UNLIKELY(heap_count(heap_mine, size_classes[entry_class(entry)].size))) {
            free_beat();
        }
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
