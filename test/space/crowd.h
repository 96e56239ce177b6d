/*
 * crowd.h - threads that use a few spaces, the default one among them, and others that look on.
 */
#ifndef MEMS_TEST_SPACE_CROWD_H
#define MEMS_TEST_SPACE_CROWD_H

#include <string.h>

#include "space/report.h"
#include "space/space.h"
#include "stress/stress.h"

#define THREADS 3
#define SPACES 3
#define ENTRIES 256
#define SIZE_BITS 13

/* The default space is the last one. */
static struct mems_space *spaces[SPACES + 1];

/*
 * Blocks for all to take. Whoever makes an entry BUSY owns it; in a child, BUSY entries were in the hands of threads
 * that it does not have, and are left alone.
 */
enum { EMPTY, BUSY, FULL };

struct entry {
    atomic_int state;
    struct mems_space *space;
    void *v_ptr;
    struct block block; /* its memory is the physical address */
};

static struct entry table[ENTRIES];
static atomic_bool stop;

static inline bool entry_take(struct entry *entry, int from) {
    return atomic_compare_exchange_strong_explicit(&entry->state, &from, BUSY, memory_order_acquire,
                                                   memory_order_relaxed);
}

static inline void entry_give(struct entry *entry, int state) {
    atomic_store_explicit(&entry->state, state, memory_order_release);
}

static inline void check_spaces(void) {
    for (size_t i = 0; i <= SPACES; i++) {
        const char *why = "no reason given";
        if (!space_valid(spaces[i], &why)) {
            check_failed(__FILE__, __LINE__, why);
        }
    }
}

/* --- What threads do --------------------------------------------------------------------------------------------- */

static inline void settle(struct entry *entry, uint64_t *random) {
    struct block *block = &entry->block;
    CHECK(entry->v_ptr != NULL);
    block->memory = space_get("get", entry->space, entry->v_ptr);
    block->mark = next_random(random);
    CHECK(block->memory != NULL);
    block_fill(block);
}

static inline void make(struct entry *entry, uint64_t *random) {
    struct block *block = &entry->block;
    block->size = 1 + random_size(random, SIZE_BITS);
    entry->space = spaces[random_below(random, SPACES + 1)];
    if (random_below(random, 2) == 0) {
        entry->v_ptr = space_alloc("malloc", entry->space, block->size);
    } else {
        entry->v_ptr = space_alloc_zeroed("calloc", entry->space, block->size, 1);
        block->memory = space_get("get", entry->space, entry->v_ptr);
        CHECK(block->memory != NULL && block_zero(block));
    }
    settle(entry, random);
}

static inline void resize(struct entry *entry, uint64_t *random) {
    size_t size = 1 + random_size(random, SIZE_BITS);
    entry->v_ptr = space_realloc("realloc", entry->space, entry->v_ptr, size);
    entry->block.memory = space_get("get", entry->space, entry->v_ptr);
    CHECK(entry->block.memory != NULL && block_intact(&entry->block, size));
    entry->block.size = size;
    settle(entry, random);
}

/* Through mems_read and mems_write, and inside the block. */
static inline void copy(struct entry *entry, uint64_t *random) {
    unsigned char bytes[64];
    size_t offset = random_below(random, entry->block.size);
    size_t left = entry->block.size - offset;
    size_t size = left < sizeof bytes ? left : sizeof bytes;
    void *v_ptr = (char *)entry->v_ptr + offset;
    CHECK(space_read("read", entry->space, v_ptr, bytes, size) == 0);
    CHECK(memcmp(bytes, entry->block.memory + offset, size) == 0);
    CHECK(space_write("write", entry->space, v_ptr, bytes, size) == 0);
}

static inline void destroy(struct entry *entry) {
    CHECK(space_usable_size("usable_size", entry->space, entry->v_ptr) >= entry->block.size);
    CHECK(space_get("get", entry->space, entry->v_ptr) == entry->block.memory);
    CHECK(block_intact(&entry->block, SIZE_MAX));
    space_free("free", entry->space, entry->v_ptr);
}

static inline void step(uint64_t *random) {
    struct entry *entry = &table[random_below(random, ENTRIES)];
    if (entry_take(entry, EMPTY)) {
        make(entry, random);
        entry_give(entry, FULL);
    } else if (entry_take(entry, FULL)) {
        size_t what = random_below(random, 4);
        if (what == 0) {
            resize(entry, random);
        } else if (what == 1) {
            copy(entry, random);
        } else {
            destroy(entry);
        }
        entry_give(entry, what < 2 ? FULL : EMPTY);
    }
}

