/*
 * size_class_test.c - every size, every alignment and every offset of every slab, exhaustively.
 */
#include "support/test.h"

#include "engine/tables/size_class.h"

static int start(void **state) {
    (void)state;
    size_class_start(false, false);
    return 0;
}

static unsigned smallest_class(size_t size) {
    unsigned smallest = 0;
    while (size_classes[smallest].size < size) {
        smallest++;
    }
    return smallest;
}

/* Before anything is split. */
static void a_joined_size_gets_at_most_half_as_much_again(void) {
    size_t joined = 0;
    for (size_t size = 2 * GRANULE + 1; size <= SMALL_MAX; size++) {
        const size_t slot = size_classes[size_class_of(size)].size;
        if (slot < size || 2 * slot > 3 * size + GRANULE) {
            fail_msg("%zu bytes: %zu", size, slot);
        }
        joined += size_class_of(size) != smallest_class(size);
    }
    assert_true(2 * joined > SMALL_MAX);
}

/* The number of sizes whose class is not the smallest that holds them. */
static size_t joined_sizes(size_t first, size_t last) {
    size_t count = 0;
    for (size_t size = first; size <= last; size++) {
        count += size_class_of(size) != smallest_class(size);
    }
    return count;
}

static void a_family_is_split_once_its_last_class_is_used(void) {
    const unsigned last = size_class_of(513);
    assert_int_equal(size_classes[last].size, 768);
    assert_int_equal(size_class_joined_count(last), 4);
    assert_int_equal(size_class_joined_count(last - 1), 1);
    assert_int_equal(size_classes[smallest_class(513)].size, 576);
    const unsigned enough = JOINED_BYTES / 768 + 1 > JOINED_SLOTS ? JOINED_BYTES / 768 + 1 : JOINED_SLOTS;
    const size_t others = joined_sizes(1, 512) + joined_sizes(769, SMALL_MAX);
    size_class_note_use(last, enough - 1);
    size_class_note_use(last - 1, 10 * enough);
    assert_int_equal(joined_sizes(513, 768), 3 * 64);
    size_class_note_use(last, enough);
    assert_int_equal(joined_sizes(513, 768), 0);
    assert_int_equal(size_class_joined_count(last), 1);
    assert_int_equal(joined_sizes(1, 512) + joined_sizes(769, SMALL_MAX), others);
}

/* A slab of the largest has eight, and each of several threads may have one. */
static void few_large_slots_split_a_family(void) {
    const unsigned last = size_class_of(SMALL_MAX);
    size_class_note_use(last, 7);
    assert_int_equal(size_class_joined_count(last), 3);
    size_class_note_use(last, 8);
    assert_int_equal(size_class_joined_count(last), 1);
}

static void all_can_be_split(void) {
    size_class_split_all();
    assert_int_equal(joined_sizes(0, SMALL_MAX), 0);
}

static void classes_ascend_in_the_steps_promised(void) {
    uint32_t before = 0;
    for (unsigned size_class = 0; size_class < EMPTY_CLASS; size_class++) {
        uint32_t size = size_classes[size_class].size;
        assert_true(size > before);
        assert_int_equal(size % GRANULE, 0);
        if (before < SHORT_CLASSES * GRANULE) {
            assert_int_equal(size - before, 16);
        } else if (size_class >= MEDIUM_CLASS) {
            assert_true((size - before) * 4 <= before + 8 * 64);
        } else {
            assert_true((size - before) * 8 <= before + 8 * 64);
        }
        before = size;
    }
    assert_int_equal(before, MEDIUM_MAX);
    assert_int_equal(size_classes[MEDIUM_CLASS - 1].size, SMALL_MAX);
}

static unsigned class_of(size_t size) {
    return size <= SMALL_MAX ? size_class_of(size) : size_class_of_medium(size);
}

static void every_size_gets_the_smallest_class_that_holds_it(void) {
    unsigned smallest = 0;
    for (size_t size = 0; size <= MEDIUM_MAX; size++) {
        smallest += size > size_classes[smallest].size;
        if (class_of(size) != smallest) {
            fail_msg("%zu bytes: class %u, not %u", size, class_of(size), smallest);
        }
    }
    assert_int_equal(smallest, EMPTY_CLASS - 1);
}

static void no_block_wastes_more_than_promised(void) {
    for (size_t size = 1; size <= MEDIUM_MAX; size++) {
        size_t waste = size_classes[class_of(size)].size - size;
        if (size <= 128 ? waste >= GRANULE : waste * (size <= SMALL_MAX ? 8 : 4) > size + 8 * 64) {
            fail_msg("%zu bytes: %zu wasted", size, waste);
        }
    }
}

