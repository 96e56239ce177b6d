/* hmm_alloc.c - between the user's call and the free list. */
#include "hmm_alloc.h"

#include "advice.h"
#include "block.h"
#include "break_moves.h"
#include "free_list.h"
#include "heap_state.h"
#include "hmm_report.h"
#include "purge.h"
#include "quick_list.h"

struct HmmHeap hmm_heap;
uintptr_t hmm_block_secret;

/* Sums with a header, an alignment and a region's overhead cannot overflow. */
#define REQUEST_MAX (BLOCK_SIZE_MAX / 2 < (size_t)PTRDIFF_MAX / 2 ? BLOCK_SIZE_MAX / 2 : (size_t)PTRDIFF_MAX / 2)

/* A block of at least PURGE_MIN has free blocks purged until 1/PURGE_SHARE of its size has gone back. */
#define PURGE_MIN ((size_t)256 << 10)
#define PURGE_SHARE 3

/* For reports: the operation when an allocation finds damage; problems with a pointer. */
static const char alloc[] = "alloc";
static const char double_free[] = "double free";
static const char not_live[] = "not a live block";

/* Whether merging cached blocks may yield a block of `size` bytes. */
static bool flush_may_serve(const struct HmmHeap *heap, size_t size) {
    struct quick_total total = hmm_quick_total(heap);
    return total.blocks > 0 && total.bytes + heap->free_bytes >= size;
}

/* The system has no more memory: merges all cached blocks. */
static NOINLINE struct block *find_at_last(struct HmmHeap *heap, size_t size) {
    struct block *block = NULL;
    if (flush_may_serve(heap, size)) {
        (void)hmm_quick_flush(heap, SIZE_MAX);
        block = hmm_find_free_block(heap, size);
    }
    heap->failures += block == NULL;
    return block;
}

/* The free list has no block ready. */
static NOINLINE struct block *find_more(struct HmmHeap *heap, size_t size) {
    struct block *block = NULL;
    if (flush_may_serve(heap, size) && hmm_quick_flush(heap, HMM_FLUSH_BLOCKS) > 0) {
        block = hmm_find_free_block(heap, size);
    }
    if (block == NULL) {
        block = hmm_alloc_extra(heap, size);
    }
    return block != NULL ? block : find_at_last(heap, size);
}

/* In the free list; NULL if there is no memory. */
static inline struct block *find_block(struct HmmHeap *heap, size_t size) {
    if (UNLIKELY(heap_faulty(heap))) {
        return hmm_alloc_extra(heap, size);
    }
    struct block *block = hmm_find_free_block(heap, size);
    return LIKELY(block != NULL) ? block : find_more(heap, size);
}

/* `size` bytes or slightly more; NULL if there is no memory. */
static struct block *take_block(struct HmmHeap *heap, size_t size) {
    struct block *block = find_block(heap, size);
    return LIKELY(block != NULL) ? hmm_split_block(heap, block, size) : NULL;
}

/* If the heap had to grow to a new peak because its free blocks were too small, some of their pages are purged. A block
 * that moves does not purge, because its old memory is about to become free. */
static struct block *take_large(struct HmmHeap *heap, size_t size) {
    size_t peak = heap->peak;
    struct block *block = take_block(heap, size);
    if (SYSTEM_MAY_ZERO && size >= PURGE_MIN && heap->peak > peak) {
        hmm_purge_freelist(heap, size / PURGE_SHARE);
    }
    return block;
}

/* The same for a small block that hmm_cut_block does not have. */
static NOINLINE struct block *find_small(struct HmmHeap *heap, size_t size) {
    struct block *block = find_block(heap, size);
    if (UNLIKELY(block == NULL)) {
        return NULL;
    }
    bool cuts = block_size(block) - size >= BLOCK_MIN && !heap_faulty(heap);
    return cuts ? hmm_cut_from(heap, block, size) : hmm_split_block(heap, block, size);
}

/* The same if the quick list is empty. Small blocks are cut from one block, so those made together lie together. */
static inline struct block *take_small(struct HmmHeap *heap, size_t size) {
    struct block *block = !heap_faulty(heap) ? hmm_cut_block(heap, size) : NULL;
    return LIKELY(block != NULL) ? block : find_small(heap, size);
}