static inline void *churn(void *seed) {
    uint64_t random = (uintptr_t)seed;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        step(&random);
    }
    return NULL;
}

static inline void *churn_a_little(void *seed) {
    uint64_t random = (uintptr_t)seed;
    for (unsigned i = 0; i < 300; i++) {
        step(&random);
    }
    return NULL;
}

static inline void clear_table(size_t stride) {
    for (size_t i = 0; i < ENTRIES; i += stride) {
        if (entry_take(&table[i], FULL)) {
            destroy(&table[i]);
            entry_give(&table[i], EMPTY);
        }
    }
}

/* --- Looking on -------------------------------------------------------------------------------------------------- */

/* What has been seen of a space in one walk: its segments follow each other. */
struct sight {
    uintptr_t next;
    size_t segments;
};

static inline int look(const struct mems_segment *segment, void *context) {
    struct sight *sight = context;
    CHECK(segment->start == sight->next && segment->last > segment->start);
    CHECK(segment->main_start <= segment->start && segment->last <= segment->main_last);
    sight->next = segment->last + 1;
    sight->segments++;
    return 0;
}

/* Everything there is to see of a space; and what has been printed is whole. */
static inline void inspect(struct mems_space *space) {
    struct sight sight = {.next = 1000};
    struct mems_stats stats;
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    CHECK(stream != NULL);
    CHECK(report_walk("walk", space, look, &sight) == 0);
    space_stats("stats", space, &stats);
    CHECK(stats.process_bytes + stats.hole_bytes == stats.pages * stats.page_size + stats.reserved_bytes);
    report_print("print", space, stream);
    report_json("json", space, stream);
    CHECK(fclose(stream) == 0);
    CHECK(strncmp(text, "----- MeMS SYSTEM STATS -----\n", 30) == 0);
    CHECK(strcmp(text + length - 3, "]}\n") == 0);
    free(text);
}

static inline void *look_on(void *count) {
    uint64_t random = (uintptr_t)count;
    for (uintptr_t i = 0; i < (uintptr_t)count; i++) {
        inspect(spaces[random_below(&random, SPACES + 1)]);
        if (i % 8 == 0) {
            space_trim("trim", spaces[random_below(&random, SPACES + 1)]);
            check_spaces();
        }
    }
    return NULL;
}

/* Spaces come and go beside the others. */
static inline void *create_and_destroy(void *count) {
    for (uintptr_t i = 0; i < (uintptr_t)count; i++) {
        struct mems_space *space = space_create(NULL);
        CHECK(space != NULL);
        CHECK(space_alloc("malloc", space, 5000) == (void *)1000);
        CHECK(space_alloc("malloc", space, 5000) == (void *)9192);
        space_destroy("destroy", space);
    }
    return NULL;
}

/* --- All together ------------------------------------------------------------------------------------------------ */

/* THREADS churn until all of `others` have returned. */
static inline void crowd_run(void *(*const *others)(void *), size_t count, unsigned length) {
    pthread_t threads[THREADS + 3];
    atomic_store(&stop, false);
    for (uintptr_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, churn, (void *)i) == 0);
    }
    for (size_t i = 0; i < count; i++) {
        CHECK(pthread_create(&threads[THREADS + i], NULL, others[i], (void *)(uintptr_t)length) == 0);
    }
    for (size_t i = 0; i < count; i++) {
        CHECK(pthread_join(threads[THREADS + i], NULL) == 0);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    check_spaces();
}

static inline int crowd_begin(void **state) {
    static const struct mems_space_options options[SPACES] = {{4096, 8}, {8192, 16}, {4096, 16}};
    (void)state;
    for (size_t i = 0; i < SPACES; i++) {
        spaces[i] = space_create(&options[i]);
        CHECK(spaces[i] != NULL);
    }
    spaces[SPACES] = &space_default;
    return space_start("mems_init");
}

/* When all blocks have been freed, nothing is left but HOLEs, and trimmed there is no memory left. */
static inline int crowd_end(void **state) {
    (void)state;
    clear_table(1);
    check_spaces();
    for (size_t i = 0; i <= SPACES; i++) {
        struct mems_stats stats;
        space_trim("trim", spaces[i]);
        space_stats("stats", spaces[i], &stats);
        CHECK(stats.processes == 0 && stats.pages == 0 && stats.failures == 0 && stats.main_nodes <= 1);
    }
    for (size_t i = 0; i < SPACES; i++) {
        space_destroy("destroy", spaces[i]);
    }
    space_finish("mems_finish");
    return 0;
}

#endif
