/*
 * bins_test.c - the index of free pieces against an array that is searched from end to end.
 */
#include "support/test.h"

#include <string.h>

#include "base/bins.h"
#include "support/random.h"

#define NODES 300
#define STEPS 100000

static struct bins bins;
static struct bins_node nodes[NODES];
static bool present[NODES];

static unsigned place(uint64_t size) {
    unsigned level, step;
    bins_place(size, &level, &step);
    assert_true(level < BINS_LEVELS);
    assert_true(step < BINS_STEPS);
    return level * BINS_STEPS + step;
}

static void assert_valid(void) {
    const char *why = NULL;
    if (!bins_valid(&bins, &why)) {
        fail_msg("%s", why);
    }
}

static void start(void) {
    memset(&bins, 0, sizeof bins);
    memset(present, 0, sizeof present);
}

static void insert(size_t i, uint64_t size) {
    bins_insert(&bins, &nodes[i], size);
    present[i] = true;
}

/* A search returns NULL only when nothing fits; otherwise a node of its own bin or of the next one that has any. */
static void assert_found_well(uint64_t size) {
    const struct bins_node *found = bins_find(&bins, size);
    unsigned own = place(size);
    unsigned next = UINT32_MAX;
    bool fits = false;
    for (size_t i = 0; i < NODES; i++) {
        if (present[i]) {
            fits = fits || nodes[i].size >= size;
            unsigned bin = place(nodes[i].size);
            next = bin > own && bin < next ? bin : next;
        }
    }
    assert_int_equal(found != NULL, fits);
    if (found != NULL) {
        assert_true(present[found - nodes]);
        assert_true(found->size >= size);
        unsigned bin = place(found->size);
        assert_true(bin == own || bin == next);
    }
}

/* Mostly a few neighbouring bins, so that bins hold several nodes; at times any size there is, and beyond. */
static uint64_t choose_size(struct random *random) {
    return random_below(random, 4) == 0 ? random_magnitude(random, 40) : 500 + random_below(random, 120);
}

static void random_operations_agree_with_a_linear_search(void **state) {
    (void)state;
    struct random random = random_start();
    start();
    for (int step = 0; step < STEPS; step++) {
        size_t i = random_below(&random, NODES);
        if (present[i]) {
            bins_remove(&bins, &nodes[i]);
            present[i] = false;
        } else if (random_below(&random, 3) != 0 || (step / 10000) % 2 == 0) {
            insert(i, choose_size(&random));
        }
        assert_found_well(choose_size(&random));
        if (step % 64 == 0) {
            assert_valid();
        }
    }
    for (size_t i = 0; i < NODES; i++) {
        if (present[i]) {
            bins_remove(&bins, &nodes[i]);
        }
    }
    static const struct bins empty;
    assert_memory_equal(&bins, &empty, sizeof bins);
}

static void all_zero_is_an_empty_index(void **state) {
    (void)state;
    start();
    assert_valid();
    assert_null(bins_find(&bins, 1));
    assert_null(bins_find(&bins, UINT64_MAX));
}

static void bins_ascend_and_are_narrow(void **state) {
    (void)state;
    assert_int_equal(place(1), 1);
    uint64_t first = 1; /* of the bin that holds size - 1 */
    for (uint64_t size = 2; size < 100000; size++) {
        unsigned before = place(size - 1);
        unsigned bin = place(size);
        assert_true(bin == before || bin == before + 1);
        if (bin != before) {
            first = size;
        }
        assert_true((size - first) * BINS_STEPS < size);
    }
    for (unsigned bit = 5; bit < BINS_LEVELS + BINS_STEP_BITS - 1; bit++) {
        uint64_t power = UINT64_C(1) << bit;
        assert_int_equal(place(power), place(power - 1) + 1);
        assert_int_equal(place(power), place(power + power / BINS_STEPS - 1));
        assert_int_equal(place(power) + 1, place(power + power / BINS_STEPS));
    }
    assert_int_equal(place(BINS_SIZE_MAX), BINS_LEVELS * BINS_STEPS - 1);
    assert_int_equal(place(UINT64_MAX), BINS_LEVELS * BINS_STEPS - 1);
}

static void sizes_beyond_the_last_bin_are_found(void **state) {
    (void)state;
    start();
    insert(0, BINS_SIZE_MAX + 5);
    for (size_t i = 1; i < 20; i++) {
        insert(i, BINS_SIZE_MAX);
    }
    assert_valid();
    assert_ptr_equal(bins_find(&bins, BINS_SIZE_MAX + 5), &nodes[0]);
    assert_null(bins_find(&bins, BINS_SIZE_MAX + 6));
}

static void the_latest_of_a_bin_comes_first(void **state) {
    (void)state;
    start();
    insert(0, 40);
    insert(1, 40);
    assert_ptr_equal(bins_find(&bins, 40), &nodes[1]);
}

/* 65 shares a bin with 64, and lies behind many of these. */
static void a_search_is_short_and_misses_nothing(void **state) {
    (void)state;
    start();
    insert(0, 65);
    for (size_t i = 1; i < 100; i++) {
        insert(i, 64);
    }
    assert_ptr_equal(bins_find(&bins, 65), &nodes[0]);
    insert(100, 1000);
    assert_ptr_equal(bins_find(&bins, 65), &nodes[100]);
    insert(101, 80);
    assert_ptr_equal(bins_find(&bins, 65), &nodes[101]);
    insert(102, 66);
    assert_ptr_equal(bins_find(&bins, 65), &nodes[102]);
}

static void assert_invalid(const char *part) {
    const char *why = NULL;
    assert_false(bins_valid(&bins, &why));
    assert_non_null(strstr(why, part));
}

static void valid_finds_what_is_wrong(void **state) {
    (void)state;
    start();
    insert(0, 40);
    insert(1, 41);
    assert_valid();
    const struct bins good = bins;
    unsigned level, step;
    bins_place(40, &level, &step);
    bins.map.levels = 0;
    assert_invalid("level bit");
    bins = good;
    bins.map.steps[level] = (uint16_t)(bins.map.steps[level] | 1u);
    assert_invalid("step bit");
    bins = good;
    bins.map.steps[level] = 1u << 15;
    assert_invalid("step bit");
    bins = good;
    nodes[0].size = 42;
    assert_invalid("not its size's");
    nodes[0].size = 40;
    nodes[0].prev = NULL;
    assert_invalid("before it");
    nodes[0].prev = &nodes[1];
    assert_valid();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_agree_with_a_linear_search),
        cmocka_unit_test(all_zero_is_an_empty_index),
        cmocka_unit_test(bins_ascend_and_are_narrow),
        cmocka_unit_test(sizes_beyond_the_last_bin_are_found),
        cmocka_unit_test(the_latest_of_a_bin_comes_first),
        cmocka_unit_test(a_search_is_short_and_misses_nothing),
        cmocka_unit_test(valid_finds_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
