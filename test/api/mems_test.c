/*
 * The functions of mems.h.
 */
#include "support/check.h"
#include "support/child.h"
#include "support/family.h"

#include "mems.h"

static void the_version_is_the_headers(void) {
    assert_int_equal(mems_version(), MEMS_VERSION);
}

static void options_are_set_and_read_and_mistakes_refused(void) {
    char value[64];
    errno = 4711;
    assert_int_equal(mems_option_get("decay_ms", value, sizeof value), 0);
    assert_int_equal(mems_option_set("decay_ms", "1234"), 0);
    assert_int_equal(mems_option_get("decay_ms", value, sizeof value), 0);
    assert_string_equal(value, "1234");
    assert_int_equal(mems_option_get("decay_ms", value, 3), ERANGE);
    assert_string_equal(value, "12");
    assert_int_equal(mems_option_get("decay_ms", value, 0), EINVAL);
    assert_int_equal(mems_option_get("decay_ms", NULL, 10), EINVAL);
    assert_int_equal(mems_option_get("no such option", value, sizeof value), EINVAL);
    assert_int_equal(mems_option_get(NULL, value, sizeof value), EINVAL);
    assert_int_equal(mems_option_set("decay_ms", "soon"), EINVAL);
    assert_int_equal(mems_option_set("no such option", "1"), EINVAL);
    assert_int_equal(mems_option_set(NULL, "1"), EINVAL);
    assert_int_equal(mems_option_set("decay_ms", NULL), EINVAL);
    assert_int_equal(mems_option_set("limit_soft", "2g"), 0);
    assert_int_equal(mems_option_set("limit", "1g"), EINVAL);
    assert_int_equal(mems_option_get("limit", value, sizeof value), 0);
    assert_string_equal(value, "none");
    assert_int_equal(mems_option_set("limit", "2g"), 0);
    assert_int_equal(mems_option_set("limit_soft", "2049m"), EINVAL);
    assert_int_equal(mems_option_set("limit_soft", "auto"), 0);
    assert_int_equal(mems_option_set("limit", "none"), 0);
    assert_int_equal(mems_option_get("decay_ms", value, sizeof value), 0);
    assert_string_equal(value, "1234");
    assert_int_equal(errno, 4711);
}

static void the_shape_is_fixed_once_the_heap_is_in_use(void) {
    free(hidden(malloc(1)));
    assert_int_equal(mems_option_set("check", "deferred"), EBUSY);
    assert_int_equal(mems_option_set("window", "1g"), EBUSY);
    assert_int_equal(mems_option_set("check", "nonsense"), EINVAL);
    char value[64];
    assert_int_equal(mems_option_get("check", value, sizeof value), 0);
    assert_string_equal(value, "every");
}

static void assert_adds_up(const struct mems_engine_stats *stats) {
    assert_int_equal(stats->version, MEMS_ENGINE_STATS_VERSION);
    assert_int_equal(stats->live + stats->slack + stats->cached + stats->free + stats->untouched + stats->dirty +
                         stats->fresh,
                     stats->accessible);
    assert_true(stats->accessible <= stats->window);
    assert_true(stats->class_count > 0 && stats->class_count <= MEMS_SIZE_CLASSES);
    size_t live = stats->large_bytes + stats->sampled_bytes;
    size_t cached = 0;
    size_t available = 0;
    for (uint32_t i = 0; i < stats->class_count; i++) {
        const struct mems_class_stats *class = &stats->classes[i];
        assert_int_equal(class->live + class->cached + class->free, class->slots);
        assert_true(i == 0 || class->size > class[-1].size);
        live += class->live * class->size;
        cached += class->cached * class->size;
        available += class->free * class->size;
    }
    assert_int_equal(live, stats->live);
    assert_true(cached <= stats->cached); /* including cached large blocks and samples' spans, in whole units */
    assert_int_equal((stats->cached + stats->sampled_bytes - cached) % 65536, 0);
    assert_int_equal(available, stats->free + stats->untouched);
}

static void statistics_add_up_and_follow_what_is_allocated(void) {
    static struct mems_engine_stats before, during, after;
    mems_engine_stats(&before);
    assert_adds_up(&before);
    void *blocks[1000];
    for (size_t i = 0; i < 1000; i++) {
        blocks[i] = malloc(i * 100);
    }
    void *huge = malloc(100 * MIB);
    mems_engine_stats(&during);
    assert_adds_up(&during);
    assert_true(during.live >= before.live + 1000 * 999 / 2 * 100);
    assert_int_equal(during.huge_blocks, before.huge_blocks + 1);
    assert_int_equal(during.huge_bytes, before.huge_bytes + 100 * MIB);
    assert_true(during.large_blocks > before.large_blocks);
    for (size_t i = 0; i < 1000; i++) {
        free(blocks[i]);
    }
    free(huge);
    mems_engine_stats(&after);
    assert_adds_up(&after);
    assert_int_equal(after.live, before.live);
    assert_int_equal(after.large_blocks, before.large_blocks);
    assert_int_equal(after.huge_blocks, before.huge_blocks);
    assert_int_equal(after.huge_bytes, before.huge_bytes);
}

