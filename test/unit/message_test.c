/*
 * message_test.c - os/message.h: lines on standard error, complete whatever is put into them.
 */
#include "support/test.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "os/message.h"
#include "support/child.h"

/* The text that the function writes to standard error. */
static const char *told_by(void (*function)(void *)) {
    static struct child_result result;
    child_run(&result, function, NULL);
    assert_int_equal(result.signal, 0);
    assert_int_equal(result.status, 0);
    return result.err;
}

static void tell_line(void *unused) {
    (void)unused;
    message_line("mems: a line");
}

static void a_line_is_told_with_a_newline(void) {
    assert_string_equal(told_by(tell_line), "mems: a line\n");
}

static void tell_long_line(void *unused) {
    (void)unused;
    struct message message;
    message_begin(&message);
    for (unsigned i = 0; i < MESSAGE_SIZE; i++) {
        fmt_char(&message.line, 'x');
    }
    message_end(&message);
    fmt_text(&message.line, " [the end of the message]");
    message_tell(&message, STDERR_FILENO);
}

static void a_long_line_is_cut_before_its_end(void) {
    const char *told = told_by(tell_long_line);
    static const char end[] = "xxx [the end of the message]\n";
    assert_in_range(strlen(told), MESSAGE_SIZE - MESSAGE_END, MESSAGE_SIZE - 1);
    assert_string_equal(told + strlen(told) - strlen(end), end);
}

static void fill_to_the_end(void *unused) {
    (void)unused;
    struct message message;
    message_begin(&message);
    message_end(&message);
    for (unsigned i = 0; i < MESSAGE_SIZE; i++) {
        fmt_char(&message.line, 'x');
    }
    message_tell(&message, STDERR_FILENO);
}

static void a_full_line_still_ends_in_a_newline(void) {
    const char *told = told_by(fill_to_the_end);
    assert_int_equal(strlen(told), MESSAGE_SIZE - 1);
    assert_int_equal(told[MESSAGE_SIZE - 2], '\n');
}

static void telling_keeps_errno(void) {
    struct message message;
    errno = ENOENT;
    message_begin(&message);
    message_tell(&message, -1);
    assert_int_equal(errno, ENOENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(a_line_is_told_with_a_newline),
        PLAIN(a_long_line_is_cut_before_its_end),
        PLAIN(a_full_line_still_ends_in_a_newline),
        PLAIN(telling_keeps_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
