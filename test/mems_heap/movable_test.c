/*
 * movable_test.c - blocks that move keep their handles and bytes; pinned ones stay; memory falls to what is in use.
 */
#include "support/test.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "herd.h"
#include "os/os.h"
#include "support/child.h"
#include "support/kernel.h"
#include "support/thread.h"

static struct herd herd;

static const struct mems_space_options kinds[] = {
    {.movable = MEMS_MOVABLE},
    {.movable = MEMS_MOVABLE, .page_size = 12288, .alignment = 16, .generations = -1},
    {.movable = MEMS_MOVES_ALWAYS},
};

static void random_operations_keep_all_bytes(void) {
    struct random random = random_start();
    for (size_t kind = 0; kind < 3; kind++) {
        herd_begin(&herd, &kinds[kind]);
        for (size_t i = 0; i < affordable(6000); i++) {
            herd_act(&herd, &random, i / affordable(1000) % 2 == 0);
            if (i % 64 == 0) {
                herd_check(&herd);
            }
        }
        herd_end(&herd);
    }
}

static void failed_operations_change_nothing(void) {
    struct random random = random_start();
    for (size_t kind = 0; kind < 3; kind++) {
        herd_begin(&herd, &kinds[kind]);
        for (size_t i = 0; i < affordable(6000); i++) {
            herd.refusals = random_below(&random, 3) == 0;
            if (herd.refusals) {
                enum os_call call = random_below(&random, 2) == 0 ? OS_CALL_MMAP : OS_CALL_MUNMAP;
                os_inject(call, random_below(&random, 3), 1 + random_below(&random, 4), ENOMEM);
            }
            herd_act(&herd, &random, i / affordable(1000) % 2 == 0);
            os_inject_clear();
            if (i % 64 == 0) {
                herd_check(&herd);
            }
        }
        herd.refusals = false;
        herd_end(&herd);
    }
}

/* --- Compaction -------------------------------------------------------------------------------------------------- */

#define MANY 20000

static void *many[MANY];

/* Three of four blocks of 16 to 4,096 bytes are freed. */
static struct mems_space *make_gaps(struct random *random) {
    struct mems_space *space = space_create(&kinds[0]);
    assert_non_null(space);
    for (size_t i = 0; i < MANY; i++) {
        size_t size = 16 + random_below(random, 4081);
        many[i] = space_alloc("malloc", space, size);
        assert_non_null(many[i]);
        memset(space_get("get", space, many[i]), (int)(i % 251), size);
    }
    for (size_t i = 0; i < MANY; i++) {
        if (random_below(random, 4) != 0) {
            space_free("free", space, many[i]);
            many[i] = NULL;
        }
    }
    return space;
}

static void assert_contents(struct mems_space *space) {
    for (size_t i = 0; i < MANY; i++) {
        if (many[i] != NULL) {
            const unsigned char *bytes = space_get("get", space, many[i]);
            size_t size = space_usable_size("size", space, many[i]);
            assert_int_equal(bytes[0], i % 251);
            assert_int_equal(bytes[size - 8], i % 251);
        }
    }
}

/* A tenth more than what is in use stays mapped, including nodes and tables, and each byte moves about once. */
static void compaction_leaves_what_is_in_use(void) {
    struct random random = random_start();
    struct mems_space *space = make_gaps(&random);
    struct mems_stats before, after;
    space_stats("stats", space, &before);
    size_t steps = 0;
    while (space_compact("compact", space, 1 << 20) > 0) {
        assert_true(++steps < 1000);
    }
    space_stats("stats", space, &after);
    assert_int_equal(after.process_bytes, before.process_bytes);
    assert_int_equal(after.processes, before.processes);
    assert_true(after.moved_bytes <= after.process_bytes + after.process_bytes / 8);
    assert_true(steps >= after.moved_bytes >> 20);
    /* Pools with so few nodes keep two chunks of 256 KiB each at most; the docs give figures for a million. */
    assert_true(after.pages * after.page_size <= after.process_bytes + 2 * STORE_REGION);
    assert_true(after.metadata_bytes < before.metadata_bytes);
    assert_contents(space);
    CHECK_VALID_SPACE(space);
    space_destroy("destroy", space);
}