static void failures_are_counted(void) {
    static struct mems_engine_stats before, after;
    mems_engine_stats(&before);
    assert_null(malloc(opaque(SIZE_MAX)));
    mems_engine_stats(&after);
    assert_int_equal(after.failures, before.failures + 1);
}

static size_t written(int (*report)(int), char *text, size_t capacity) {
    FILE *file = tmpfile();
    assert_non_null(file);
    errno = 4711;
    assert_int_equal(report(fileno(file)), 0);
    assert_int_equal(errno, 4711);
    rewind(file);
    size_t length = fread(text, 1, capacity - 1, file);
    text[length] = '\0';
    fclose(file);
    return length;
}

static void reports_are_written_to_a_file_descriptor(void) {
    static char text[65536];
    size_t length = written(mems_engine_stats_text, text, sizeof text);
    assert_non_null(strstr(text, "accessible"));
    assert_int_equal(text[length - 1], '\n');
    length = written(mems_engine_stats_json, text, sizeof text);
    assert_int_equal(text[0], '{');
    assert_string_equal(text + length - 3, "]}\n");
    assert_int_equal(mems_engine_stats_text(-1), EBADF);
    assert_int_equal(mems_engine_stats_json(-1), EBADF);
}

static void reports_allocate_nothing(void) {
    static struct mems_engine_stats before, after;
    FILE *file = tmpfile();
    assert_non_null(file);
    mems_engine_stats(&before);
    mems_engine_stats_text(fileno(file));
    mems_engine_stats_json(fileno(file));
    mems_engine_stats(&after);
    fclose(file);
    assert_int_equal(before.live, after.live);
    assert_int_equal(before.cached, after.cached);
}

static void note_limit(size_t held, size_t limit, void *context) {
    size_t *told = context;
    assert_true(held > limit);
    *told = limit;
}

static void fill_beyond_limits(void *argument) {
    (void)argument;
    size_t told = 0;
    CHECK_EQUAL(mems_option_set("limit", "96m"), 0);
    mems_on_limit(note_limit, &told);
    CHECK(malloc(92 << 20) != NULL);
    CHECK_EQUAL(told, 84 << 20);
    errno = 0;
    CHECK(malloc(92 << 20) == NULL && errno == ENOMEM);
    CHECK_EQUAL(mems_option_set("limit", "none"), 0);
    CHECK(malloc(92 << 20) != NULL);
}

static void the_heap_keeps_within_its_limit_and_says_so(void) {
    struct child_result result;
    child_run(&result, fill_beyond_limits, NULL);
    assert_int_equal(result.signal, 0);
    assert_int_equal(result.status, 0);
    assert_true(text_matches(result.err, "mems: limit: the heap holds # bytes, more than limit_soft, #\n"));
}

/* The lengths of one family's shortest and longest blocks; alone, the shortest has a class of 576 bytes. */
#define SHORTEST ((size_t)513)
#define ITS_CLASS ((size_t)576)
#define LONGEST ((size_t)768)

static void use_a_family(void *unused) {
    (void)unused;
    static void *first[8];
    static void *more[1000];
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        first[i] = malloc(SHORTEST);
        CHECK_EQUAL(malloc_usable_size(first[i]), LONGEST);
    }
    CHECK_EQUAL(mems_good_size(SHORTEST), LONGEST);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        more[i] = malloc(LONGEST);
    }
    void *own = malloc(SHORTEST);
    CHECK_EQUAL(malloc_usable_size(own), ITS_CLASS);
    CHECK_EQUAL(mems_good_size(SHORTEST), ITS_CLASS);
    free_sized(own, SHORTEST);
    CHECK(realloc(first[0], SHORTEST + 1) == first[0]);
    free_sized(first[0], SHORTEST + 1);
    for (size_t i = 1; i < sizeof first / sizeof *first; i++) {
        free_sized(first[i], SHORTEST);
    }
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        free_sized(more[i], LONGEST);
    }
}

/* A process's first blocks are longer than requested. They are freed with the requested size and resized like others,
 * also when further ones have their own class. */
static void few_blocks_have_the_longest_class_of_their_family(void) {
    expect_success(use_a_family, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(the_version_is_the_headers),
        PLAIN(options_are_set_and_read_and_mistakes_refused),
        PLAIN(the_shape_is_fixed_once_the_heap_is_in_use),
        PLAIN(statistics_add_up_and_follow_what_is_allocated),
        PLAIN(failures_are_counted),
        PLAIN(reports_are_written_to_a_file_descriptor),
        PLAIN(reports_allocate_nothing),
        PLAIN(the_heap_keeps_within_its_limit_and_says_so),
        PLAIN(few_blocks_have_the_longest_class_of_their_family),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
