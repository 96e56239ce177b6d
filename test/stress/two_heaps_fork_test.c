/*
 * two_heaps_fork_test.c - fork while threads contend for the locks of both heaps of a library: the engine and the MeMS
 * heap continue in parent and child.
 */
#include "support/test.h"

#include <stdatomic.h>
#include <string.h>

#include "engine/engine.h"
#include "mems_heap/space.h"
#include "support/check.h"
#include "support/child.h"
#include "support/thread.h"
#include "valid/engine_valid.h"
#include "valid/space_valid.h"

#define THREADS_PER_HEAP 2
#define ROUNDS 50

static atomic_bool stop;

/* Large blocks: each takes the spans' lock. */
static void use_engine(void) {
    void *blocks[8];
    for (size_t i = 0; i < 8; i++) {
        blocks[i] = engine_alloc((i + 1) * 200000);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], 1, 100);
    }
    for (size_t i = 0; i < 8; i++) {
        engine_free(blocks[i]);
    }
}

static void use_space(struct mems_space *space) {
    void *blocks[8];
    for (size_t i = 0; i < 8; i++) {
        blocks[i] = space_alloc("alloc", space, (i + 1) * 100);
        CHECK(blocks[i] != NULL && space_write("write", space, blocks[i], "text", 5) == 0);
    }
    for (size_t i = 0; i < 8; i++) {
        space_free("free", space, blocks[i]);
    }
}

static void *churn_engine(void *unused) {
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        use_engine();
    }
    return unused;
}

/* The default space, and others that come and go. */
static void *churn_spaces(void *unused) {
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        struct mems_space *space = space_create(NULL);
        CHECK(space != NULL);
        use_space(space);
        use_space(&space_default);
        space_destroy("destroy", space);
    }
    return unused;
}

static void check_heaps(void) {
    const char *why = "no reason given";
    CHECK_OR_SAY(space_valid(&space_default, &why) && engine_valid(&why), why);
}

static void use_both(void *unused) {
    (void)unused;
    check_heaps();
    for (unsigned i = 0; i < ROUNDS; i++) {
        use_engine();
        use_space(&space_default);
    }
    struct mems_space *space = space_create(NULL);
    CHECK(space != NULL);
    space_destroy("destroy", space);
    check_heaps();
}

static void child_of_a_process_that_contends_for_two_heaps_uses_both(void) {
    pthread_t threads[2 * THREADS_PER_HEAP];
    unsigned forks = scaled(100);
    for (size_t i = 0; i < THREADS_PER_HEAP; i++) {
        assert_int_equal(pthread_create(&threads[2 * i], NULL, churn_engine, NULL), 0);
        assert_int_equal(pthread_create(&threads[2 * i + 1], NULL, churn_spaces, NULL), 0);
    }
    for (unsigned i = 0; i < forks; i++) {
        expect_success(use_both, NULL);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < 2 * THREADS_PER_HEAP; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    use_both(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(child_of_a_process_that_contends_for_two_heaps_uses_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
