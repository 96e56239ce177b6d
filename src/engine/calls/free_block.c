#include "free_block.h"

#include <errno.h>

#include "engine/heaps/cached_blocks.h"
#include "engine/heaps/remote.h"
#include "engine/memory/huge.h"
#include "engine/modes/sampled_block.h"
#include "engine/slabs/abandoned.h"
#include "engine/slabs/slab.h"
#include "engine/upkeep/decay.h"
#include "fast_path.h"
#include "heap_request.h"
#include "supply.h"

/* For statistics: until it is collected, the block is neither live nor free. */
static inline void count_remote(struct heap *heap, unsigned size_class) {
    if (UNLIKELY(heap == &heap_none)) {
        slab_count_add(&slab_counts[0][size_class].remote, 1);
        return;
    }
    _Atomic uint32_t *remote = &heap->classes[size_class].remote;
    atomic_store_explicit(remote, atomic_load_explicit(remote, memory_order_relaxed) + 1, memory_order_relaxed);
}

bool free_in_slab(void *block, uint32_t entry) {
    while (entry_is_slab(entry)) {
        if (entry_heap(entry) != HEAP_ABANDONED) {
            bool freed = remote_free(block);
            if (freed) {
                count_remote(heap_mine, entry_class(entry));
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

bool free_adopt(const void *block, unsigned size_class) {
    struct heap *heap = heap_mine;
    struct heap_class *of = &heap->classes[size_class];
    if (heap == &heap_none || of->strays == STRAYS_MAX ||
        (++of->strays != STRAYS_MAX && heap->bottoms[size_class] != NULL)) {
        return false;
    }
    of->strays = STRAYS_MAX;
    lock_take(&heap->lock);
    bool adopted = heap_adopt_of(heap, block, size_class);
    lock_give(&heap->lock);
    return adopted;
}

static COLD void free_beat(void) {
    int saved = errno;
    (void)supply_beat(heap_mine);
    heap_request_serve();
    errno = saved;
}

void free_count_foreign(struct heap *heap, unsigned size_class) {
    counter_add(&heap->counters.remote_frees, 1);
    if (UNLIKELY(heap_count(heap, size_classes[size_class].size))) {
        free_beat();
    }
}

void free_remotely(void *block, unsigned size_class) {
    struct heap *heap = heap_mine;
    if (UNLIKELY(!remote_free(block))) {
        free_fault(block);
        return;
    }
    count_remote(heap, size_class);
    free_count_foreign(heap, size_class);
    fault_if_suspect();
}

ALWAYS_INLINE void push(struct heap *heap, size_t top, void *block) {
    void **room = heap->tops[top] + 1;
    *room = block;
    heap->tops[top] = room;
}

/* The block has been checked, if frees are checked at the call. */
COLD void free_overflow(void *block, size_t top, struct heap *heap) {
    int saved = errno;
    unsigned size_class = (unsigned)top - heap->mode_offset;
    /* Only wide magazines have inner multiples. */
    if (heap->classes[size_class].slots > MAGAZINE_SLOTS && magazine_has_room(heap, size_class)) {
        push(heap, top, block);
        return;
    }
    lock_take(&heap->lock);
    if (cached_make_room(heap, size_class)) {
        push(heap, top, block);
    } else if (heap->checks_every || magazine_prove(&block, 1) == 1) {
        heap_give(heap, &block, 1);
    }
    lock_give(&heap->lock);
    upkeep(heap);
    fault_if_suspect();
    errno = saved;
}

bool free_huge(void *block) {
    sampled_block_end_huge(heap_mine, block);
    return huge_free(block);
}