/* Each is what some program's heap may mostly consist of, so it gets no more than it asks for. */
static const uint32_t program_sizes[] = {400, 1040, 4368, 4800, 11200};

static void sizes_that_programs_ask_for_waste_nothing(void) {
    for (unsigned i = 0; i < sizeof program_sizes / sizeof *program_sizes; i++) {
        assert_int_equal(size_classes[class_of(program_sizes[i])].size, program_sizes[i]);
    }
}

static bool is_filled(size_t bytes, size_t size) {
    return size <= 2048 || bytes % size < bytes / size * 64;
}

static void slabs_are_small_and_filled(void) {
    for (unsigned size_class = 0; size_class < EMPTY_CLASS; size_class++) {
        const struct size_class *of = &size_classes[size_class];
        size_t bytes = of->units * UNIT;
        assert_true(of->slots >= (size_class < MEDIUM_CLASS ? 8 : 4));
        const size_t half = bytes / 2;
        assert_true(of->units == 1 || half < (size_t)8 * of->size || !is_filled(half, of->size));
        assert_true(is_filled(bytes, of->size) || of->size == 11200);
        assert_true((size_t)of->slots * of->size <= bytes);
        assert_true((size_t)(of->slots + 1) * of->size > bytes);
        assert_in_range(of->magazine, 1, MAGAZINE_MAX);
    }
}

/* With exact sizes each slab has a record behind those of its slots, even without a guard there. */
static void a_record_is_left_behind_those_of_a_slab(void) {
    size_class_start(false, true);
    for (unsigned size_class = 0; size_class < EMPTY_CLASS; size_class++) {
        assert_true(size_classes[size_class].slots < size_classes[size_class].units * (UNIT / GRANULE));
    }
    size_class_start(false, false);
}

static void the_reciprocal_divides_exactly(void) {
    for (unsigned size_class = 0; size_class < EMPTY_CLASS; size_class++) {
        size_t size = size_classes[size_class].size;
        size_t end = size_classes[size_class].units * UNIT;
        for (size_t offset = 0, slot = 0, next = size; offset < end; offset++) {
            if (offset == next) {
                slot++;
                next += size;
            }
            if (size_class_slot(size_class, offset) != slot) {
                fail_msg("class %u, offset %zu: slot %u, not %zu", size_class, offset,
                         size_class_slot(size_class, offset), slot);
            }
        }
    }
}

static unsigned smallest_aligned(size_t alignment, size_t size) {
    unsigned size_class = 0;
    while (size_class < MEDIUM_CLASS &&
           (size_classes[size_class].size < size || size_classes[size_class].size % alignment != 0)) {
        size_class++;
    }
    return size_class < MEDIUM_CLASS ? size_class : SIZE_CLASSES;
}

/* Slabs start at multiples of UNIT, so a slot is as aligned as its class's size and its slab. */
static void every_alignment_gets_the_smallest_class_that_has_it(void) {
    for (size_t alignment = 1; alignment <= 2 * UNIT; alignment *= 2) {
        /* the answer changes only at multiples of a granule */
        for (size_t size = 0; size <= SMALL_MAX + 2 * GRANULE; size += size % GRANULE < 2 ? 1 : GRANULE - 2) {
            if (size_class_of_aligned(alignment, size) != smallest_aligned(alignment, size)) {
                fail_msg("%zu bytes at %zu: class %u, not %u", size, alignment, size_class_of_aligned(alignment, size),
                         smallest_aligned(alignment, size));
            }
        }
    }
}

static void no_class_has_the_largest_sizes_and_alignments(void) {
    for (size_t large = SMALL_MAX * 2; large != 0; large *= 2) {
        assert_int_equal(size_class_of_aligned(large, 1), SIZE_CLASSES);
        assert_int_equal(size_class_of_aligned(16, large), SIZE_CLASSES);
        assert_int_equal(size_class_of_aligned(large, SIZE_MAX), SIZE_CLASSES);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(a_joined_size_gets_at_most_half_as_much_again),
        PLAIN(a_family_is_split_once_its_last_class_is_used),
        PLAIN(few_large_slots_split_a_family),
        PLAIN(all_can_be_split), /* as the tests that follow need them */
        PLAIN(classes_ascend_in_the_steps_promised),
        PLAIN(every_size_gets_the_smallest_class_that_holds_it),
        PLAIN(no_block_wastes_more_than_promised),
        PLAIN(sizes_that_programs_ask_for_waste_nothing),
        PLAIN(slabs_are_small_and_filled),
        PLAIN(a_record_is_left_behind_those_of_a_slab),
        PLAIN(the_reciprocal_divides_exactly),
        PLAIN(every_alignment_gets_the_smallest_class_that_has_it),
        PLAIN(no_class_has_the_largest_sizes_and_alignments),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
