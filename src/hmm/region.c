#include "region.h"

#include "free_list.h"
#include "report.h"

void hmm_heap_start(struct HmmHeap *heap) {
    if (hmm_block_secret == 0) {
        uint64_t chance = heap->hooks.entropy != NULL ? heap->hooks.entropy(heap->hooks.context) : system_random();
        hmm_block_secret = (uintptr_t)(chance ^ chance >> 32) | 1;
    }
}

/* The number of regions that begin at or below an address. */
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

void hmm_region_look(struct HmmHeap *heap, const struct region *region) {
    heap->low = (uintptr_t)block_payload(region->first);
    heap->grains = ((uintptr_t)region->end - (uintptr_t)region->first) / BLOCK_ALIGN;
}

NOINLINE bool hmm_heap_seek(struct HmmHeap *heap, const void *payload) {
    uintptr_t block = (uintptr_t)payload - BLOCK_HEADER;
    if ((uintptr_t)payload % BLOCK_ALIGN != 0) {
        return false;
    }
#if HMM_REGIONS <= 8 /* one after the other is faster, and shorter */
    const struct region *region = heap->regions;
    const struct region *last = region + heap->region_count;
    while (region < last && block - (uintptr_t)region->first >= (uintptr_t)region->end - (uintptr_t)region->first) {
        region++;
    }
    if (region == last) {
        return false;
    }
#else
    const struct region *region = hmm_region_of(heap, payload);
    if (region == NULL || block < (uintptr_t)region->first || block >= (uintptr_t)region->end) {
        return false;
    }
#endif
    hmm_region_look(heap, region);
    return true;
}

void hmm_heap_resized(struct HmmHeap *heap, size_t size) {
    heap->size = size;
    heap->peak = size > heap->peak ? size : heap->peak;
}

struct region *hmm_region_add(struct HmmHeap *heap, char *start, char *end) {
    unsigned place = regions_below(heap, start);
    struct region *region = &heap->regions[place];
    size_t size = (size_t)(end - start);
    if (size < REGION_OVERHEAD + BLOCK_MIN || size > BLOCK_SIZE_MAX || heap->region_count == HMM_REGIONS ||
        (place > 0 && (uintptr_t)start < (uintptr_t)region[-1].end + BLOCK_HEADER) ||
        (place < heap->region_count && (uintptr_t)end > (uintptr_t)region->start)) {
        return NULL;
    }
    for (unsigned i = heap->region_count++; i > place; i--) {
        heap->regions[i] = heap->regions[i - 1];
    }
    heap->growing += heap->growing >= place;
    size_t head = round_up((uintptr_t)start + BLOCK_HEADER, BLOCK_ALIGN) - BLOCK_HEADER - (uintptr_t)start;
    size_t tail = (uintptr_t)end % BLOCK_ALIGN + BLOCK_HEADER;
    struct block *first = block_at(start + head);
    *region = (struct region){.start = start, .first = first, .end = block_at(end - tail)};
    hmm_heap_resized(heap, heap->size + size);
    block_set_tag(region->end, REGION_END_TAG | BLOCK_PREV_USED);
    hmm_region_look(heap, region);
    heap->room += size - head - tail;
    heap->blocks++;
    hmm_insert_free_block(heap, first, size - head - tail);
    return region;
}

int hmm_heap_add_memory(struct HmmHeap *heap, void *memory, size_t size) {
    if (memory == NULL || size > PTRDIFF_MAX || (uintptr_t)memory > UINTPTR_MAX - size) {
        return EINVAL;
    }
    if (heap->region_count == HMM_REGIONS) {
        return ENOMEM;
    }
    hmm_heap_start(heap);
    return hmm_region_add(heap, memory, (char *)memory + size) != NULL ? 0 : EINVAL;
}
