/* hmm_valid.c - checks every invariant that the headers of src/hmm state. */
#include "hmm_valid.h"

#include "hmm/free_list.h"
#include "hmm/heap_state.h"

/* Found by the walk over all blocks, to be compared with the lists. */
struct tally {
    size_t bytes; /* of all blocks */
    size_t blocks;
    size_t free_blocks;
    size_t free_bytes;
    size_t cached_blocks;
};

/* NULL if nothing is wrong. */
static const char *block_flaw(struct HmmHeap *heap, struct block *block, const struct region *region, bool prev_free) {
    size_t size = block_size(block);
    if (!block_sound(block)) {
        return "hmm: a header's checksum is wrong";
    }
    if (size < BLOCK_MIN || size > (size_t)((char *)region->end - (char *)block)) {
        return "hmm: the blocks do not cover their region";
    }
    if (((block->header & BLOCK_PREV_USED) == 0) != prev_free) {
        return "hmm: PREV_USED does not fit the block before";
    }
    if ((block->header & BLOCK_USED) != 0) {
        bool cached = (block->header & BLOCK_CACHED) != 0;
        return cached && size > QUICK_SIZE_MAX ? "hmm: a cached block is too large" : NULL;
    }
    if (prev_free) {
        return "hmm: two free blocks are adjacent";
    }
    if (*block_footer_before(block_next(block)) != size / BLOCK_ALIGN) {
        return "hmm: a free block's footer is not its size";
    }
    return hmm_free_block_sound(heap, block) ? NULL : "hmm: a free block's tags or links are wrong";
}

static const char *region_flaw(struct HmmHeap *heap, const struct region *region, struct tally *tally) {
    bool prev_free = false;
    struct block *block = region->first;
    while (block != region->end) {
        const char *flaw = block_flaw(heap, block, region, prev_free);
        if (flaw != NULL) {
            return flaw;
        }
        prev_free = (block->header & BLOCK_USED) == 0;
        tally->blocks++;
        tally->bytes += block_size(block);
        tally->free_blocks += prev_free;
        tally->free_bytes += prev_free ? block_size(block) : 0;
        tally->cached_blocks += (block->header & BLOCK_CACHED) != 0;
        block = block_next(block);
    }
    if (!block_sound(block) || block_size(block) != 0 || (block->header & BLOCK_USED) == 0 ||
        ((block->header & BLOCK_PREV_USED) == 0) != prev_free) {
        return "hmm: a region's end is wrong";
    }
    return NULL;
}

static const char *regions_flaw(struct HmmHeap *heap, struct tally *tally) {
    const struct region *growing = NULL;
    for (unsigned i = 0; i < heap->region_count; i++) {
        const struct region *region = &heap->regions[i];
        if ((char *)region->first < region->start || region->end < region->first ||
            (i > 0 && region->start < (char *)region[-1].end + BLOCK_HEADER)) {
            return "hmm: regions overlap, or are out of order";
        }
        const char *flaw = region_flaw(heap, region, tally);
        if (flaw != NULL) {
            return flaw;
        }
        growing = i == heap->growing && heap->end != NULL ? region : growing;
    }
    if ((growing != NULL ? growing->end : NULL) != heap->end) {
        return "hmm: the end kept is not that of the region that grows";
    }
    return NULL;
}

static const char *counters_flaw(const struct HmmHeap *heap, const struct tally *tally) {
    if (tally->bytes != heap->room || tally->blocks != heap->blocks) {
        return "hmm: the number of blocks is wrong";
    }
    if (tally->free_bytes != heap->free_bytes || tally->free_blocks != heap->free_blocks) {
        return "hmm: the number of free blocks is wrong";
    }
    if (heap->most < heap->room - heap->free_bytes || heap->peak < heap->size || heap->size < heap->room) {
        return "hmm: the maximum is below the present value";
    }
    return NULL;
}

