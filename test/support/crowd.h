/* crowd.h - threads that share a table of blocks of one or several heaps, beside other threads: one thread allocates a
 * block, others resize and free it. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocator.h"
#include "marked.h"
#include "random.h"
#include "thread.h"

#define CROWD_THREADS 3
#define CROWD_TASKS 3
#define CROWD_ENTRIES 1024
#define CROWD_HEAPS 4

/* Whoever makes an entry BUSY owns it (acquire) until it stores another state (release). In a forked child, BUSY
 * entries belong to threads that it does not have, and are left alone. */
enum { EMPTY, BUSY, FULL };

struct crowd_entry {
    atomic_int state;
    void *heap;
    void *handle; /* what the allocation returned */
    struct marked block;
};

/* The test sets all but the last two members. */
struct crowd {
    const struct allocator *allocator;
    size_t entries;
    unsigned size_bits; /* of most blocks */
    size_t rare_size;   /* the size of one block in 500, at most; 0: none */
    size_t heap_count;
    void *heaps[CROWD_HEAPS];
    void (*use)(struct crowd_entry *entry, struct random *random); /* does more with a block; may be NULL */
    atomic_bool stop;
    struct crowd_entry table[CROWD_ENTRIES];
};

static struct crowd crowd;

static inline bool crowd_take(struct crowd_entry *entry, int from) {
    return atomic_compare_exchange_strong_explicit(&entry->state, &from, BUSY, memory_order_acquire,
                                                   memory_order_relaxed);
}

static inline void crowd_give(struct crowd_entry *entry, int state) {
    atomic_store_explicit(&entry->state, state, memory_order_release);
}

static inline size_t crowd_size(struct random *random) {
    if (crowd.rare_size != 0 && random_below(random, 500) == 0) {
        return crowd.allocator->size_min + random_below(random, crowd.rare_size);
    }
    return crowd.allocator->size_min + random_size(random, crowd.size_bits);
}

/* Records where the block is, and fills it anew. */
static inline void crowd_settle(struct crowd_entry *entry, struct random *random) {
    entry->block.memory = crowd.allocator->memory(entry->heap, entry->handle);
    entry->block.mark = random_next(random);
    CHECK(entry->block.memory != NULL);
    marked_fill(&entry->block);
}

static inline void crowd_make(struct crowd_entry *entry, struct random *random) {
    entry->heap = crowd.heap_count != 0 ? crowd.heaps[random_below(random, crowd.heap_count)] : NULL;
    entry->block.size = crowd_size(random);
    if (random_below(random, 2) == 0) {
        entry->handle = crowd.allocator->alloc(entry->heap, entry->block.size);
        CHECK(entry->handle != NULL);
    } else {
        entry->handle = crowd.allocator->alloc_zeroed(entry->heap, entry->block.size);
        CHECK(entry->handle != NULL);
        entry->block.memory = crowd.allocator->memory(entry->heap, entry->handle);
        CHECK(entry->block.memory != NULL && marked_zero(&entry->block));
    }
    crowd_settle(entry, random);
}

static inline void crowd_resize(struct crowd_entry *entry, struct random *random) {
    size_t size = crowd_size(random);
    entry->handle = crowd.allocator->resize(entry->heap, entry->handle, size);
    CHECK(entry->handle != NULL);
    entry->block.memory = crowd.allocator->memory(entry->heap, entry->handle);
    CHECK(entry->block.memory != NULL && marked_intact(&entry->block, size));
    entry->block.size = size;
    crowd_settle(entry, random);
}

static inline void crowd_destroy(struct crowd_entry *entry) {
    CHECK(crowd.allocator->usable_size(entry->heap, entry->handle) >= entry->block.size);
    CHECK(crowd.allocator->memory(entry->heap, entry->handle) == entry->block.memory);
    CHECK(marked_intact(&entry->block, SIZE_MAX));
    crowd.allocator->free(entry->heap, entry->handle);
}

/* Allocates, resizes, uses or frees some entry's block. */
static inline void crowd_step(struct random *random) {
    struct crowd_entry *entry = &crowd.table[random_below(random, crowd.entries)];
    if (crowd_take(entry, EMPTY)) {
        crowd_make(entry, random);
        crowd_give(entry, FULL);
    } else if (crowd_take(entry, FULL)) {
        size_t what = random_below(random, 4);
        if (what == 0) {
            crowd_resize(entry, random);
        } else if (what == 1 && crowd.use != NULL) {
            crowd.use(entry, random);
        } else {
            crowd_destroy(entry);
            crowd_give(entry, EMPTY);
            return;
        }
        crowd_give(entry, FULL);
    }
}

static inline void *crowd_churn(void *seed) {
    struct random random = {.state = (uintptr_t)seed};
    while (!atomic_load_explicit(&crowd.stop, memory_order_relaxed)) {
        crowd_step(&random);
    }
    return NULL;
}

static inline void *crowd_churn_a_little(void *seed) {
    struct random random = {.state = (uintptr_t)seed};
    for (unsigned i = 0; i < 500; i++) {
        crowd_step(&random);
    }
    return NULL;
}

/* Frees the block of every `stride`-th entry. */
static inline void crowd_clear(size_t stride) {
    for (size_t i = 0; i < crowd.entries; i += stride) {
        if (crowd_take(&crowd.table[i], FULL)) {
            crowd_destroy(&crowd.table[i]);
            crowd_give(&crowd.table[i], EMPTY);
        }
    }
}

static inline void crowd_start(pthread_t threads[CROWD_THREADS], uintptr_t seed) {
    atomic_store(&crowd.stop, false);
    for (uintptr_t i = 0; i < CROWD_THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, crowd_churn, (void *)(seed + i)) == 0);
    }
}

static inline void crowd_stop(pthread_t threads[CROWD_THREADS]) {
    atomic_store(&crowd.stop, true);
    for (size_t i = 0; i < CROWD_THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

/* The work of a thread beside the crowd. */
struct crowd_task {
    void *(*run)(void *argument);
    uintptr_t argument;
};

/* Runs CROWD_THREADS threads until all tasks' threads have returned. */
static inline void crowd_run(const struct crowd_task *tasks, size_t count) {
    pthread_t threads[CROWD_THREADS], others[CROWD_TASKS];
    CHECK(count <= CROWD_TASKS);
    crowd_start(threads, 0);
    for (size_t i = 0; i < count; i++) {
        CHECK(pthread_create(&others[i], NULL, tasks[i].run, (void *)tasks[i].argument) == 0);
    }
    for (size_t i = 0; i < count; i++) {
        CHECK(pthread_join(others[i], NULL) == 0);
    }
    crowd_stop(threads);
}
