/*
 * bitmap_test.c - bitmaps against an array of bools.
 */
#include "support/test.h"

#include "base/bitmap.h"
#include "support/random.h"

#define BITS 300
#define WORDS 6 /* the last is beyond the bits */
#define STEPS 20000

static bitmap_word map[WORDS];
static bool model[WORDS * BITMAP_WORD_BITS];

/* The model includes the bits beyond the end, so an operation that goes too far is detected. */
static void assert_same(void) {
    for (size_t bit = 0; bit < WORDS * BITMAP_WORD_BITS; bit++) {
        assert_int_equal(bitmap_test(map, bit), model[bit]);
    }
}

static size_t model_count(size_t first, size_t count) {
    size_t set = 0;
    for (size_t bit = first; bit < first + count; bit++) {
        set += model[bit];
    }
    return set;
}

static size_t model_find_clear(size_t first, size_t end) {
    for (size_t bit = first; bit < end; bit++) {
        if (!model[bit]) {
            return bit;
        }
    }
    return BITMAP_NONE;
}

static void fill_at_random(struct random *random) {
    for (size_t word = 0; word < WORDS; word++) {
        uint64_t value = random_next(random);
        bitmap_store(map, word, value);
        for (size_t bit = 0; bit < BITMAP_WORD_BITS; bit++) {
            model[word * BITMAP_WORD_BITS + bit] = (value >> bit) & 1u;
        }
    }
}

static void random_operations_agree_with_a_bool_array(void) {
    struct random random = random_start();
    fill_at_random(&random);
    for (int step = 0; step < STEPS; step++) {
        size_t first = random_below(&random, BITS);
        bool value = random_below(&random, 2) != 0;
        if (value) {
            bitmap_set(map, first);
        } else {
            bitmap_clear(map, first);
        }
        model[first] = value;
        assert_same();
        first = random_below(&random, BITS);
        size_t count = random_below(&random, BITS - first + 1); /* from 0 up to the very end */
        assert_int_equal(bitmap_count_range(map, first, count), model_count(first, count));
        assert_int_equal(bitmap_find_clear(map, first, first + count), model_find_clear(first, first + count));
    }
}

static void every_range_of_three_words_is_counted_and_searched(void) {
    const size_t bits = 3 * BITMAP_WORD_BITS;
    bitmap_word words[3] = {0};
    for (size_t first = 0; first < bits; first++) {
        for (size_t end = first; end < bits; end++) {
            assert_int_equal(bitmap_count_range(words, 0, bits), end - first);
            assert_int_equal(bitmap_count_range(words, first, end - first), end - first);
            assert_int_equal(bitmap_find_clear(words, first, bits), end);
            assert_int_equal(bitmap_find_clear(words, first, end), BITMAP_NONE);
            bitmap_set(words, end);
        }
        for (size_t bit = first; bit < bits; bit++) {
            bitmap_clear(words, bit);
        }
    }
}

static void a_bitmap_has_a_word_for_every_64_bits_begun(void) {
    assert_int_equal(bitmap_words(0), 0);
    assert_int_equal(bitmap_words(1), 1);
    assert_int_equal(bitmap_words(64), 1);
    assert_int_equal(bitmap_words(65), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(random_operations_agree_with_a_bool_array),
        PLAIN(every_range_of_three_words_is_counted_and_searched),
        PLAIN(a_bitmap_has_a_word_for_every_64_bits_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
