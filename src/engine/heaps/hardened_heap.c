#include "hardened_heap.h"

#include "engine/memory/large.h"
#include "engine/slabs/slot_record.h"
#include "engine/tables/metadata.h"
#include "magazine.h"
#include "os/os.h"

struct hardened *hardened_create(void) {
    struct hardened *hardened = metadata_alloc(sizeof *hardened);
    if (hardened != NULL) {
        *hardened = (struct hardened){.random = os_random() | 1};
    }
    return hardened;
}

void hardened_shuffle(struct heap *heap, unsigned size_class) {
    void **blocks = heap->classes[size_class].bottom + 1;
    const uint32_t count = magazine_count(heap, size_class);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t to_group_end = SHUFFLED - i % SHUFFLED;
        const uint32_t left = to_group_end < count - i ? to_group_end : count - i;
        const uint32_t chosen = i + hardened_below(heap->hardened, left);
        void *block = blocks[i];
        blocks[i] = blocks[chosen];
        blocks[chosen] = block;
    }
}

void *hardened_detain_first(struct hardened *hardened, unsigned size_class, void *block) {
    struct quarantine *quarantine = quarantine_create(size_classes[size_class].size);
    hardened->quarantines[size_class] = quarantine;
    return quarantine != NULL ? hardened_detain(hardened, size_class, block) : block;
}

static size_t bytes_of(const struct large *large) {
    return (size_t)large->span.units << UNIT_SHIFT;
}

/* Takes a block out of its place. */
static struct large *take_out(struct hardened *hardened, unsigned place) {
    struct large *large = hardened->larges[place];
    hardened->larges[place] = NULL;
    hardened->larges_bytes -= large != NULL ? bytes_of(large) : 0;
    return large;
}

struct large *hardened_keep_large(struct heap *heap, struct large *large) {
    struct hardened *hardened = heap->hardened;
    const unsigned place = hardened_below(hardened, HARDENED_LARGES);
    const struct large *there = hardened->larges[place];
    const size_t others = hardened->larges_bytes - (there != NULL ? bytes_of(there) : 0);
    if (others + bytes_of(large) > HARDENED_LARGES_BYTES) {
        return large;
    }
    struct large *older = take_out(hardened, place);
    hardened->larges[place] = large;
    hardened->larges_bytes += bytes_of(large);
    hardened->larges_last = place;
    return older;
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

void hardened_flush(struct heap *heap) {
    struct hardened *hardened = heap->hardened;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct quarantine *quarantine = hardened->quarantines[size_class];
        if (quarantine != NULL) {
            void *block;
            while ((block = quarantine_take(quarantine)) != NULL) {
                heap_give(heap, &block, 1);
            }
            quarantine_dispose(quarantine, size_classes[size_class].size);
            hardened->quarantines[size_class] = NULL;
        }
    }
    for (unsigned place = 0; place < HARDENED_LARGES; place++) {
        struct large *large = take_out(hardened, place);
        if (large != NULL) {
            large_destroy(large);
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

RACY_READER size_t hardened_larges(const struct heap *heap, size_t *count) {
    const struct hardened *hardened = heap->hardened;
    for (unsigned place = 0; hardened != NULL && place < HARDENED_LARGES; place++) {
        *count += hardened->larges[place] != NULL;
    }
    return hardened != NULL ? hardened->larges_bytes : 0;
}

void hardened_reseed(struct hardened *hardened) {
    hardened->random = os_random() | 1;
}

void hardened_forget(struct hardened *hardened) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        if (hardened->quarantines[size_class] != NULL) {
            quarantine_dispose(hardened->quarantines[size_class], size_classes[size_class].size);
        }
    }
    *hardened = (struct hardened){.random = os_random() | 1};
}
