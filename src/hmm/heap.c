/*
 * heap.c - allocation and release: what happens between the user's call and the free list.
 */
#include "heap.h"

#include "block.h"
#include "free_list.h"
#include "quick_list.h"
#include "region.h"
#include "report.h"
#include "state.h"

struct heap hmm_heap;
uint64_t hmm_block_secret;

/* What the user may ask for: so that sums with a header, an alignment and a region's overhead cannot overflow. */
#define REQUEST_MAX ((size_t)(BLOCK_SIZE_MAX / 2 < PTRDIFF_MAX / 2 ? BLOCK_SIZE_MAX / 2 : (uint64_t)PTRDIFF_MAX / 2))

/* Who it is costs a system call, and matters during a walk only. */
COLD void hmm_heap_check(const char *operation) {
    uint32_t walker = atomic_load_explicit(&hmm_heap.walker, memory_order_relaxed);
    if (UNLIKELY(walker != 0 && walker == system_thread())) {
        hmm_report_fault(operation, NULL, "called by a visit of HmmWalk", NULL);
    }
}

COLD void hmm_heap_lock(const char *operation) {
    hmm_heap_check(operation);
    hmm_system_lock();
}

/* For a block of at least so many bytes, free ones are purged until that is one part in PURGE_SHARE of it. */
#define PURGE_MIN ((size_t)256 << 10)
#define PURGE_SHARE 3

/* The operation in reports of what an allocation has found; problems of a pointer that was given back before. */
static const char alloc[] = "alloc";
static const char double_free[] = "double free";
static const char not_live[] = "not a live block";

/* A free block of at least `size` bytes, in the free list; NULL when there is no memory. */
static struct block *find_block(size_t size) {
    struct block *block = hmm_find_free_block(size);
    if (UNLIKELY(block == NULL) && hmm_quick_flush()) {
        block = hmm_find_free_block(size);
    }
    if (UNLIKELY(block == NULL)) {
        block = hmm_alloc_extra(size);
        hmm_heap.failures += block == NULL;
    }
    return block;
}

/* A used block of `size` bytes or a little more; NULL when there is no memory. */
static struct block *take_block(size_t size) {
    struct block *block = find_block(size);
    if (LIKELY(block != NULL)) {
        hmm_split_block(block, block, block_size(block), size);
    }
    return block;
}

/*
 * The same for large blocks. One that has made the heap larger than it ever was found free blocks too small, and makes
 * up for some of the memory that they hold. One that moves does without: its old memory is about to be free, too.
 */
static struct block *take_large(size_t size) {
    size_t peak = hmm_heap.peak;
    struct block *block = take_block(size);
    if (size >= PURGE_MIN && hmm_heap.peak > peak) {
        hmm_purge_freelist(size / PURGE_SHARE);
    }
    return block;
}

/* The same for a size with a quick list, which is empty. What such blocks are cut from stays the same until it is too
 * small: those that are allocated together lie together. */
static struct block *take_small(size_t size) {
    struct block *block = hmm_cut_block(size);
    if (LIKELY(block != NULL)) {
        return block;
    }
    block = find_block(size);
    if (UNLIKELY(block == NULL)) {
        return NULL;
    }
    size_t have = block_size(block);
    if (have - size >= BLOCK_MIN) {
        hmm_cut_from(block);
    }
    hmm_split_block(block, block, have, size);
    return block;
}

/* Gives a used block to the free list, and memory that is too much to the system. */
static NOINLINE void give_block(struct block *block) {
    block = hmm_merge_blocks(block);
    size_t size = block_size(block);
    if (UNLIKELY(size >= hmm_heap.trim_at) && block_after(block, size) == hmm_heap.end) {
        hmm_trim_break(hmm_region_extra());
    }
}

static void *no_memory(void) {
    system_set_errno(ENOMEM);
    return NULL;
}