/* Puts a used block in the free list, and gives excess memory to the system. */
static NOINLINE void give_block(struct HmmHeap *heap, struct block *block, struct block_key key) {
    hmm_advice_end_if_any(heap, block);
    block = hmm_merge_blocks(heap, block, key);
    size_t size = block_size(block);
    if (UNLIKELY(block_after(block, size) == heap->end && size >= heap->trim_at)) {
        (void)hmm_trim_break(heap, hmm_break_extra(heap));
    }
}

static void *no_memory(void) {
    system_set_errno(ENOMEM);
    return NULL;
}

/* NULL if there is no memory. Under the lock, as all above. */
static inline struct block *alloc_block(struct HmmHeap *heap, size_t need) {
    if (need > QUICK_SIZE_MAX) {
        return take_large(heap, need);
    }
    struct block *block = quick_pop(heap, need, alloc);
    return block != NULL ? block : take_small(heap, need);
}

static NOINLINE struct block *alloc_locked(struct HmmHeap *heap, size_t need) {
    hmm_heap_lock(heap, alloc);
    heap->operation = alloc;
    struct block *block = alloc_block(heap, need);
    hmm_heap_unlock(heap);
    return block;
}

static NOINLINE void *alloc_slow(struct HmmHeap *heap, size_t size) {
    if (UNLIKELY(size > REQUEST_MAX)) {
        return no_memory();
    }
    size_t need = block_size_for(size);
    struct block *block;
    if (LIKELY(heap_alone(heap))) {
        heap->operation = alloc;
        block = alloc_block(heap, need);
    } else {
        block = alloc_locked(heap, need);
    }
    return LIKELY(block != NULL) ? block_payload(block) : no_memory();
}

HOT void *hmm_alloc(struct HmmHeap *heap, size_t size) {
    if (HMM_QUICK_BYTES > 0 && LIKELY(size <= QUICK_REQUEST_MAX && heap_alone(heap))) {
        struct block *block = quick_pop(heap, block_size_for(size), alloc);
        if (LIKELY(block != NULL)) {
            return block_payload(block);
        }
    }
    return alloc_slow(heap, size);
}

/* Proves that a block of the heap is used, and returns its key. */
ALWAYS_INLINE struct block_key prove_used(struct HmmHeap *heap, const char *operation, struct block *block,
                                          const char *freed) {
    struct block_key key = block_key(block);
    if (UNLIKELY(!block_fits(block, key) || (block->header & (BLOCK_USED | BLOCK_CACHED)) != BLOCK_USED)) {
        hmm_report_pointer(heap, operation, block_payload(block), freed);
    }
    return key;
}

/* The block that a user holds at `payload`, and its key. Only this and hmm_free trust a user's pointer. */
ALWAYS_INLINE struct block *users_block(struct HmmHeap *heap, const char *operation, void *payload, const char *freed,
                                        struct block_key *key) {
    struct block *block = block_of(payload);
    if (UNLIKELY(!heap_contains(heap, block))) {
        hmm_report_pointer(heap, operation, payload, freed);
    }
    *key = prove_used(heap, operation, block, freed);
    return block;
}

static inline void free_block(struct HmmHeap *heap, struct block *block, struct block_key key) {
    if (!quick_push(heap, block, key)) {
        give_block(heap, block, key);
    }
}

static NOINLINE void free_slow(struct HmmHeap *heap, const char *operation, void *payload) {
    struct block_key key;
    bool locked = heap_enter(heap, operation);
    struct block *block = users_block(heap, operation, payload, double_free, &key);
    free_block(heap, block, key);
    heap_leave(heap, locked);
}