/* The smallest blocks use up a region's slots before its end: that is not a gap, and no reason to keep moving them. */
static void tiny_blocks_are_moved_once(void) {
    enum { COUNT = 300000 / (SLOW > 1 ? 2 : 1) }; /* many more bytes than a region */
    static void *tiny[COUNT];
    struct mems_stats stats;
    struct mems_space *space = space_create(&kinds[0]);
    for (size_t i = 0; i < COUNT; i++) {
        tiny[i] = space_alloc("malloc", space, 8);
        *(size_t *)space_get("get", space, tiny[i]) = i;
    }
    for (size_t i = 0; i < COUNT; i++) {
        if (i % 3 != 0) {
            space_free("free", space, tiny[i]);
        }
    }
    for (size_t steps = 0; space_compact("compact", space, 1 << 20) > 0;) {
        assert_true(++steps < 1000);
    }
    space_stats("stats", space, &stats);
    assert_true(stats.moved_bytes <= stats.process_bytes + STORE_REGION);
    for (size_t i = 0; i < COUNT; i += 3) {
        assert_int_equal(*(size_t *)space_get("get", space, tiny[i]), i);
    }
    CHECK_VALID_SPACE(space);
    space_destroy("destroy", space);
}

/* A call moves about as many bytes as allowed: at most one block more. */
static void a_step_is_bounded(void) {
    struct random random = random_start();
    struct mems_space *space = make_gaps(&random);
    for (size_t budget = 1; budget < 1 << 20; budget *= 3) {
        struct mems_stats before, after;
        space_stats("stats", space, &before);
        assert_true(space_compact("compact", space, budget) > 0);
        space_stats("stats", space, &after);
        assert_true(after.moved_bytes > before.moved_bytes);
        assert_true(after.moved_bytes - before.moved_bytes < budget + 4096);
    }
    assert_true(space_compact_for("compact", space, 0) > 0);
    assert_contents(space);
    space_destroy("destroy", space);
}

/* A pinned block stays, and its region with it; the others leave, and it follows when it is unpinned. */
static void pinned_blocks_stay(void) {
    struct random random = random_start();
    struct mems_space *space = make_gaps(&random);
    size_t pinned = 0;
    while (many[pinned] == NULL) {
        pinned++;
    }
    unsigned char *at = space_pin("pin", space, many[pinned]);
    assert_ptr_equal(space_pin("pin", space, (char *)many[pinned] + 8), at + 8);
    space_compact("compact", space, 0);
    assert_ptr_equal(space_get("get", space, many[pinned]), at);
    space_unpin("unpin", space, many[pinned]);
    assert_int_equal(space_compact("compact", space, 0), 0);
    assert_ptr_equal(space_get("get", space, many[pinned]), at);
    space_unpin("unpin", space, many[pinned]);
    assert_true(space_compact("compact", space, 0) > 0);
    assert_ptr_not_equal(space_get("get", space, many[pinned]), at);
    assert_false(mapped(at));
    assert_contents(space);
    space_destroy("destroy", space);
}

/* Under churn memory does not grow, although nobody asks for compaction. */
static void churn_does_not_grow(void) {
    struct random random = random_start();
    struct mems_space *space = make_gaps(&random);
    struct mems_stats stats;
    for (size_t i = 0; i < 50000; i++) {
        size_t index = random_below(&random, MANY);
        if (many[index] != NULL) {
            space_free("free", space, many[index]);
            many[index] = space_alloc("malloc", space, 16 + random_below(&random, 4081));
            memset(space_get("get", space, many[index]), (int)(index % 251),
                   space_usable_size("size", space, many[index]));
        }
    }
    space_stats("stats", space, &stats);
    assert_true(stats.pages * stats.page_size <= 2 * stats.process_bytes + 8 * STORE_REGION);
    assert_contents(space);
    space_destroy("destroy", space);
}

/* --- Wrong programs ---------------------------------------------------------------------------------------------- */

