#include "arena.h"

#include <errno.h>
#include <string.h>

#include "alloc.h"
#include "base/fault.h"
#include "calloc.h"
#include "engine/engine.h"
#include "engine/heaps/cached_blocks.h"
#include "engine/heaps/magazine.h"
#include "engine/heaps/magazine_budget.h"
#include "engine/heaps/remote.h"
#include "engine/memory/large.h"
#include "engine/modes/harden.h"
#include "engine/modes/sampled_block.h"
#include "engine/modes/sweep.h"
#include "engine/reports/damage.h"
#include "engine/reports/fault_report.h"
#include "engine/reports/heap_limit.h"
#include "engine/slabs/slab.h"
#include "engine/tables/canary.h"
#include "engine/tables/metadata.h"
#include "engine/upkeep/decay.h"
#include "engine/upkeep/trim.h"
#include "fast_path.h"
#include "mems.h"
#include "realloc.h"
#include "supply.h"

_Static_assert(ARENA_NAME_MAX == MEMS_ARENA_NAME_MAX, "mems.h has room for a name");

/* --- Handles ------------------------------------------------------------------------------------------------------ */

static _Noreturn COLD void fault_no_arena(const char *operation, const struct mems_arena *handle) {
    fault(operation, handle, "not an arena", "none was made with this handle, or it has been destroyed");
}

/* Locks and returns a handle's heap. Before the lock is taken it may belong to another arena, or none. */
static inline struct heap *enter(const char *operation, const struct mems_arena *handle) {
    const uint32_t id = (uint32_t)((uintptr_t)handle & ARENA_ID_MASK);
    if (UNLIKELY(id - 1 >= heaps_made())) {
        fault_no_arena(operation, handle);
    }
    struct heap *heap = heap_of(id);
    lock_take(&heap->lock);
    if (UNLIKELY(arena_handle(heap) != handle)) {
        lock_give(&heap->lock);
        fault_no_arena(operation, handle);
    }
    return heap;
}

/* --- The life of an arena ----------------------------------------------------------------------------------------- */

static void count_arenas(uint32_t by) {
    lock_take(&heaps.lock);
    uint32_t arenas = atomic_load_explicit(&heaps.arenas, memory_order_relaxed);
    atomic_store_explicit(&heaps.arenas, arenas + by, memory_order_relaxed);
    lock_give(&heaps.lock);
}

static void set_name(struct arena *arena, const char *name) {
    memset(arena->name, 0, sizeof arena->name);
    for (size_t i = 0; name != NULL && name[i] != '\0' && i < ARENA_NAME_MAX - 1; i++) {
        arena->name[i] = name[i];
    }
}

static void set_handle(struct heap *heap, uintptr_t handle) {
    atomic_store_explicit(&heap->handle, handle, memory_order_relaxed);
}

struct mems_arena *arena_create(const char *name) {
    static _Atomic uint64_t generations; /* relaxed: they only need to differ */
    bool alone;
    struct arena *arena = root_start() ? metadata_alloc(sizeof *arena) : NULL;
    struct heap *heap = arena != NULL ? heap_obtain(0, &alone) : NULL;
    if (heap == NULL) {
        if (arena != NULL) {
            metadata_free(arena, sizeof *arena);
        }
        return out_of_memory();
    }
    set_name(arena, name);
    list_init(&arena->larges);
    count_arenas(1);
    lock_take(&heap->lock);
    heap->arena = arena;
    heap_catch_up(heap);
    heap_set_mode(heap, true);
    inbox_open(heap);
    set_handle(heap, (uintptr_t)(atomic_fetch_add_explicit(&generations, 1, memory_order_relaxed) + 1)
                             << ARENA_ID_BITS |
                         heap->id);
    struct mems_arena *handle = arena_handle(heap);
    lock_give(&heap->lock);
    return handle;
}

/* Moves the large blocks to `ended`, except one that another thread is freeing. */
static void end_larges(struct heap *heap, struct list *ended) {
    struct list *larges = &heap->arena->larges;
    while (!list_empty(larges)) {
        struct large *large = CONTAINER_OF(larges->next, struct large, link);
        list_remove(&large->link);
        if (large_end(window_address(large->span.first)) != NULL) {
            large->arena = 0;
            heap_count_large(heap, -(uint64_t)large_size(large));
            list_push_back(ended, &large->link);
        }
    }
}

static void check_large(const char *operation, const struct large *large) {
    const size_t size = large_requested(large);
    const size_t room = round_up(size, OS_PAGE);
    void *block = window_address(large->span.first);
    if (UNLIKELY(!canary_intact(block, size, room))) {
        damage_overflow(operation, block, size, room);
    }
}

/* With no lock held, because freeing a sample walks a stack. */
static void free_larges(const char *operation, struct list *ended) {
    while (!list_empty(ended)) {
        struct large *large = CONTAINER_OF(ended->next, struct large, link);
        list_remove(&large->link);
        if (heaps.harden != HARDEN_OFF) {
            check_large(operation, large);
        }
        if (sampled_block_end_large(heap_mine, large)) {
            if (heaps.harden != HARDEN_OFF) {
                large_clear(large);
            }
            large_destroy(large);
        }
    }
}