HOT void hmm_free(struct HmmHeap *heap, const char *operation, void *payload) {
#ifndef __OPTIMIZE_SIZE__
    /* Not by block_of: NULL, which is in no region, has no address before it. */
    struct block *block = (struct block *)((uintptr_t)payload - BLOCK_HEADER);
    if (LIKELY(heap_alone(heap) && region_was_last(heap, block))) {
        struct block_key key = prove_used(heap, operation, block, double_free);
        if (UNLIKELY(!quick_push(heap, block, key))) {
            heap->operation = operation;
            give_block(heap, block, key);
        }
        return;
    }
#endif
    if (payload != NULL) {
        free_slow(heap, operation, payload);
    }
}

void hmm_free_sized(struct HmmHeap *heap, const char *operation, void *payload, size_t size, size_t alignment) {
    if (payload == NULL) {
        return;
    }
    struct block_key key;
    bool locked = heap_enter(heap, operation);
    struct block *block = users_block(heap, operation, payload, double_free, &key);
    /* A rest that is too small for a block stays with the block. */
    if (size > block_room(block) || block_size(block) - block_size_for(size) >= BLOCK_MIN ||
        (alignment != 0 && ((uintptr_t)payload & (alignment - 1)) != 0)) {
        hmm_report_size(heap, operation, block, size, alignment);
    }
    free_block(heap, block, key);
    heap_leave(heap, locked);
}

/* Of a block just taken: how many bytes may not be zero, apart from the last word, which was a footer. */
static size_t written_bytes(const struct HmmHeap *heap, const void *payload) {
    const struct region *region = &heap->regions[heap->growing];
    if (!SYSTEM_MAY_ZERO || heap->end == NULL || (uintptr_t)payload < (uintptr_t)region->first ||
        (uintptr_t)payload >= (uintptr_t)region->end) {
        return SIZE_MAX;
    }
    return heap->touched_before > (uintptr_t)payload ? heap->touched_before - (uintptr_t)payload : 0;
}

static void *alloc_large_zeroed(struct HmmHeap *heap, size_t bytes) {
    bool locked = heap_enter(heap, alloc);
    struct block *block = take_large(heap, block_size_for(bytes));
    size_t written = block != NULL ? written_bytes(heap, block_payload(block)) : 0;
    const size_t room = block != NULL ? block_room(block) : 0;
    const bool grown = written != SIZE_MAX;
    struct program_break brk = heap->brk;
    heap_leave(heap, locked);
    if (block == NULL) {
        return no_memory();
    }
    char *payload = block_payload(block);
    written = written < room ? written : room;
    if (grown && written >= HMM_CLEAR_MIN) {
        hmm_clear_large(&brk, payload, written);
    } else {
        __builtin_memset(payload, 0, written);
    }
    __builtin_memset(payload + room - BLOCK_HEADER, 0, BLOCK_HEADER);
    return payload;
}

void *hmm_alloc_zeroed(struct HmmHeap *heap, size_t count, size_t size) {
    size_t bytes;
    if (!word_multiply(count, size, &bytes) || bytes > REQUEST_MAX) {
        return no_memory();
    }
    if (SYSTEM_MAY_ZERO && bytes > QUICK_REQUEST_MAX) {
        return alloc_large_zeroed(heap, bytes);
    }
    void *payload = hmm_alloc(heap, bytes);
    if (payload != NULL) {
        /* Programs expect zeros up to the usable size, as from glibc. */
        __builtin_memset(payload, 0, SYSTEM_MAY_ZERO ? hmm_usable_size(heap, alloc, payload) : bytes);
    }
    return payload;
}

/* The block behind a used one, proved. */
static struct block *proved_next(struct HmmHeap *heap, struct block *block) {
    struct block *next = block_next(block);
    if (UNLIKELY(!block_sound(next))) {
        hmm_report_next(heap, block, next);
    }
    return next;
}

/* If what is beyond `need` is large enough for a block. */
static void shrink_block(struct HmmHeap *heap, struct block *block, size_t need) {
    size_t size = block_size(block);
    if (size - need < BLOCK_MIN) {
        return;
    }
    (void)proved_next(heap, block); /* a report names the user's block, not what is cut off */
    struct block *rest = block_after(block, need);
    block_set_tag(block, (block_tag(block) & BLOCK_STATE) | need);
    block_set_tag(rest, (size - need) | BLOCK_USED | BLOCK_PREV_USED);
    heap->blocks++;
    give_block(heap, rest, block_key(rest));
}

