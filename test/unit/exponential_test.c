/*
 * exponential_test.c - the distribution of sample points, and what a sample stands for.
 */
#include "support/test.h"

#include "base/exponential.h"
#include "support/random.h"

static void a_mean_of_one_samples_everything(void) {
    assert_int_equal(exponential_draw(0, 1), 0);
    assert_int_equal(exponential_draw(UINT64_MAX, 1), 0);
    assert_true(exponential_share(1, 1) == 1);
    assert_true(exponential_share(UINT64_MAX, 1) == 1);
}

static double distance(double a, double b) {
    return a < b ? b - a : a - b;
}

/* 1 - exp(-x), by values of a table. */
static void shares_are_those_of_the_distribution(void) {
    const struct {
        uint64_t bytes;
        uint64_t mean;
        double share;
    } known[] = {
        {1, 1000000000, 9.999999995e-10},         {16, 2097152, 7.629365427e-06},   {1000, 1000, 0.6321205588285577},
        {2000, 1000, 0.8646647167633873},         {100, 1000, 0.09516258196404043}, {10000, 1000, 0.9999546000702375},
        {30000, 1000, 1 - 9.357622968840175e-14},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const double share = exponential_share(known[i].bytes, known[i].mean);
        assert_true(distance(share, known[i].share) < 1e-9 * known[i].share);
    }
}

/* The share of draws of at least `bytes` is exp(-bytes / mean). */
static void draws_have_the_distribution(void) {
    const uint64_t mean = 1000;
    const unsigned draws = 1000000;
    uint64_t random = 88172645463325252u;
    double sum = 0;
    unsigned beyond[5] = {0};
    for (unsigned i = 0; i < draws; i++) {
        uint64_t draw = exponential_draw(exponential_random(&random), mean);
        sum += (double)draw + 0.5;
        for (unsigned k = 1; k < 5; k++) {
            beyond[k] += draw >= k * mean;
        }
    }
    assert_true(distance(sum / draws, (double)mean) < 5);
    for (unsigned k = 1; k < 5; k++) {
        const double expected = (1 - exponential_share(k * mean, mean)) * draws;
        const double off = distance(beyond[k], expected);
        assert_true(off * off < 25 * expected);
    }
}

static void the_ends_of_the_range_are_no_exception(void) {
    assert_true(exponential_draw(0, 1 << 21) > 0);
    assert_true(exponential_draw(UINT64_MAX, UINT64_C(1) << 21) < 2);
    assert_true(exponential_draw(0, UINT64_MAX) == UINT64_MAX / 4);
    assert_true(exponential_share(UINT64_MAX, UINT64_MAX) > 0.63);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(a_mean_of_one_samples_everything),
        PLAIN(shares_are_those_of_the_distribution),
        PLAIN(draws_have_the_distribution),
        PLAIN(the_ends_of_the_range_are_no_exception),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
