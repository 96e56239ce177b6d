/*
 * engine_test.c - the entry points together, against a model of the blocks and their contents.
 */
#include "support/fresh.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>

#include "engine/heaps/heap.h"
#include "engine/memory/huge.h"
#include "engine/root/root.h"
#include "os/os.h"
#include "support/engine_heap.h"
#include "support/model.h"
#include "support/thread.h"

/* Any magnitude: most blocks are small, few are huge. */
static size_t choose_size(void) {
    unsigned bits = random_below(&fresh_random, 2000) == 0 ? 28 : random_below(&fresh_random, 50) == 0 ? 22 : 14;
    return random_below(&fresh_random, (size_t)1 << random_below(&fresh_random, bits));
}

static void keep_every_block(unsigned steps, void (*before)(void)) {
    static struct model model = {.allocator = &allocator, .stride = 512};
    errno = EDOM;
    for (unsigned step = 0; step < affordable(steps); step++) {
        if (before != NULL && step % 100 == 0) {
            before();
        }
        size_t i = random_below(&fresh_random, MODEL_BLOCKS);
        enum model_operation operation = (enum model_operation)random_below(&fresh_random, MODEL_TRIM);
        size_t size = choose_size();
        if (operation == MODEL_REALLOC && random_below(&fresh_random, 2) == 0) {
            size = random_below(&fresh_random, 2 * model.blocks[i].size + 1);
        }
        model_step(&model, operation, i, size, (size_t)1 << random_below(&fresh_random, 19));
        if (step % 5000 == 0) {
            engine_trim();
        }
        if (step % 20 == 0) {
            CHECK_VALID();
        }
    }
    model_free_all(&model);
    engine_trim();
    CHECK_VALID();
    CHECK_EQUAL(spans.live_units, 0);
    CHECK_EQUAL(huge_table.bytes, 0);
    CHECK_EQUAL(errno, EDOM);
}

static void random_operations_keep_every_block(void) {
    keep_every_block(40000, NULL);
}

/* Families are split over and over while blocks of all their classes are live. */
static void random_operations_keep_every_block_of_families(void) {
    keep_every_block(10000, engine_heap_join_families);
}

