/*
 * settings_test.c - os/settings.h: when the environment is read, what it may change, and how mistakes in it are
 * reported.
 */
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/settings.h"
#include "support/check.h"
#include "support/child.h"

#define VARIABLE "SETTINGS_TEST_OPTIONS"

struct choices {
    uint32_t speed;
    uint32_t shape;
};

static const struct option options[] = {
    OPTION(struct choices, speed, OPTION_NUMBER, "NUMBER", "1", "can be changed at any time", .fixed = false),
    OPTION(struct choices, shape, OPTION_NUMBER, "NUMBER", "2", "is fixed", .fixed = true),
};

static const struct option_table table = {
    .variable = VARIABLE,
    .options = options,
    .count = sizeof options / sizeof *options,
    .size = sizeof(struct choices),
};

static struct choices choices;
static struct settings settings;
static char **kept_environ;

/* Each test starts without having read anything, in a process that has no environment yet. */
static void begin(void) {
    unsetenv(VARIABLE);
    kept_environ = environ;
    environ = NULL;
    choices = (struct choices){0};
    settings = (struct settings){.table = &table, .choices = &choices};
}

static void end(void) {
    environ = kept_environ;
}

static void libc_has_an_environment_with(const char *value) {
    environ = kept_environ;
    assert_int_equal(setenv(VARIABLE, value, 1), 0);
}

static void assert_choices(uint32_t speed, uint32_t shape) {
    assert_int_equal(choices.speed, speed);
    assert_int_equal(choices.shape, shape);
}

static void without_an_environment_there_are_defaults(void) {
    assert_false(settings_read(&settings, NULL, false));
    assert_choices(1, 2);
}

static void the_environment_is_read_once_when_there_is_one(void) {
    assert_false(settings_read(&settings, NULL, false));
    libc_has_an_environment_with("speed=10,shape=20");
    assert_true(settings_read(&settings, NULL, false));
    assert_choices(10, 20);
    libc_has_an_environment_with("speed=100,shape=200");
    assert_false(settings_read(&settings, NULL, false));
    assert_choices(10, 20);
}

static char early_entry[] = VARIABLE "=speed=11,shape=21";
static char *early[] = {"A=B", early_entry, NULL};

static void the_early_environment_counts_until_libc_has_one(void) {
    assert_true(settings_read(&settings, early, false));
    assert_choices(11, 21);
    libc_has_an_environment_with("speed=10,shape=20");
    assert_false(settings_read(&settings, NULL, false));
    assert_choices(11, 21);
}

static void the_early_environment_does_not_count_once_libc_has_one(void) {
    libc_has_an_environment_with("speed=10,shape=20");
    assert_true(settings_read(&settings, early, false));
    assert_choices(10, 20);
}

static void fixed_options_keep_their_values_from_the_start_on(void) {
    assert_false(settings_read(&settings, NULL, false));
    assert_true(settings_read(&settings, early, true));
    assert_choices(11, 2);
    assert_int_equal(settings_set(&settings, "shape", "5", true), EBUSY);
    assert_int_equal(settings_set(&settings, "shape", "2", true), EBUSY);
    assert_int_equal(settings_set(&settings, "speed", "5", true), 0);
    assert_choices(5, 2);
}

static void setting_changes_one_option_or_nothing(void) {
    settings_read(&settings, early, false);
    assert_int_equal(settings_set(&settings, "shape", "5", false), 0);
    assert_choices(11, 5);
    assert_int_equal(settings_set(&settings, "speed", "quick", false), EINVAL);
    assert_int_equal(settings_set(&settings, "shape", "round", true), EINVAL);
    assert_int_equal(settings_set(&settings, "colour", "1", true), EINVAL);
    assert_int_equal(settings_set(&settings, NULL, "1", false), EINVAL);
    assert_choices(11, 5);
}

static void values_are_given_as_text(void) {
    char value[4];
    settings_read(&settings, early, false);
    assert_int_equal(options_get(settings.table, settings.choices, "shape", value, sizeof value), 0);
    assert_string_equal(value, "21");
    assert_int_equal(options_get(settings.table, settings.choices, "colour", value, sizeof value), EINVAL);
}

static void read_mistakes(void *unused) {
    (void)unused;
    libc_has_an_environment_with("speed=quick,colour=1,shape=7");
    settings_read(&settings, NULL, false);
    CHECK_EQUAL(choices.speed, 1);
    CHECK_EQUAL(choices.shape, 7);
}

static void mistakes_are_told_on_standard_error(void) {
    struct child_result result;
    child_run(&result, read_mistakes, NULL);
    assert_string_equal(result.err, "mems: " VARIABLE ": speed=quick: speed takes NUMBER\n"
                                    "mems: " VARIABLE ": colour=1: no such option; there are speed, shape\n");
    assert_int_equal(result.signal, 0);
}

#define SETTINGS_TEST(function) PLAIN_WITH(function, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(without_an_environment_there_are_defaults),
        SETTINGS_TEST(the_environment_is_read_once_when_there_is_one),
        SETTINGS_TEST(the_early_environment_counts_until_libc_has_one),
        SETTINGS_TEST(the_early_environment_does_not_count_once_libc_has_one),
        SETTINGS_TEST(fixed_options_keep_their_values_from_the_start_on),
        SETTINGS_TEST(setting_changes_one_option_or_nothing),
        SETTINGS_TEST(values_are_given_as_text),
        SETTINGS_TEST(mistakes_are_told_on_standard_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