/* The slots in magazines go with their slabs. */
static void dispose_magazines(struct heap *heap) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        if (heap->bottoms[size_class] != NULL) {
            heap->tops[size_class] = heap->bottoms[size_class];
            magazine_dispose(heap, size_class);
        }
    }
    magazine_budget_return(heap);
}

/* Ends all blocks, and frees the spans of slots; free_larges does so for large blocks. */
static void clear(struct heap *heap, struct list *ended) {
    list_init(ended);
    end_larges(heap, ended);
    inbox_collect(heap, SIZE_MAX, true);
    depot_flush(heap);
    dispose_magazines(heap);
    heap_drop_all(heap);
}

/* After a call that may have freed memory, with no lock held. */
static void keep_up(void) {
    if (heap_mine != &heap_none) {
        upkeep(heap_mine);
    } else {
        upkeep_decay();
    }
    fault_if_suspect();
}

/* With harden=full: the blocks end without a free that would check them. */
static void check_slots(const char *operation, struct mems_arena *handle) {
    if (UNLIKELY(heaps.harden == HARDEN_FULL)) {
        struct heap *heap = enter(operation, handle);
        lock_give(&heap->lock);
        sweep_arena(heap, operation);
    }
}

void arena_reset(const char *operation, struct mems_arena *handle) {
    const int saved = errno;
    check_slots(operation, handle);
    struct heap *heap = enter(operation, handle);
    struct list ended;
    clear(heap, &ended);
    lock_give(&heap->lock);
    free_larges(operation, &ended);
    keep_up();
    errno = saved;
}

void arena_destroy(const char *operation, struct mems_arena *handle) {
    const int saved = errno;
    check_slots(operation, handle);
    struct heap *heap = enter(operation, handle);
    struct arena *arena = heap->arena;
    struct list ended;
    clear(heap, &ended);
    set_handle(heap, 0);
    heap->arena = NULL;
    inbox_close(heap);
    heap_reset(heap);
    heap_set_mode(heap, heaps.checks_every);
    lock_give(&heap->lock);
    count_arenas(-1u);
    heap_retire(heap);
    metadata_free(arena, sizeof *arena);
    free_larges(operation, &ended);
    keep_up();
    errno = saved;
}

/* --- Allocation --------------------------------------------------------------------------------------------------- */

/* Under the lock. If a remote bit is set, the block was freed twice at the same moment. */
static inline void *pop(struct heap *heap, unsigned size_class) {
    void **top = heap->tops[size_class];
    void *block = *top;
    if (UNLIKELY(block == NULL)) {
        return NULL;
    }
    heap->tops[size_class] = top - 1;
    if (UNLIKELY(live_freed_remotely(block))) {
        live_suspect(block);
        return NULL;
    }
    live_set(block);
    return block;
}

/* For upkeep of unused pages and magazines. Under the lock. */
static void note_use(struct heap *heap) {
    (void)upkeep_count(heap);
    heap->passed_ms = os_coarse_ms();
    heap_catch_up(heap);
}

/* The magazine is empty. Other threads may empty it again as soon as it is filled. */
static COLD void *alloc_filling(const char *operation, struct mems_arena *handle, unsigned size_class) {
    void *block = NULL;
    bool reclaimed = false;
    while (block == NULL) {
        struct heap *heap = enter(operation, handle);
        block = pop(heap, size_class);
        note_use(heap);
        lock_give(&heap->lock);
        if (block == NULL && !supply_magazine(heap, size_class, &block)) {
            if (reclaimed) {
                return out_of_memory();
            }
            upkeep_reclaim_all(heap_or_null());
            reclaimed = true;
        }
        fault_if_suspect();
    }
    keep_up();
    heap_limit_attend(heap_or_null());
    return block;
}

static inline void *alloc_slot(const char *operation, struct mems_arena *handle, unsigned size_class, size_t size) {
    struct heap *heap = enter(operation, handle);
    void *block = pop(heap, size_class);
    lock_give(&heap->lock);
    if (UNLIKELY(block == NULL)) {
        block = alloc_filling(operation, handle, size_class);
    }
    if (UNLIKELY(heaps.harden == HARDEN_FULL) && block != NULL) {
        const struct slot slot = slot_of(block, size_class);
        harden_begin(&slot, size, ORIGIN_MALLOC);
    }
    return block;
}

/* SIZE_CLASSES if no class is that large. */
static inline unsigned class_for(size_t size) {
    if (UNLIKELY(heaps.harden == HARDEN_FULL)) {
        return harden_class(size);
    }
    return LIKELY(size <= SMALL_MAX) ? size_class_of(size) : SIZE_CLASSES;
}

/* In the window, so that the block has a descriptor that the arena can list. */
static void *alloc_listed(const char *operation, struct mems_arena *handle, size_t alignment, size_t size, bool *zero) {
    void *block = alloc_large(size, alignment, zero);
    struct heap *heap = enter(operation, handle);
    if (block == NULL) {
        lock_give(&heap->lock);
        return NULL;
    }
    struct large *large = large_of(block);
    large->arena = heap->id;
    list_push_back(&heap->arena->larges, &large->link);
    lock_give(&heap->lock);
    return block;
}

