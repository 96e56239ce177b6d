/*
 * valid.c - hmm_valid: everything that the headers of this folder say must hold, looked at.
 */
#include "free_list.h"
#include "heap.h"
#include "region.h"
#include "state.h"

/* What the walk over all blocks has found, to be compared with what the lists say. */
struct tally {
    size_t bytes; /* of all regions, with what lies between blocks */
    size_t free_blocks;
    size_t cached_blocks;
};

/* One block, of which the one before it is free or not; NULL, or what is wrong. */
static const char *block_flaw(struct block *block, const struct region *region, bool prev_free) {
    size_t size = block_size(block);
    if (!block_sound(block)) {
        return "hmm: a header's checksum is wrong";
    }
    if (size < BLOCK_MIN || size > (size_t)((char *)region->end - (char *)block)) {
        return "hmm: blocks do not tile their region";
    }
    if (((block->header & BLOCK_PREV_USED) == 0) != prev_free) {
        return "hmm: a block is wrong about the one before it";
    }
    if ((block->header & BLOCK_USED) != 0) {
        bool cached = (block->header & BLOCK_CACHED) != 0;
        return cached && size > QUICK_SIZE_MAX ? "hmm: a block is cached that is too large" : NULL;
    }
    if (prev_free) {
        return "hmm: two free blocks touch";
    }
    if (*block_footer_before(block_next(block)) != size / BLOCK_ALIGN) {
        return "hmm: a free block's footer is not its size";
    }
    return hmm_free_block_sound(block) ? NULL : "hmm: a free block's tags or links are wrong";
}

static const char *region_flaw(const struct region *region, struct tally *tally) {
    bool prev_free = false;
    struct block *block = hmm_region_first(region);
    while (block != region->end) {
        const char *flaw = block_flaw(block, region, prev_free);
        if (flaw != NULL) {
            return flaw;
        }
        prev_free = (block->header & BLOCK_USED) == 0;
        tally->free_blocks += prev_free;
        tally->cached_blocks += (block->header & BLOCK_CACHED) != 0;
        block = block_next(block);
    }
    if (!block_sound(block) || block_size(block) != 0 || (block->header & BLOCK_USED) == 0 ||
        ((block->header & BLOCK_PREV_USED) == 0) != prev_free) {
        return "hmm: a region's end is wrong";
    }
    tally->bytes += (size_t)((char *)block + BLOCK_HEADER - region->start);
    return NULL;
}

static const char *regions_flaw(struct tally *tally) {
    const struct region *last = NULL;
    for (const struct region *region = hmm_heap.first; region != NULL; region = region->next) {
        if (last != NULL && (uintptr_t)region < (uintptr_t)last->end) {
            return "hmm: regions overlap, or are out of order";
        }
        const char *flaw = region_flaw(region, tally);
        if (flaw != NULL) {
            return flaw;
        }
        last = region;
    }
    if (last != hmm_heap.last || (last != NULL && last->end != hmm_heap.end)) {
        return "hmm: the last region is not the last one";
    }
    return NULL;
}

/* Every block of the free list is one that the walk has seen if there are as many of them, each sound. The one being
 * cut is in no bin. */
static const char *free_list_flaw(const struct tally *tally) {
    const char *flaw;
    if (!bins_valid(&hmm_heap.free_list, &flaw)) {
        return flaw;
    }
    size_t count = hmm_heap.cut != NULL;
    for (unsigned level = 0; level < BINS_LEVELS; level++) {
        for (unsigned step = 0; step < BINS_STEPS; step++) {
            for (struct bins_node *node = hmm_heap.free_list.heads[level][step]; node != NULL; node = node->next) {
                if (!hmm_free_block_sound(block_of_node(node))) {
                    return "hmm: what is not a free block is in the free list";
                }
                count++;
            }
        }
    }
    return count == tally->free_blocks ? NULL : "hmm: a free block is not in the free list";
}

static const char *quick_lists_flaw(const struct tally *tally) {
    size_t cached = 0;
    for (size_t i = 0; i < QUICK_LISTS; i++) {
        size_t bytes = 0;
        for (struct block *block = hmm_heap.quick[i].head; block != NULL; block = block->link) {
            if (!heap_spans(block_payload(block)) || !block_sound(block) || block_size(block) != i * BLOCK_ALIGN ||
                (block->header & BLOCK_CACHED) == 0 || bytes >= QUICK_BYTES) {
                return "hmm: a quick list is wrong";
            }
            bytes += block_size(block);
            cached++;
        }
        if (bytes != hmm_heap.quick[i].bytes) {
            return "hmm: a quick list is not as long as it says";
        }
    }
    return cached == tally->cached_blocks ? NULL : "hmm: a cached block is on no quick list";
}

bool hmm_valid(const char **why) {
    bool locked = heap_enter("valid");
    struct tally tally = {0};
    *why = regions_flaw(&tally);
    if (*why == NULL) {
        *why = free_list_flaw(&tally);
    }
    if (*why == NULL) {
        *why = quick_lists_flaw(&tally);
    }
    if (*why == NULL && tally.bytes != hmm_heap.size) {
        *why = "hmm: the regions' sizes do not add up";
    }
    heap_leave(locked);
    return *why == NULL;
}
