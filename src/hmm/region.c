#include "region.h"

#include "free_list.h"

void hmm_region_start(struct HmmHeap *heap) {
    if (!system_is_set(&hmm_block_secret)) {
        uint64_t chance = heap->hooks.entropy != NULL ? heap->hooks.entropy(heap->hooks.context) : system_random();
        system_set_once(&hmm_block_secret, (uintptr_t)(chance ^ chance >> 32) | 1);
    }
}

static unsigned regions_below(const struct HmmHeap *heap, const void *address) {
    unsigned low = 0;
    unsigned high = heap->region_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if ((uintptr_t)heap->regions[middle].start <= (uintptr_t)address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct region *hmm_region_of(const struct HmmHeap *heap, const void *address) {
    unsigned below = regions_below(heap, address);
    if (below == 0) {
        return NULL;
    }
    const struct region *region = &heap->regions[below - 1];
    return (uintptr_t)address < (uintptr_t)region->end + BLOCK_HEADER ? region : NULL;
}

void hmm_region_set_end(struct region *region, struct block *end) {
    region->end = end;
    region->grains = ((uintptr_t)end - (uintptr_t)region->first) / BLOCK_ALIGN;
}

void hmm_region_look(struct HmmHeap *heap, const struct region *region) {
    heap->low = (uintptr_t)region->first;
    heap->grains = region->grains;
}

static inline bool has_block(const struct region *region, uintptr_t block) {
    return word_rotate(block - (uintptr_t)region->first, BLOCK_ALIGN_BITS) < region->grains;
}

static inline const struct region *region_with(const struct HmmHeap *heap, const struct block *block) {
#if HMM_REGIONS <= 8 /* a linear search is faster and shorter; missing regions have no grains */
    const struct region *region = heap->regions;
    for (unsigned i = 0; i < HMM_REGIONS; i++, region++) {
        if (has_block(region, (uintptr_t)block)) {
            return region;
        }
    }
    return NULL;
#else
    const struct region *region = hmm_region_of(heap, block);
    return region != NULL && has_block(region, (uintptr_t)block) ? region : NULL;
#endif
}

NOINLINE bool hmm_region_seek(struct HmmHeap *heap, const struct block *block) {
    const struct region *region = region_with(heap, block);
    if (region == NULL) {
        return false;
    }
    hmm_region_look(heap, region);
    return true;
}

NOINLINE bool hmm_region_holds(const struct HmmHeap *heap, const struct block *block) {
    return region_with(heap, block) != NULL;
}

void hmm_region_resized(struct HmmHeap *heap, size_t size) {
    heap->size = size;
    heap->peak = size > heap->peak ? size : heap->peak;
}

static void insert_region(struct HmmHeap *heap, unsigned place, struct region region) {
    for (unsigned i = heap->region_count++; i > place; i--) {
        heap->regions[i] = heap->regions[i - 1];
    }
    heap->regions[place] = region;
}

struct region *hmm_region_add(struct HmmHeap *heap, char *start, char *end) {
    unsigned place = regions_below(heap, start);
    struct region *region = &heap->regions[place];
    size_t size = (size_t)(end - start);
    if (size < REGION_OVERHEAD + BLOCK_MIN || size > BLOCK_SIZE_MAX || (uintptr_t)end < (uintptr_t)start ||
        heap->region_count == HMM_REGIONS ||
        (place > 0 && (uintptr_t)start < (uintptr_t)region[-1].end + BLOCK_HEADER) ||
        (place < heap->region_count && (uintptr_t)end > (uintptr_t)region->start)) {
        return NULL;
    }
    heap->growing += heap->growing >= place;
    size_t head = round_up((uintptr_t)start + BLOCK_HEADER, BLOCK_ALIGN) - BLOCK_HEADER - (uintptr_t)start;
    size_t tail = (uintptr_t)end % BLOCK_ALIGN + BLOCK_HEADER;
    struct block *first = block_at(start + head);
    insert_region(heap, place, (struct region){.start = start, .first = first});
    hmm_region_set_end(region, block_at(end - tail));
    hmm_region_resized(heap, heap->size + size);
    block_set_tag(region->end, REGION_END_TAG | BLOCK_PREV_USED);
    hmm_region_look(heap, region);
    heap->room += size - head - tail;
    heap->blocks++;
    hmm_insert_free_block(heap, first, size - head - tail);
    return region;
}

#if HMM_BREAK && __STDC_HOSTED__

void hmm_region_divide(struct HmmHeap *heap, struct block *block, char *start, char *end) {
    const unsigned place = regions_below(heap, block);
    struct block *next = block_next(block);
    struct block *below_end = block_at(start - BLOCK_HEADER);
    struct block *first = block_at(end + BLOCK_HEADER);
    const size_t below = (size_t)((char *)below_end - (char *)block);
    const size_t above = (size_t)((char *)next - (char *)first);
    insert_region(heap, place, (struct region){.start = end, .first = first, .holed = heap->regions[place - 1].holed});
    struct region *region = &heap->regions[place];
    heap->growing += heap->growing + 1 >= place;
    heap->room -= block_size(block) - below - above;
    heap->blocks++;
    hmm_region_resized(heap, heap->size - (size_t)(end - start));
    hmm_region_set_end(region, region[-1].end);
    hmm_region_set_end(&region[-1], below_end);
    region[-1].holed = true;
    block_set_tag(below_end, REGION_END_TAG | BLOCK_PREV_USED);
    hmm_region_look(heap, &region[-1]);
    hmm_insert_free_block(heap, block, below);
    hmm_region_look(heap, region);
    hmm_insert_free_block(heap, first, above);
}

void hmm_region_cut(struct HmmHeap *heap, struct block *block, char *start) {
    struct region *region = &heap->regions[regions_below(heap, block) - 1];
    struct block *end = block_at(start - BLOCK_HEADER);
    const size_t size = (size_t)((char *)end - (char *)block);
    heap->room -= block_size(block) - size;
    hmm_region_resized(heap, heap->size - (block_size(block) - size));
    hmm_region_set_end(region, end);
    block_set_tag(end, REGION_END_TAG | BLOCK_PREV_USED);
    hmm_region_look(heap, region);
    hmm_insert_free_block(heap, block, size);
}

struct block *hmm_region_extend(struct HmmHeap *heap, struct region *region, size_t size) {
    struct block *block = region->end;
    struct block *end = block_after(block, size);
    block_set_tag(block, size | BLOCK_USED | (block_tag(block) & BLOCK_PREV_USED));
    block_set_tag(end, REGION_END_TAG | BLOCK_PREV_USED);
    heap->room += size;
    heap->blocks++;
    hmm_region_resized(heap, heap->size + size);
    hmm_region_set_end(region, end);
    hmm_region_look(heap, region);
    return hmm_merge_blocks(heap, block, block_key(block));
}

#endif

/* Ranges do not include their ends. */
static bool overlap(const void *start, const void *end, const void *other, const void *other_end) {
    return (uintptr_t)start < (uintptr_t)other_end && (uintptr_t)other < (uintptr_t)end;
}

int hmm_region_add_memory(struct HmmHeap *heap, void *memory, size_t size) {
    char *end = (char *)((uintptr_t)memory + size);
    /* Not in the regions: the heap's state, and memory that the break has not reached. */
    if (memory == NULL || overlap(memory, end, heap, heap + 1) ||
        overlap(memory, end, heap->brk.start, heap->brk.end)) {
        return EINVAL;
    }
    if (heap->region_count == HMM_REGIONS) {
        return ENOMEM;
    }
    hmm_region_start(heap);
    return hmm_region_add(heap, memory, end) != NULL ? 0 : EINVAL;
}