static void sizes_that_cannot_be_fail_with_enomem(void) {
    void *block = engine_alloc(100);
    memset(block, 7, 100);
    const size_t sizes[] = {
        (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 65536, SIZE_MAX - 16, SIZE_MAX - 1, SIZE_MAX, PTRDIFF_MAX,
        PTRDIFF_MAX - 65536};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        errno = 0;
        CHECK(engine_alloc(sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(engine_alloc_zeroed(1, sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(engine_alloc_zeroed(sizes[i], 2) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(engine_realloc("realloc", block, sizes[i]) == NULL && errno == ENOMEM);
        for (size_t alignment = 1; alignment; alignment *= 2) {
            errno = 0;
            CHECK(engine_alloc_aligned(alignment, sizes[i]) == NULL && errno == ENOMEM);
        }
    }
    CHECK(engine_alloc_aligned((size_t)1 << 63, 1) == NULL && errno == ENOMEM);
    CHECK(engine_alloc_zeroed((size_t)1 << 32, (size_t)1 << 32) == NULL);
    for (int i = 0; i < 100; i++) {
        CHECK_EQUAL(((unsigned char *)block)[i], 7);
    }
    CHECK_VALID();
}

static void no_bytes_are_a_block_of_their_own(void) {
    void *a = engine_alloc(0);
    void *b = engine_alloc_zeroed(0, 10);
    void *c = engine_alloc_aligned(4096, 0);
    void *d = engine_realloc("realloc", NULL, 0);
    CHECK(a != NULL && b != NULL && c != NULL && d != NULL && a != b && a != c && a != d && b != c && b != d && c != d);
    CHECK_EQUAL(engine_usable_size("malloc_usable_size", a), 16);
    d = engine_realloc("realloc", d, 0);
    CHECK(d != NULL);
    engine_free(NULL);
    engine_free_sized("free_sized", NULL, 10, 0);
    CHECK_EQUAL(engine_usable_size("malloc_usable_size", NULL), 0);
    engine_free(a);
    engine_free(b);
    engine_free(c);
    engine_free(d);
    CHECK_VALID();
}

/* All that a small window holds, and more in separate mappings; then all of it again. */
static void memory_that_ends_comes_back(void) {
    enum { MANY = 4000 };
    static void *held[MANY];
    size_t most = 0;
    for (int round = 0; round < 4; round++) {
        size_t size = round % 2 ? 1000 : 32000;
        size_t count = 0;
        CHECK(root_start() && window.units_area.size == 4 * MIB);
        errno = 0;
        while (count < MANY && (held[count] = engine_alloc(size)) != NULL) {
            count++;
        }
        CHECK(count > 100);
        CHECK(count == MANY || errno == ENOMEM);
        CHECK_VALID();
        void *larger = engine_alloc(100 * KIB); /* a mapping of its own, because the window is full */
        CHECK(larger != NULL);
        engine_free(larger);
        for (size_t i = 0; i < count; i++) {
            engine_free(held[i]);
        }
        engine_trim();
        CHECK_VALID();
        CHECK_EQUAL(spans.live_units, 0);
        CHECK(round < 2 || round % 2 || count == most);
        most = round % 2 ? most : count;
    }
}

/* Allocates all the memory there is. */
static void fill(void) {
    for (size_t size = 50 * KIB; size != 0; size /= 2) {
        while (engine_alloc(size) != NULL) {
            continue;
        }
    }
}

/* realloc to less may move the block; if there is no memory for that, the block stays. */
static void a_block_shrinks_where_memory_has_ended(void) {
    static const size_t sizes[][2] = {{32000, 10},           {1000, 1},           {100 * KIB, 20},
                                      {100 * KIB, 70 * KIB}, {80 * MIB, 3 * MIB}, {80 * MIB, 100}};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    unsigned char *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = engine_alloc(sizes[i][0]);
        CHECK(blocks[i] != NULL);
        blocks[i][0] = (unsigned char)i;
    }
    os_inject(OS_CALL_MMAP, 0, UINT64_MAX, ENOMEM);
    fill();
    for (size_t i = 0; i < COUNT; i++) {
        errno = EDOM;
        unsigned char *shrunk = engine_realloc("realloc", blocks[i], sizes[i][1]);
        CHECK(shrunk != NULL && errno == EDOM);
        CHECK(shrunk[0] == i);
        CHECK_VALID();
        engine_free_sized("free_sized", shrunk, sizes[i][1], 0);
        fill();
    }
    os_inject_clear();
}

static void *only_frees(void *block) {
    engine_free(block);
    CHECK(heap_mine == &heap_none);
    return NULL;
}

/* A thread that frees at its very end could not give back a heap any more. */
static void a_free_makes_no_heap(void) {
    for (size_t size = 1; size < 100 * KIB; size = size * 9 + 1) {
        void *blocks[] = {engine_alloc(size), engine_alloc(size)};
        thread_run(only_frees, blocks[0]);
        thread_run(only_frees, blocks[1]);
        CHECK_VALID();
    }
    CHECK_EQUAL(heaps_made(), 1);
}

static pthread_key_t late;

/* Allocates in the last round of destructors, whose settings of thread-specific data no further round ends. */
static void allocate_at_last(void *rounds_left) {
    if (rounds_left == (void *)1) {
        engine_free(engine_alloc(100));
        CHECK(heap_mine != &heap_none);
    } else {
        CHECK_EQUAL(pthread_setspecific(late, (char *)rounds_left - 1), 0);
    }
}

static void *ends_late(void *unused) {
    CHECK_EQUAL(pthread_setspecific(late, (void *)(uintptr_t)PTHREAD_DESTRUCTOR_ITERATIONS), 0);
    return unused;
}

/* Keys end in the order in which they were made, so the engine makes its own first. */
static void make_late_key(void) {
    struct mems_engine_stats stats;
    if (UNDER_TSAN) { /* whose part of a thread has ended by then */
        child_cannot();
    }
    engine_stats(&stats);
    CHECK_EQUAL(pthread_key_create(&late, allocate_at_last), 0);
}

static void the_first_heap_left_behind_serves_the_next_thread(void) {
    make_late_key();
    for (unsigned i = 0; i < 10; i++) {
        thread_run(ends_late, NULL);
        CHECK_EQUAL(heaps_made(), 1);
    }
    CHECK_VALID();
}

static void another_heap_left_behind_serves_the_next_thread(void) {
    make_late_key();
    engine_free(engine_alloc(100));
    for (unsigned i = 0; i < 10; i++) {
        thread_run(ends_late, NULL);
        CHECK_EQUAL(heaps_made(), 2);
    }
    CHECK_VALID();
}

static void options_that_shape_the_heap_are_set_before_it(void) {
    char value[32];
    CHECK_EQUAL(engine_option_set("check", "deferred"), 0);
    CHECK_EQUAL(engine_option_set("window", "16m"), 0);
    CHECK_EQUAL(engine_option_set("window", "much"), EINVAL);
    CHECK_EQUAL(engine_option_set("windows", "16m"), EINVAL);
    CHECK_EQUAL(engine_option_set(NULL, "16m"), EINVAL);
    CHECK_EQUAL(engine_option_set("window", NULL), EINVAL);
    engine_free(engine_alloc(1));
    CHECK(!heap_mine->checks_every);
    CHECK_EQUAL(window.units_area.size, 16 * MIB);
    CHECK_EQUAL(engine_option_set("check", "every"), EBUSY);
    CHECK_EQUAL(engine_option_set("window", "32m"), EBUSY);
    CHECK_EQUAL(engine_option_set("decay_ms", "77"), 0);
    CHECK_EQUAL(spans.decay_ms, 77);
    CHECK_EQUAL(engine_option_get("check", value, sizeof value), 0);
    CHECK(strcmp(value, "deferred") == 0);
    CHECK_EQUAL(engine_option_get("window", value, sizeof value), 0);
    CHECK(strcmp(value, "16m") == 0);
    CHECK_EQUAL(engine_option_get("decay_ms", value, 2), ERANGE);
    CHECK(strcmp(value, "7") == 0);
    CHECK_EQUAL(engine_option_get("no", value, 2), EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_BOTH_MODES(random_operations_keep_every_block),
        FRESH_WITH(random_operations_keep_every_block, "decay_ms=0"),
        IN_BOTH_MODES(random_operations_keep_every_block_of_families),
        FRESH_WITH(random_operations_keep_every_block, "harden=light"),
        FRESH_WITH(random_operations_keep_every_block, "harden=full"),
        FRESH(sizes_that_cannot_be_fail_with_enomem),
        FRESH_WITH(sizes_that_cannot_be_fail_with_enomem, "harden=light"),
        FRESH_WITH(sizes_that_cannot_be_fail_with_enomem, "harden=full"),
        FRESH(no_bytes_are_a_block_of_their_own),
        FRESH_WITH(memory_that_ends_comes_back, "window=4m"),
        FRESH_WITH(memory_that_ends_comes_back, "window=4m,check=deferred"),
        FRESH_WITH(memory_that_ends_comes_back, "window=4m,harden=light"),
        FRESH_WITH(memory_that_ends_comes_back, "window=4m,harden=full"),
        FRESH_WITH(a_block_shrinks_where_memory_has_ended, "window=4m"),
        FRESH_WITH(a_block_shrinks_where_memory_has_ended, "window=4m,check=deferred"),
        FRESH_WITH(a_block_shrinks_where_memory_has_ended, "window=4m,harden=light"),
        FRESH_WITH(a_block_shrinks_where_memory_has_ended, "window=4m,harden=full"),
        FRESH(a_free_makes_no_heap),
        FRESH(the_first_heap_left_behind_serves_the_next_thread),
        FRESH(another_heap_left_behind_serves_the_next_thread),
        FRESH(options_that_shape_the_heap_are_set_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