void *hmm_alloc_aligned(struct HmmHeap *heap, size_t alignment, size_t size) {
    if (alignment <= BLOCK_ALIGN) {
        return hmm_alloc(heap, size);
    }
    if (size > REQUEST_MAX || alignment > REQUEST_MAX) {
        return no_memory();
    }
    size_t need = block_size_for(size);
    bool locked = heap_enter(heap, alloc);
    struct block *block = take_large(heap, need + alignment + BLOCK_MIN);
    if (block != NULL) {
        size_t gap = round_up((uintptr_t)block_payload(block), alignment) - (uintptr_t)block_payload(block);
        if (gap != 0) {
            gap = gap < BLOCK_MIN ? gap + alignment : gap; /* a gap must hold a block */
            struct block *aligned = block_after(block, gap);
            block_set_tag(aligned, (block_size(block) - gap) | BLOCK_USED | BLOCK_PREV_USED);
            block_set_tag(block, gap | (block_tag(block) & BLOCK_STATE));
            heap->blocks++;
            give_block(heap, block, block_key(block));
            block = aligned;
        }
        shrink_block(heap, block, need);
    }
    heap_leave(heap, locked);
    return block != NULL ? block_payload(block) : no_memory();
}

/* In place to `need` bytes or slightly more, if the memory behind is free or can be made so. */
static bool grow_block(struct HmmHeap *heap, struct block *block, size_t need) {
    size_t size = block_size(block);
    struct block *next = proved_next(heap, block);
    bool free = (next->header & BLOCK_USED) == 0;
    size_t room = free ? size + block_size(next) : size;
    if (room < need && (free ? block_next(next) : next) == heap->end &&
        hmm_alloc_extra(heap, need - size > BLOCK_MIN ? need - size : BLOCK_MIN) != NULL) {
        next = block_next(block);
        free = (next->header & BLOCK_USED) == 0;
        room = free ? size + block_size(next) : size;
    }
    if (!free || room < need) {
        return false;
    }
    size_t more = block_size(hmm_split_block(heap, next, need - size));
    block_forget(next);
    block_set_tag(block, block_tag(block) + more);
    heap->blocks--;
    return true;
}

/* NULL, with nothing changed, if there is no memory. */
static struct block *move_block(struct HmmHeap *heap, struct block *block, size_t need) {
    struct block *copy = take_block(heap, need);
    if (copy != NULL) {
        __builtin_memcpy(block_payload(copy), block_payload(block), block_room(block));
        free_block(heap, block, block_key(block));
    }
    return copy;
}

void *hmm_realloc(struct HmmHeap *heap, const char *operation, void *payload, size_t size) {
    if (payload == NULL) {
        return hmm_alloc(heap, size);
    }
    bool locked = heap_enter(heap, operation);
    struct block_key key;
    struct block *block = users_block(heap, operation, payload, not_live, &key);
    if (size > REQUEST_MAX) {
        block = NULL;
    } else {
        size_t need = block_size_for(size);
        if (need <= block_size(block)) {
            shrink_block(heap, block, need);
        } else if (!grow_block(heap, block, need)) {
            block = move_block(heap, block, need);
        }
    }
    heap_leave(heap, locked);
    return block != NULL ? block_payload(block) : no_memory();
}

size_t hmm_usable_size(struct HmmHeap *heap, const char *operation, void *payload) {
    if (payload == NULL) {
        return 0;
    }
    bool locked = heap_enter(heap, operation);
    struct block_key key;
    size_t room = block_room(users_block(heap, operation, payload, not_live, &key));
    heap_leave(heap, locked);
    return room;
}

size_t hmm_trim(struct HmmHeap *heap, size_t pad) {
    bool locked = heap_enter(heap, "trim");
    (void)hmm_quick_flush(heap, SIZE_MAX);
    size_t by = hmm_trim_break(heap, pad);
    by += hmm_unmap_holes(heap);
    by += hmm_purge_all(heap);
    heap_leave(heap, locked);
    return by;
}