void *arena_alloc(const char *operation, struct mems_arena *handle, size_t size) {
    bool zero;
    const unsigned size_class = class_for(size);
    return LIKELY(size_class < SIZE_CLASSES) ? alloc_slot(operation, handle, size_class, size)
                                             : alloc_listed(operation, handle, 1, size, &zero);
}

void *arena_alloc_zeroed(const char *operation, struct mems_arena *handle, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return out_of_memory();
    }
    const unsigned size_class = class_for(bytes);
    if (size_class < SIZE_CLASSES) {
        void *block = alloc_slot(operation, handle, size_class, bytes);
        return block != NULL ? memset(block, 0, size_classes[size_class].cleared) : NULL;
    }
    bool zero;
    void *block = alloc_listed(operation, handle, 1, bytes, &zero);
    if (block != NULL) {
        calloc_zero(block, bytes, zero);
    }
    return block;
}

void *arena_alloc_aligned(const char *operation, struct mems_arena *handle, size_t alignment, size_t size) {
    if (size > PTRDIFF_MAX || alignment > PTRDIFF_MAX || size + alignment > PTRDIFF_MAX) {
        return out_of_memory();
    }
    unsigned size_class =
        heaps.harden == HARDEN_FULL ? harden_class_aligned(alignment, size) : size_class_of_aligned(alignment, size);
    if (size_class < SIZE_CLASSES) {
        return alloc_slot(operation, handle, size_class, size);
    }
    bool zero;
    return alloc_listed(operation, handle, alignment, size != 0 ? size : 1, &zero);
}

/* --- Blocks of an arena ------------------------------------------------------------------------------------------- */

/* A fault unless the block is live and belongs to the arena. */
static struct block block_of(const char *operation, const struct mems_arena *handle, const void *address) {
    struct block block = fault_unless_live(operation, address);
    uint32_t id = 0;
    if (block.kind == BLOCK_SLOT) {
        id = entry_heap(page_map_load(window_unit(address)));
    } else if (block.kind == BLOCK_LARGE) {
        id = large_of(address)->arena;
    }
    if (UNLIKELY(id != ((uintptr_t)handle & ARENA_ID_MASK))) {
        fault(operation, address, "not a block of this arena", "it belongs to another arena, or to none");
    }
    return block;
}

/* A full magazine, a large block, or a fault. */
static COLD void free_slowly(const char *operation, struct mems_arena *handle, void *block) {
    const int saved = errno;
    const struct block known = block_of(operation, handle, block);
    if (known.kind != BLOCK_SLOT || heaps.harden != HARDEN_OFF) {
        engine_free(block);
        errno = saved;
        return;
    }
    struct heap *heap = enter(operation, handle);
    const bool freed = live_end(block);
    heap_catch_up(heap);
    const bool has_room =
        freed && (!magazine_ends_at(heap->tops[known.size_class] + 1) || cached_make_room(heap, known.size_class));
    if (has_room) {
        *++heap->tops[known.size_class] = block;
    } else if (freed) {
        heap_give(heap, &block, 1);
    }
    lock_give(&heap->lock);
    if (!freed) {
        fault_report(operation, block);
    }
    errno = saved;
}

/* Like fast_free, under the lock. */
void arena_free(const char *operation, struct mems_arena *handle, void *block) {
    struct heap *heap = enter(operation, handle);
    const uint64_t granule = rotate_right((uintptr_t)block - heap->base, GRANULE_SHIFT);
    const size_t size_class = granule < heap->granules[HARDEN_OFF] ? fast_class(heap, block) : SIZE_CLASSES;
    const bool fast = size_class < SIZE_CLASSES && !magazine_ends_at(heap->tops[size_class] + 1) &&
                      fast_live_end(heap, block, granule);
    if (LIKELY(fast)) {
        *++heap->tops[size_class] = block;
    }
    lock_give(&heap->lock);
    if (UNLIKELY(!fast && block != NULL)) {
        free_slowly(operation, handle, block);
    }
}

void *arena_realloc(const char *operation, struct mems_arena *handle, void *block, size_t size) {
    if (block == NULL) {
        return arena_alloc(operation, handle, size);
    }
    const struct block old = block_of(operation, handle, block);
    if (size > PTRDIFF_MAX) {
        return out_of_memory();
    }
    const bool stays = old.kind == BLOCK_LARGE && large_of(block)->sample != NULL; /* a guard is in the way */
    const size_t old_size = engine_usable_size(operation, block);
    if (!stays && heaps.harden == HARDEN_OFF && realloc_in_place(&old, size)) {
        return block;
    }
    void *moved = arena_alloc(operation, handle, size);
    if (moved == NULL) {
        return NULL;
    }
    memcpy(moved, block, old_size < size ? old_size : size);
    arena_free(operation, handle, block);
    return moved;
}

void arena_stats(const char *operation, struct mems_arena *handle, struct mems_arena_stats *stats) {
    struct heap *heap = enter(operation, handle);
    arena_collect(heap, stats);
    lock_give(&heap->lock);
}
