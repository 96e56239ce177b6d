/*
 * Options as text: what each accepts and refuses, that a refusal changes nothing, and what the user reads.
 */
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/root/engine_options.h"

static char told[4096];
static int lines;

static void tell(const char *line) {
    assert_null(strchr(line, '\n'));
    size_t used = strlen(told);
    int length = snprintf(told + used, sizeof told - used, "%s\n", line);
    assert_true(length > 0 && (size_t)length < sizeof told - used);
    lines++;
}

static void parse(struct options *options, const char *text) {
    told[0] = '\0';
    lines = 0;
    options_parse(&engine_options, options, text, tell);
}

static void assert_option(const struct options *options, const char *name, const char *expected) {
    char value[OPTIONS_PATH_MAX];
    assert_int_equal(options_get(&engine_options, options, name, value, sizeof value), 0);
    assert_string_equal(value, expected);
}

static void assert_defaults(const struct options *options) {
    assert_option(options, "check", "every");
    assert_option(options, "stats", "0");
    assert_option(options, "stats_file", "");
    assert_option(options, "decay_ms", "500");
    assert_option(options, "window", "auto");
}

static void every_option_has_its_default(void) {
    struct options options;
    memset(&options, 0xa5, sizeof options);
    options_init(&engine_options, &options);
    assert_defaults(&options);
    assert_int_equal(options.check, CHECK_EVERY);
    assert_int_equal(options.stats, STATS_NONE);
    assert_int_equal(options.decay_ms, 500);
    assert_int_equal(options.window, 0);
}

static void values_are_taken_and_printed(void) {
    static const struct {
        const char *name, *value, *printed;
    } cases[] = {
        {"check", "deferred", "deferred"},
        {"check", "every", "every"},
        {"stats", "text", "text"},
        {"stats", "json", "json"},
        {"stats", "0", "0"},
        {"stats_file", "/tmp/report-%p", "/tmp/report-%p"},
        {"stats_file", "", ""},
        {"decay_ms", "0", "0"},
        {"decay_ms", "4294967295", "4294967295"},
        {"limit", "1", "1"},
        {"limit", "1000", "1000"},
        {"window", "4096k", "4m"},
        {"window", "64M", "64m"},
        {"window", "1536m", "1536m"},
        {"window", "2G", "2g"},
        {"window", "16t", "16t"},
        {"window", "auto", "auto"},
        {"window", "64t", "64t"},
        {"limit", "18446744073709551615", "18446744073709551615"},
    };
    struct options options;
    options_init(&engine_options, &options);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(options_set(&engine_options, &options, cases[i].name, cases[i].value), 0);
        assert_option(&options, cases[i].name, cases[i].printed);
    }
    assert_int_equal(options_set(&engine_options, &options, "window", "5m"), 0);
    assert_int_equal(options.window, 5 * 1024 * 1024);
}

static void bad_values_change_nothing(void) {
    static const char *const cases[][2] = {
        {"check", ""},
        {"check", "Every"},
        {"check", "every "},
        {"check", "1"},
        {"stats", "xml"},
        {"decay_ms", ""},
        {"decay_ms", "-1"},
        {"decay_ms", "+1"},
        {"decay_ms", "1k"},
        {"decay_ms", "4294967296"},
        {"decay_ms", "99999999999999999999999"},
        {"window", ""},
        {"window", "0"},
        {"window", "k"},
        {"window", "1kb"},
        {"window", "1x"},
        {"window", "1 k"},
        {"window", "18446744073709551616"},
        {"window", "16777216t"},
        {"window", "0x10"},
        {"window", "4095k"},
        {"window", "65t"},
        {"", "every"},
        {"nonsense", "1"},
        {"check\n", "every"},
    };
    struct options options;
    options_init(&engine_options, &options);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(options_set(&engine_options, &options, cases[i][0], cases[i][1]), EINVAL);
    }
    assert_int_equal(options_set(&engine_options, &options, NULL, "1"), EINVAL);
    assert_int_equal(options_set(&engine_options, &options, "check", NULL), EINVAL);
    assert_defaults(&options);
}

static void a_path_may_have_255_bytes(void) {
    char path[OPTIONS_PATH_MAX + 1];
    memset(path, 'p', sizeof path);
    path[OPTIONS_PATH_MAX] = '\0';
    struct options options;
    options_init(&engine_options, &options);
    assert_int_equal(options_set(&engine_options, &options, "stats_file", path), EINVAL);
    assert_option(&options, "stats_file", "");
    path[OPTIONS_PATH_MAX - 1] = '\0';
    assert_int_equal(options_set(&engine_options, &options, "stats_file", path), 0);
    assert_option(&options, "stats_file", path);
}

static void a_value_that_does_not_fit_is_cut_and_an_error(void) {
    struct options options;
    options_init(&engine_options, &options);
    char value[6] = "-----";
    assert_int_equal(options_get(&engine_options, &options, "check", value, 6), 0);
    assert_string_equal(value, "every");
    assert_int_equal(options_get(&engine_options, &options, "check", value, 5), ERANGE);
    assert_string_equal(value, "ever");
    assert_int_equal(options_get(&engine_options, &options, "check", value, 1), ERANGE);
    assert_string_equal(value, "");
    assert_int_equal(options_get(&engine_options, &options, "check", value, 0), EINVAL);
    assert_int_equal(options_get(&engine_options, &options, "check", NULL, 6), EINVAL);
    assert_int_equal(options_get(&engine_options, &options, "checks", value, 6), EINVAL);
    assert_int_equal(options_get(&engine_options, &options, NULL, value, 6), EINVAL);
}

