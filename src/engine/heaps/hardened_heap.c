#include "hardened_heap.h"

#include <stdatomic.h>

#include "engine/slabs/slot_record.h"
#include "engine/tables/metadata.h"
#include "hardened_larges.h"
#include "magazine.h"
#include "os/os.h"
#include "sample_points.h"

bool hardened_create(struct heap *heap) {
    lock_take(&heap->lock); /* hardened_larges.h */
    if (heap->hardened == NULL && (heap->hardened = metadata_alloc(sizeof *heap->hardened)) != NULL) {
        *heap->hardened = (struct hardened){0};
    }
    if (heap->shuffle == 0) { /* the heap is new, or was bare */
        hardened_reseed(heap);
    }
    if (heap->hardened != NULL) {
        hardened_take_over(heap);
    }
    lock_give(&heap->lock);
    return heap->hardened != NULL;
}

/* Shuffles up to SHUFFLED blocks. One random number serves all the choices: its product with the number of blocks to
 * choose from has the choice in the upper half, and in the lower one what is left for the others. */
ALWAYS_INLINE void shuffle_group(void **blocks, uint32_t count, uint32_t random) {
    for (uint64_t left = count; left > 1; left--, blocks++) {
        const uint64_t product = random * left;
        void **chosen = blocks + (product >> 32);
        void *block = *blocks;
        random = (uint32_t)product;
        *blocks = *chosen;
        *chosen = block;
    }
}

void hardened_shuffle(struct heap *heap, unsigned size_class) {
    void **blocks = heap->bottoms[size_class] + 1;
    uint32_t count = magazine_count(heap, size_class);
    for (; count >= SHUFFLED; count -= SHUFFLED, blocks += SHUFFLED) {
        shuffle_group(blocks, SHUFFLED, hardened_random(heap));
    }
    shuffle_group(blocks, count, hardened_random(heap));
}

/* Begins a write to a page, and leaves its contents alone. */
static void touch(char *address) {
    unsigned char zero = 0;
    atomic_compare_exchange_strong_explicit((_Atomic unsigned char *)address, &zero, 0, memory_order_relaxed,
                                            memory_order_relaxed);
}

void hardened_bring_in(const struct heap *heap, unsigned size_class) {
    const size_t room = size_class_room(size_class);
    const size_t count = magazine_count(heap, size_class);
    uintptr_t touched = 0;
    for (size_t i = 1; size_class != EMPTY_CLASS && i <= count; i++) {
        char *const start = heap->bottoms[size_class][i];
        if ((uintptr_t)start / OS_PAGE == touched && (uintptr_t)(start + room - 1) / OS_PAGE == touched) {
            continue;
        }
        for (size_t at = 0; at < room; at += OS_PAGE - (uintptr_t)(start + at) % OS_PAGE) {
            if ((uintptr_t)(start + at) / OS_PAGE != touched) {
                touched = (uintptr_t)(start + at) / OS_PAGE;
                touch(start + at);
            }
        }
    }
}

void *hardened_detain_first(struct heap *heap, unsigned size_class, void *block) {
    struct quarantine *quarantine = quarantine_create(size_classes[size_class].size);
    heap->hardened->quarantines[size_class] = quarantine;
    return quarantine != NULL ? hardened_detain(heap, size_class, block) : block;
}

void hardened_flush(struct heap *heap) {
    struct hardened *hardened = heap->hardened;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct quarantine *quarantine = hardened->quarantines[size_class];
        if (quarantine != NULL) {
            heap_give(heap, quarantine->blocks, quarantine_gather(quarantine));
            quarantine_dispose(quarantine, size_classes[size_class].size);
            hardened->quarantines[size_class] = NULL;
        }
    }
}

RACY_READER bool hardened_detains(const void *block) {
    const uint32_t entry = page_map_load(window_unit(block));
    const bool has_heap = entry_is_slab(entry) && entry_heap(entry) <= heaps_made();
    const struct hardened *hardened = has_heap ? heap_of(entry_heap(entry))->hardened : NULL;
    const struct quarantine *quarantine = hardened != NULL ? hardened->quarantines[entry_class(entry)] : NULL;
    return quarantine != NULL && quarantine_holds(quarantine, block);
}

RACY_READER size_t hardened_detained(const struct heap *heap, unsigned size_class) {
    const struct quarantine *quarantine = heap->hardened != NULL ? heap->hardened->quarantines[size_class] : NULL;
    size_t count = 0;
    for (uint32_t i = 0; quarantine != NULL && i < 2 * quarantine->places; i++) {
        count += quarantine->blocks[i] != NULL;
    }
    return count;
}

void hardened_reseed(struct heap *heap) {
    heap->shuffle = os_random() | 1;
}

void hardened_fork(struct heap *heap) {
    if (heap->hardened != NULL) {
        hardened_reseed(heap);
        heap->hardened->forked = true;
        sample_points_hasten(heap);
    }
}

void hardened_shuffle_all(struct heap *heap) {
    heap->hardened->forked = false;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        if (heap->bottoms[size_class] != NULL) {
            hardened_shuffle(heap, size_class);
        }
    }
}

void hardened_forget(struct heap *heap) {
    struct hardened *hardened = heap->hardened;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        if (hardened->quarantines[size_class] != NULL) {
            quarantine_dispose(hardened->quarantines[size_class], size_classes[size_class].size);
        }
    }
    *hardened = (struct hardened){0};
    hardened_reseed(heap);
}
