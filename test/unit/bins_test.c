/*
 * bins_test.c - the bins of sizes, and the map of those that are not empty against an array of flags.
 */
#include "support/test.h"

#include "base/bins.h"
#include "support/random.h"

#define BINS (BINS_LEVELS * BINS_STEPS)

static unsigned place(uint64_t size) {
    unsigned level, step;
    bins_place(size, &level, &step);
    assert_true(level < BINS_LEVELS);
    assert_true(step < BINS_STEPS);
    return level * BINS_STEPS + step;
}

static void assert_map_is(const struct bins_map *map, const bool filled[BINS]) {
    unsigned above = BINS;
    for (unsigned bin = BINS; bin-- > 0;) {
        unsigned level = bin / BINS_STEPS, step = bin % BINS_STEPS;
        assert_int_equal(bins_map_get(map, level, step), filled[bin]);
        assert_int_equal(bins_map_above(map, &level, &step), above < BINS);
        if (above < BINS) {
            assert_int_equal(level * BINS_STEPS + step, above);
        }
        above = filled[bin] ? bin : above;
    }
}

static void the_map_agrees_with_an_array_of_flags(void) {
    struct random random = random_start();
    struct bins_map map = {.levels = 0};
    bool filled[BINS] = {false};
    assert_map_is(&map, filled);
    for (int operation = 0; operation < 20000; operation++) {
        unsigned bin = (unsigned)random_below(&random, operation % 2000 < 1000 ? 40 : BINS);
        filled[bin] = !filled[bin];
        (filled[bin] ? bins_map_set : bins_map_clear)(&map, bin / BINS_STEPS, bin % BINS_STEPS);
        if (operation % 16 == 0) {
            assert_map_is(&map, filled);
        }
    }
    for (unsigned bin = 0; bin < BINS; bin++) {
        bins_map_clear(&map, bin / BINS_STEPS, bin % BINS_STEPS);
    }
    static const struct bins_map empty;
    assert_memory_equal(&map, &empty, sizeof map);
}

static void bins_ascend_and_are_narrow(void) {
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

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(the_map_agrees_with_an_array_of_flags),
        PLAIN(bins_ascend_and_are_narrow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
