/*
 * hmm_heap.h - HMM as an allocator of the kit.
 */
#pragma once

#include "allocator.h"
#include "hmm/hmm_alloc.h"
#include "os/os.h"
#include "valid/hmm_valid.h"

/* The process's heap, unless a test puts its own here. */
static struct HmmHeap *hmm_under_test = &hmm_heap;

static inline void *hmm_heap_alloc(void *heap, size_t size) {
    (void)heap;
    return hmm_alloc(hmm_under_test, size);
}

static inline void *hmm_heap_alloc_zeroed(void *heap, size_t size) {
    (void)heap;
    return hmm_alloc_zeroed(hmm_under_test, size, 1);
}

static inline void *hmm_heap_alloc_aligned(void *heap, size_t alignment, size_t size) {
    (void)heap;
    return hmm_alloc_aligned(hmm_under_test, alignment, size);
}

static inline void *hmm_heap_resize(void *heap, void *block, size_t size) {
    (void)heap;
    return hmm_realloc(hmm_under_test, "realloc", block, size);
}

static inline void hmm_heap_free(void *heap, void *block) {
    (void)heap;
    hmm_free(hmm_under_test, "free", block);
}

static inline void hmm_heap_free_sized(void *heap, void *block, size_t size, size_t alignment) {
    (void)heap;
    hmm_free_sized(hmm_under_test, "free_sized", block, size, alignment);
}

static inline size_t hmm_heap_usable_size(void *heap, void *block) {
    (void)heap;
    return hmm_usable_size(hmm_under_test, "malloc_usable_size", block);
}

static inline unsigned char *hmm_heap_memory(void *heap, void *block) {
    (void)heap;
    return block;
}

static inline void hmm_heap_trim(void *heap, size_t pad) {
    (void)heap;
    hmm_trim(hmm_under_test, pad);
}

static inline bool hmm_heap_valid(void *heap, const char **why) {
    (void)heap;
    return hmm_valid(hmm_under_test, why);
}

static const struct allocator allocator = {
    .alloc = hmm_heap_alloc,
    .alloc_zeroed = hmm_heap_alloc_zeroed,
    .alloc_aligned = hmm_heap_alloc_aligned,
    .resize = hmm_heap_resize,
    .free = hmm_heap_free,
    .free_sized = hmm_heap_free_sized,
    .usable_size = hmm_heap_usable_size,
    .memory = hmm_heap_memory,
    .trim = hmm_heap_trim,
    .valid = hmm_heap_valid,
    .option_set = hmm_option_set,
};

/* After checking that the figures add up. */
static inline struct HmmStats stats_now(void) {
    struct HmmStats stats;
    hmm_stats(hmm_under_test, &stats);
    CHECK(stats.used + stats.cached + stats.free + stats.overhead == stats.region);
    return stats;
}

/* False if the C library keeps the process's break for itself. */
static inline bool real_break_moves(void) {
    void *was;
    return os_move_break(4096, &was) == 0 && os_move_break(-4096, &was) == 0;
}