/* Keeps a physical address across a call that may move. */
static void use_an_old_address(void *unused) {
    (void)unused;
    struct mems_space *space = space_create(&kinds[2]);
    void *v_ptr = space_alloc("malloc", space, 100);
    char *bytes = space_get("get", space, v_ptr);
    *(volatile char *)bytes = 1;
    CHECK(space_alloc("malloc", space, 100) != NULL);
    CHECK(*(char *)space_get("get", space, v_ptr) == 1);
    *(volatile char *)bytes = 2;
}

/* The same, but pins the block. */
static void use_a_pinned_address(void *unused) {
    (void)unused;
    struct mems_space *space = space_create(&kinds[2]);
    void *v_ptr = space_alloc("malloc", space, 100);
    char *bytes = space_pin("pin", space, v_ptr);
    CHECK(space_get("get", space, v_ptr) == bytes);
    CHECK(space_alloc("malloc", space, 100) != NULL);
    *(volatile char *)bytes = 2;
    space_unpin("unpin", space, v_ptr);
    CHECK(*(char *)space_get("get", space, v_ptr) == 2);
}

static void an_old_address_is_found_at_once(void) {
    struct child_result result;
    child_run(&result, use_an_old_address, NULL);
    assert_true(result.signal == SIGSEGV || result.signal == SIGBUS || UNDER_TSAN);
    expect_success(use_a_pinned_address, NULL);
}

/* --- Threads ----------------------------------------------------------------------------------------------------- */

#define THREADS 3
#define OWN 200

static struct mems_space *shared;

/* Each has its own blocks, and reaches their bytes by copies and pins. */
static void *work(void *seed) {
    struct random random = {.state = (uintptr_t)seed};
    void *blocks[OWN] = {NULL};
    uint64_t marks[OWN], word;
    for (unsigned i = 0; i < scaled(6000); i++) {
        size_t k = random_below(&random, OWN);
        if (blocks[k] == NULL) {
            blocks[k] = space_alloc("malloc", shared, 8 + random_below(&random, 2000));
            CHECK(blocks[k] != NULL);
        } else if (random_below(&random, 3) == 0) {
            CHECK(space_read("read", shared, blocks[k], &word, 8) == 0 && word == marks[k]);
            space_free("free", shared, blocks[k]);
            blocks[k] = NULL;
            continue;
        } else if (random_below(&random, 4) == 0) {
            blocks[k] = space_realloc("realloc", shared, blocks[k], 8 + random_below(&random, 4000));
            CHECK(blocks[k] != NULL);
            CHECK(space_read("read", shared, blocks[k], &word, 8) == 0 && word == marks[k]);
        }
        marks[k] = random_next(&random);
        uint64_t *bytes = space_pin("pin", shared, blocks[k]);
        CHECK(space_get("get", shared, blocks[k]) == bytes);
        __builtin_memcpy(bytes, &marks[k], 8);
        space_unpin("unpin", shared, blocks[k]);
        CHECK(space_get("get", shared, blocks[k]) != NULL);
    }
    for (size_t k = 0; k < OWN; k++) {
        space_free("free", shared, blocks[k]);
    }
    return NULL;
}

static void *compact_on(void *unused) {
    (void)unused;
    for (unsigned i = 0; i < scaled(3000); i++) {
        space_compact("compact", shared, 4096);
        if (i % 64 == 0) {
            CHECK_VALID_SPACE(shared);
        }
    }
    return NULL;
}

static void threads_work_while_blocks_move(void) {
    pthread_t threads[THREADS + 1];
    shared = space_create(&kinds[0]);
    assert_non_null(shared);
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
    }
    CHECK(pthread_create(&threads[THREADS], NULL, compact_on, NULL) == 0);
    for (size_t i = 0; i <= THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_VALID_SPACE(shared);
    struct mems_stats stats;
    space_stats("stats", shared, &stats);
    assert_int_equal(stats.processes, 0);
    space_destroy("destroy", shared);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(random_operations_keep_all_bytes),
        PLAIN(failed_operations_change_nothing),
        PLAIN(compaction_leaves_what_is_in_use),
        PLAIN(tiny_blocks_are_moved_once),
        PLAIN(a_step_is_bounded),
        PLAIN(pinned_blocks_stay),
        PLAIN(churn_does_not_grow),
        PLAIN(an_old_address_is_found_at_once),
        PLAIN(threads_work_while_blocks_move),
    };
    alarm(900);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
