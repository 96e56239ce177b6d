/*
 * live_map_test.c - the two bits of a block through its life, and while several threads write them: of all that end a
 * block's life or take it over, exactly one does.
 *
 * The units belong to no span, so nobody else looks at their bits.
 */
#include "support/fresh.h"

#include "engine/root/root.h"
#include "engine/tables/live_map.h"
#include "engine/tables/window.h"
#include "support/engine_heap.h"
#include "support/thread.h"

#define THREADS 3
#define UNITS 4u
#define GRANULES (UNITS * UNIT / GRANULE)

static pthread_barrier_t together;
static _Atomic size_t ended;

static const void *granule_address(size_t granule) {
    return (const char *)window_address(0) + granule * GRANULE;
}

static void make_all_live(void) {
    CHECK(root_start());
    CHECK_EQUAL(window_reach(UNITS), 0);
    for (size_t granule = 0; granule < GRANULES; granule++) {
        live_set(granule_address(granule));
    }
    CHECK_EQUAL(live_count(0, UNITS), GRANULES);
    CHECK_EQUAL(live_count_bits(0, UNITS), GRANULES);
}

static void the_bits_of_a_block_follow_its_life(void) {
    CHECK(root_start());
    CHECK_EQUAL(window_reach(1), 0);
    const void *block = granule_address(70);
    CHECK(!live_test(block) && !live_end(block) && !live_end_remotely(block) && !live_take_over(block));
    live_set(block);
    CHECK(live_test(block) && !live_freed_remotely(block) && !live_take_over(block));
    CHECK(live_end_remotely(block));
    CHECK(!live_test(block) && live_freed_remotely(block) && live_bit_is_set(block));
    CHECK(!live_end(block) && !live_end_remotely(block));
    CHECK(live_find_remote(0) == block);
    CHECK_EQUAL(live_count_bits(0, 1), 2);
    CHECK(live_take_over(block)); /* in other hands */
    CHECK(live_test(block) && !live_take_over(block) && live_find_remote(0) == NULL);
    CHECK(live_end_remotely(block));
    live_settle(live_word_of(block), live_bit_of(block));
    CHECK(!live_test(block) && !live_end(block) && !live_end_remotely(block));
    CHECK_EQUAL(live_count_bits(0, 1), 0);
}

static void *end_all(void *unused) {
    (void)unused;
    size_t count = 0;
    pthread_barrier_wait(&together);
    for (size_t granule = 0; granule < GRANULES; granule++) {
        count += live_end_remotely(granule_address(granule));
    }
    atomic_fetch_add(&ended, count);
    return NULL;
}

static void run_together(void *(*function)(void *)) {
    pthread_t threads[THREADS];
    CHECK(pthread_barrier_init(&together, NULL, THREADS) == 0);
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, function, NULL) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

/* Also of those that look at the same moment and find the block live. */
static void one_of_several_frees_ends_a_block(void) {
    for (unsigned round = 0; round < scaled(100); round++) {
        make_all_live();
        atomic_store(&ended, 0);
        run_together(end_all);
        CHECK_EQUAL(ended, GRANULES);
        CHECK_EQUAL(live_count(0, UNITS), 0);
        for (struct live_word *word = live_words_of_unit(0); word < live_words_of_unit(UNITS); word++) {
            live_settle(word, atomic_load(&word->remote));
        }
        CHECK_EQUAL(live_count_bits(0, UNITS), 0);
    }
}

static void *take_over_all(void *unused) {
    (void)unused;
    size_t count = 0;
    pthread_barrier_wait(&together);
    for (size_t granule = 0; granule < GRANULES; granule++) {
        count += live_take_over(granule_address(granule));
    }
    atomic_fetch_add(&ended, count);
    return NULL;
}

static void one_of_several_threads_takes_a_block_over(void) {
    for (unsigned round = 0; round < scaled(100); round++) {
        make_all_live();
        for (size_t granule = 0; granule < GRANULES; granule++) {
            CHECK(live_end_remotely(granule_address(granule)));
        }
        atomic_store(&ended, 0);
        run_together(take_over_all);
        CHECK_EQUAL(ended, GRANULES);
        CHECK_EQUAL(live_count(0, UNITS), GRANULES);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(the_bits_of_a_block_follow_its_life),
        FRESH(one_of_several_frees_ends_a_block),
        FRESH(one_of_several_threads_takes_a_block_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