static void a_list_is_read_from_left_to_right(void) {
    struct options options;
    options_init(&engine_options, &options);
    parse(&options, "check=deferred,,stats=json,stats_file=/a=b,window=1g,decay_ms=7,decay_ms=8,");
    assert_int_equal(lines, 0);
    assert_option(&options, "check", "deferred");
    assert_option(&options, "stats", "json");
    assert_option(&options, "stats_file", "/a=b");
    assert_option(&options, "window", "1g");
    assert_option(&options, "decay_ms", "8");

    parse(&options, "");
    assert_int_equal(lines, 0);
}

static void mistakes_are_told_and_skipped(void) {
    struct options options;
    options_init(&engine_options, &options);
    parse(&options, "chek=every,check=often,decay_ms,stats=text");
    assert_string_equal(
        told,
        "mems: MEMS_OPTIONS: chek=every: no such option; there are check, harden, kinds, on_fault, stats, stats_file, "
        "decay_ms, background, window, limit, limit_soft, huge_pages, confine, deepbind, advice, sample, "
        "profile_file, guard_report\n"
        "mems: MEMS_OPTIONS: check=often: check takes every|deferred\n"
        "mems: MEMS_OPTIONS: decay_ms: decay_ms takes MILLISECONDS\n");
    assert_option(&options, "check", "every");
    assert_option(&options, "decay_ms", "500");
    assert_option(&options, "stats", "text");
}

static void guard_report_is_switched_by_numbers_too(void) {
    struct options options;
    options_init(&engine_options, &options);
    const char *const words[] = {"on", "off", "1", "0"};
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(options_set(&engine_options, &options, "guard_report", words[i]), 0);
        assert_int_equal(options.guard_report % 2, i % 2 == 0 ? TOGGLE_ON : TOGGLE_OFF);
    }
    assert_int_equal(options_set(&engine_options, &options, "guard_report", "2"), EINVAL);
}

static void overlong_items_are_told_and_skipped(void) {
    char text[2048];
    memset(text, 'x', sizeof text);
    memcpy(text + sizeof text - 16, ",check=deferred", 16);
    struct options options;
    options_init(&engine_options, &options);
    parse(&options, text);
    assert_int_equal(lines, 1);
    assert_non_null(strstr(told, "too long"));
    assert_option(&options, "check", "deferred");

    memset(text, 'x', 200); /* an item, although no name is that long */
    memcpy(text + 200, "=1", 3);
    parse(&options, text);
    assert_int_equal(lines, 1);
    assert_non_null(strstr(told, "no such option"));
}

static void help_names_every_option_with_its_default(void) {
    struct options options;
    options_init(&engine_options, &options);
    parse(&options, "help,decay_ms=9");
    assert_int_equal(lines, 19);
    assert_non_null(strstr(told, "check=every|deferred"));
    assert_non_null(strstr(told, "stats=0|text|json"));
    assert_non_null(strstr(told, "stats_file=PATH"));
    assert_non_null(strstr(told, "decay_ms=MILLISECONDS"));
    assert_non_null(strstr(told, "[500]"));
    assert_non_null(strstr(told, "window=auto|SIZE"));
    assert_option(&options, "decay_ms", "9");
}

/* Another owner's table: a size without a word for 0, and another variable. */
struct other {
    char before;
    size_t size;
    char after;
};

static const struct option other_options[] = {
    OPTION(struct other, size, OPTION_SIZE, "SIZE", "64k", "bytes", .words = NULL),
};
static const struct option_table other_table = {.variable = "OTHER_OPTIONS", .options = other_options, .count = 1};

static void a_table_of_another_owner_has_a_variable_and_members_of_its_own(void) {
    struct other other = {.before = 7, .after = 7};
    options_init(&other_table, &other);
    assert_int_equal(other.size, 65536);
    told[0] = '\0';
    options_parse(&other_table, &other, "size=0,size=auto,size,size=1m", tell);
    assert_string_equal(told, "mems: OTHER_OPTIONS: size=0: size takes SIZE\n"
                              "mems: OTHER_OPTIONS: size=auto: size takes SIZE\n"
                              "mems: OTHER_OPTIONS: size: size takes SIZE\n");
    assert_int_equal(other.size, 1 << 20);
    assert_int_equal(options_set(&other_table, &other, "check", "every"), EINVAL);
    assert_int_equal(other.before, 7);
    assert_int_equal(other.after, 7);
    told[0] = '\0';
    options_parse(&other_table, &other, "help", tell);
    assert_non_null(strstr(told, "mems: OTHER_OPTIONS=name=value"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(every_option_has_its_default),
        PLAIN(values_are_taken_and_printed),
        PLAIN(bad_values_change_nothing),
        PLAIN(a_path_may_have_255_bytes),
        PLAIN(a_value_that_does_not_fit_is_cut_and_an_error),
        PLAIN(a_list_is_read_from_left_to_right),
        PLAIN(mistakes_are_told_and_skipped),
        PLAIN(guard_report_is_switched_by_numbers_too),
        PLAIN(overlong_items_are_told_and_skipped),
        PLAIN(help_names_every_option_with_its_default),
        PLAIN(a_table_of_another_owner_has_a_variable_and_members_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