static NOINLINE void *alloc_slow(size_t size) {
    if (UNLIKELY(size > REQUEST_MAX)) {
        return no_memory();
    }
    size_t need = block_size_for(size);
    bool locked = heap_enter(alloc);
    struct block *block;
    if (need <= QUICK_SIZE_MAX) {
        block = quick_pop(need, alloc);
        block = block != NULL ? block : take_small(need);
    } else {
        block = take_large(need);
    }
    heap_leave(locked);
    return LIKELY(block != NULL) ? block_payload(block) : no_memory();
}

HOT void *hmm_alloc(size_t size) {
    if (LIKELY(size <= QUICK_REQUEST_MAX && heap_alone())) {
        struct block *block = quick_pop(block_size_for(size), alloc);
        if (LIKELY(block != NULL)) {
            return block_payload(block);
        }
    }
    return alloc_slow(size);
}

/* The block that a user holds at `payload`: the one place that trusts a pointer. */
ALWAYS_INLINE struct block *users_block(const char *operation, void *payload, const char *freed) {
    struct block *block = block_of(payload);
    if (UNLIKELY(!heap_spans(payload) || !block_sound(block) ||
                 (block->header & (BLOCK_USED | BLOCK_CACHED)) != BLOCK_USED)) {
        hmm_report_pointer(operation, payload, freed);
    }
    return block;
}

static inline void free_block(struct block *block) {
    if (!quick_push(block)) {
        give_block(block);
    }
}

static NOINLINE void free_slow(const char *operation, void *payload) {
    bool locked = heap_enter(operation);
    free_block(users_block(operation, payload, double_free));
    heap_leave(locked);
}

HOT void hmm_free(const char *operation, void *payload) {
    if (UNLIKELY(payload == NULL)) {
        return;
    }
    if (LIKELY(heap_alone())) {
        struct block *block = users_block(operation, payload, double_free);
        if (UNLIKELY(!quick_push(block))) {
            hmm_heap.operation = operation;
            give_block(block);
        }
        return;
    }
    free_slow(operation, payload);
}

void hmm_free_sized(const char *operation, void *payload, size_t size, size_t alignment) {
    if (payload == NULL) {
        return;
    }
    bool locked = heap_enter(operation);
    struct block *block = users_block(operation, payload, double_free);
    /* A rest too small for a block of its own stays with the block. */
    if (size > block_room(block) || block_size(block) - block_size_for(size) >= BLOCK_MIN ||
        (alignment != 0 && (uintptr_t)payload % alignment != 0)) {
        hmm_report_size(operation, block, size, alignment);
    }
    free_block(block);
    heap_leave(locked);
}

/*
 * How many bytes from `payload` on may not be zero. What lies above hmm_heap.fresh the system has made zero; the heap
 * has written links there, at the start of what was raised, and a footer at its end.
 */
static size_t written_bytes(const void *payload) {
    uintptr_t fresh = hmm_heap.fresh;
    if (!hmm_heap.brk.zero || fresh > UINTPTR_MAX - hmm_heap.brk.grain) {
        return SIZE_MAX;
    }
    fresh = round_up(fresh, hmm_heap.brk.grain);
    return (fresh > (uintptr_t)payload ? fresh - (uintptr_t)payload : 0) + sizeof(struct bins_node);
}

static void *alloc_large_zeroed(size_t bytes) {
    bool locked = heap_enter(alloc);
    hmm_heap.fresh = UINTPTR_MAX;
    struct block *block = take_large(block_size_for(bytes));
    size_t written = block != NULL ? written_bytes(block_payload(block)) : 0;
    heap_leave(locked);
    if (block == NULL) {
        return no_memory();
    }
    char *payload = block_payload(block);
    __builtin_memset(payload, 0, written < bytes ? written : bytes);
    __builtin_memset(payload + bytes - sizeof(uint64_t), 0, sizeof(uint64_t));
    return payload;
}

void *hmm_alloc_zeroed(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > REQUEST_MAX) {
        return no_memory();
    }
    if (bytes > QUICK_REQUEST_MAX) {
        return alloc_large_zeroed(bytes);
    }
    void *payload = hmm_alloc(bytes);
    return payload != NULL ? __builtin_memset(payload, 0, bytes) : NULL;
}

