#include "arena_stats.h"

#include <string.h>

#include "engine/memory/large.h"
#include "engine/root/root.h"
#include "engine/slabs/slab.h"

void arena_collect(const struct heap *heap, struct mems_arena_stats *stats) {
    memset(stats, 0, sizeof *stats);
    memcpy(stats->name, heap->arena->name, sizeof stats->name);
    stats->arena = arena_handle(heap);
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        const struct list *slabs = &heap->classes[size_class].slabs;
        for (const struct list *link = slabs->next; link != slabs; link = link->next) {
            const struct slab *slab = CONTAINER_OF(link, struct slab, link);
            size_t live = slab_count_live(slab);
            stats->blocks += live;
            stats->bytes += live * size_classes[size_class].size;
            stats->held += (size_t)slab->span.units << UNIT_SHIFT;
        }
    }
    const struct list *larges = &heap->arena->larges;
    for (const struct list *link = larges->next; link != larges; link = link->next) {
        const struct large *large = CONTAINER_OF(link, struct large, link);
        stats->blocks++;
        stats->bytes += large_size(large);
        stats->held += (size_t)large->span.units << UNIT_SHIFT;
    }
}

bool arena_stats_of(uint32_t id, struct mems_arena_stats *stats) {
    struct heap *heap = heap_of(id);
    if (arena_handle(heap) == NULL) {
        return false;
    }
    lock_take(&heap->lock);
    const bool is_arena = heap->arena != NULL;
    if (is_arena) {
        arena_collect(heap, stats);
    }
    lock_give(&heap->lock);
    return is_arena;
}

size_t arena_list(struct mems_arena **handles, size_t most) {
    size_t count = 0;
    for (uint32_t id = 1; root_ready() && id <= heaps_made(); id++) {
        const struct heap *heap = heap_of(id);
        if (arena_handle(heap) != NULL) {
            if (count < most) {
                handles[count] = arena_handle(heap);
            }
            count++;
        }
    }
    return count;
}