/* The untouched part of the region that grows must be zero, but for the heap's own end. O(bytes never used). */
static const char *touched_flaw(struct HmmHeap *heap) {
    if (!SYSTEM_MAY_ZERO || heap->end == NULL || heap->touched >= (uintptr_t)heap->end) {
        return NULL;
    }
    const uintptr_t *word =
        (const uintptr_t *)(const void *)((char *)heap->end - ((uintptr_t)heap->end - heap->touched));
    for (; word < (const uintptr_t *)heap->end - 1; word++) {
        if (*word != 0) {
            return "hmm: untouched memory is not zero";
        }
    }
    return NULL;
}

/* If there are as many sound blocks as the walk found, they are the same ones. The one being cut is in no bin. */
static const char *free_list_flaw(struct HmmHeap *heap, const struct tally *tally) {
    const struct free_list *list = &heap->free_list;
    size_t count = heap->cut != NULL;
    size_t bytes = 0; /* in bins */
    for (unsigned bin = 0; bin < FREE_BINS; bin++) {
        struct block *block = list->heads[bin];
        unsigned level = bin / FREE_STEPS;
        if (((list->steps[level] >> bin % FREE_STEPS & 1) != 0) != (block != NULL) ||
            ((list->levels >> level & 1) != 0) != (list->steps[level] != 0)) {
            return "hmm: a bit of the map is wrong";
        }
        for (; block != NULL && block != heap_list_end(heap); block = block->next) {
            if (block == heap->cut || !hmm_free_block_sound(heap, block) || bin_of(block_size(block)) != bin) {
                return "hmm: a bin holds what is not a free block of its size";
            }
            count++;
            bytes += block_size(block);
        }
    }
    size_t rows = 0;
#if __STDC_HOSTED__
    for (unsigned row = 0; row < HMM_ROWS; row++) {
        rows += list->rows[row].bytes;
    }
#else
    rows = bytes;
#endif
    if (rows != bytes) {
        return "hmm: the rows do not add up to the bins";
    }
    return count == tally->free_blocks ? NULL : "hmm: a free block is not in the free list";
}

#if HMM_QUICK_BYTES > 0
static const char *quick_lists_flaw(struct HmmHeap *heap, const struct tally *tally) {
    size_t cached = 0;
    for (size_t i = 0; i < QUICK_LISTS; i++) {
        uint32_t waiting = 0;
        for (struct block *block = heap->quick[i].head; block != NULL; block = block->link) {
            if (!heap_contains(heap, block) || !block_sound(block) || block->check != block_check(block, block->link) ||
                block_size(block) != i * BLOCK_ALIGN || (block->header & BLOCK_CACHED) == 0 ||
                waiting % QUICK_ONE >= HMM_QUICK_BYTES) {
                return "hmm: a quick list is wrong";
            }
            waiting += QUICK_ONE + (uint32_t)block_size(block);
            cached++;
        }
        if (waiting != heap->quick[i].waiting) {
            return "hmm: a quick list's length is wrong";
        }
    }
    return cached == tally->cached_blocks ? NULL : "hmm: a cached block is on no quick list";
}
#else
static const char *quick_lists_flaw(struct HmmHeap *heap, const struct tally *tally) {
    (void)heap;
    return tally->cached_blocks == 0 ? NULL : "hmm: a cached block is on no quick list";
}
#endif

static const char *heap_flaw(struct HmmHeap *heap) {
    struct tally tally = {0};
    const char *flaw = regions_flaw(heap, &tally);
    flaw = flaw != NULL ? flaw : counters_flaw(heap, &tally);
    flaw = flaw != NULL ? flaw : free_list_flaw(heap, &tally);
    flaw = flaw != NULL ? flaw : quick_lists_flaw(heap, &tally);
    return flaw != NULL ? flaw : touched_flaw(heap);
}

bool hmm_valid(struct HmmHeap *heap, const char **why) {
    bool locked = heap_enter(heap, "valid");
    *why = heap_flaw(heap);
    heap_leave(heap, locked);
    return *why == NULL;
}
