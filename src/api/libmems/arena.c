/* arena.c - the arenas of mems.h. */
#include "engine/calls/arena.h"

#include <errno.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "engine/engine.h"
#include "mems.h"

EXPORT struct mems_arena *mems_arena_create(const char *name) {
    return arena_create(name);
}

EXPORT void mems_arena_destroy(struct mems_arena *arena) {
    if (arena != NULL) {
        arena_destroy("mems_arena_destroy", arena);
    }
}

EXPORT void mems_arena_reset(struct mems_arena *arena) {
    if (arena != NULL) {
        arena_reset("mems_arena_reset", arena);
    }
}

EXPORT void *mems_arena_malloc(struct mems_arena *arena, size_t size) {
    return arena != NULL ? arena_alloc("mems_arena_malloc", arena, size) : engine_alloc(size);
}

EXPORT void *mems_arena_calloc(struct mems_arena *arena, size_t count, size_t size) {
    return arena != NULL ? arena_alloc_zeroed("mems_arena_calloc", arena, count, size)
                         : engine_alloc_zeroed(count, size);
}

EXPORT void *mems_arena_aligned_alloc(struct mems_arena *arena, size_t alignment, size_t size) {
    if (!is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    return arena != NULL ? arena_alloc_aligned("mems_arena_aligned_alloc", arena, alignment, size)
                         : engine_alloc_aligned(alignment, size);
}

EXPORT void *mems_arena_realloc(struct mems_arena *arena, void *block, size_t size) {
    if (block != NULL && size == 0) {
        mems_arena_free(arena, block);
        return NULL;
    }
    return arena != NULL ? arena_realloc("mems_arena_realloc", arena, block, size)
                         : engine_realloc("mems_arena_realloc", block, size);
}

EXPORT void mems_arena_free(struct mems_arena *arena, void *block) {
    if (arena != NULL) {
        arena_free("mems_arena_free", arena, block);
    } else {
        engine_free(block);
    }
}

EXPORT void mems_arena_stats(struct mems_arena *arena, struct mems_arena_stats *stats) {
    if (arena != NULL && stats != NULL) {
        arena_stats("mems_arena_stats", arena, stats);
    }
}

EXPORT size_t mems_arena_list(struct mems_arena **arenas, size_t most) {
    return arena_list(arenas, most);
}