/* Cuts what is beyond `need` off a used block, if that makes a block. */
static void shrink_block(struct block *block, size_t need) {
    size_t size = block_size(block);
    if (size - need < BLOCK_MIN) {
        return;
    }
    struct block *rest = block_after(block, need);
    block_set_tag(block, (block_tag(block) & BLOCK_STATE) | need);
    block_set_tag(rest, (size - need) | BLOCK_USED | BLOCK_PREV_USED);
    give_block(rest);
}

void *hmm_alloc_aligned(size_t alignment, size_t size) {
    if (alignment <= BLOCK_ALIGN) {
        return hmm_alloc(size);
    }
    if (size > REQUEST_MAX || alignment > REQUEST_MAX) {
        return no_memory();
    }
    size_t need = block_size_for(size);
    bool locked = heap_enter(alloc);
    struct block *block = take_large(need + alignment + BLOCK_MIN);
    if (block != NULL) {
        size_t gap = round_up((uintptr_t)block_payload(block), alignment) - (uintptr_t)block_payload(block);
        if (gap != 0) {
            gap = gap < BLOCK_MIN ? gap + alignment : gap; /* a gap is a block */
            struct block *aligned = block_after(block, gap);
            block_set_tag(aligned, (block_size(block) - gap) | BLOCK_USED | BLOCK_PREV_USED);
            block_set_tag(block, gap | (block_tag(block) & BLOCK_STATE));
            give_block(block);
            block = aligned;
        }
        shrink_block(block, need);
    }
    heap_leave(locked);
    return block != NULL ? block_payload(block) : no_memory();
}

/* Makes a used block one of `need` bytes or a little more where it is, if the memory behind it is free, or can be. */
static bool grow_block(struct block *block, size_t need) {
    size_t size = block_size(block);
    struct block *next = block_next(block);
    if (UNLIKELY(!block_sound(next))) {
        hmm_report_next(block, next);
    }
    bool free = (next->header & BLOCK_USED) == 0;
    size_t room = free ? size + block_size(next) : size;
    if (room < need && (free ? block_next(next) : next) == hmm_heap.end &&
        hmm_alloc_extra(need - size > BLOCK_MIN ? need - size : BLOCK_MIN) != NULL) {
        next = block_next(block);
        free = (next->header & BLOCK_USED) == 0;
        room = free ? size + block_size(next) : size;
    }
    if (!free || room < need) {
        return false;
    }
    hmm_split_block(block, next, room, need);
    return true;
}

/* The block elsewhere, with `need` bytes; NULL, and it is where it was, when there is no memory. */
static struct block *move_block(struct block *block, size_t need) {
    struct block *copy = take_block(need);
    if (copy != NULL) {
        __builtin_memcpy(block_payload(copy), block_payload(block), block_room(block));
        free_block(block);
    }
    return copy;
}

void *hmm_realloc(const char *operation, void *payload, size_t size) {
    if (payload == NULL) {
        return hmm_alloc(size);
    }
    bool locked = heap_enter(operation);
    struct block *block = users_block(operation, payload, not_live);
    if (size > REQUEST_MAX) {
        block = NULL;
    } else {
        size_t need = block_size_for(size);
        if (need <= block_size(block)) {
            shrink_block(block, need);
        } else if (!grow_block(block, need)) {
            block = move_block(block, need);
        }
    }
    heap_leave(locked);
    return block != NULL ? block_payload(block) : no_memory();
}

size_t hmm_usable_size(const char *operation, void *payload) {
    if (payload == NULL) {
        return 0;
    }
    bool locked = heap_enter(operation);
    size_t room = block_room(users_block(operation, payload, not_live));
    heap_leave(locked);
    return room;
}

size_t hmm_trim(size_t pad) {
    bool locked = heap_enter("trim");
    hmm_quick_flush();
    size_t by = hmm_heap.end != NULL ? hmm_trim_break(pad) : 0;
    heap_leave(locked);
    return by;
}
