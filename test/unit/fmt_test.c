/*
 * fmt_test.c - formatted text against the C library's snprintf.
 */
#include "support/test.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fmt.h"
#include "os/os.h"
#include "support/random.h"

#define ROUNDS 20000

static char buffer[128];
static struct fmt fmt;

static void start(void) {
    fmt = fmt_of(buffer, sizeof buffer);
}

static void assert_text(const char *expected) {
    assert_string_equal(fmt.text, expected);
    assert_int_equal(fmt.length, strlen(expected));
    assert_false(fmt.full);
}

static void numbers_agree_with_snprintf(void) {
    struct random random = random_start();
    static const uint64_t edges[] = {0, 9, 10, UINT64_MAX, INT64_MAX, (uint64_t)INT64_MIN};
    for (size_t round = 0; round < ROUNDS; round++) {
        uint64_t value = round < sizeof edges / sizeof edges[0] ? edges[round] : random_magnitude(&random, 64);
        size_t width = random_below(&random, 24);
        char expected[128];
        snprintf(expected, sizeof expected, "%" PRIu64 " %" PRId64 " 0x%" PRIx64 " %*" PRIu64 "|", value,
                 (int64_t)value, value, (int)width, value);
        start();
        fmt_decimal(&fmt, value);
        fmt_format(&fmt, " %d %x ", (int64_t)value, value);
        fmt_column(&fmt, value, width);
        fmt_text(&fmt, "|");
        assert_text(expected);
    }
}

static void pointers_are_hexadecimal(void) {
    start();
    fmt_format(&fmt, "%p %p", NULL, (void *)(uintptr_t)0x7f52a0c00310);
    assert_text("0x0 0x7f52a0c00310");
}

static void labels_are_padded_on_the_right(void) {
    start();
    fmt_label(&fmt, "live", 6);
    fmt_label(&fmt, "untouched", 6);
    fmt_label(&fmt, "", 2);
    fmt_char(&fmt, '|');
    assert_text("live  untouched  |");
}

static void a_template_takes_each_kind(void) {
    start();
    fmt_format(&fmt, "%s=%u %d %x %p 100%%", "a", UINT64_C(1), INT64_C(-2), UINT64_C(0xabc), (void *)(uintptr_t)0x10);
    assert_text("a=1 -2 0xabc 0x10 100%");
    start();
    fmt_format(&fmt, "100%");
    assert_text("100%");
}

/* Every capacity: what fits is a prefix of the whole text, and no byte behind the buffer changes. */
static void what_does_not_fit_is_cut(void) {
    const char whole[] = "slot 12 of a 48-byte slab   ";
    for (size_t capacity = 1; capacity <= sizeof whole + 1; capacity++) {
        memset(buffer, '#', sizeof buffer);
        fmt = fmt_of(buffer, capacity);
        fmt_text(&fmt, "slot ");
        fmt_decimal(&fmt, 12);
        fmt_format(&fmt, " of a %u-byte ", UINT64_C(48));
        fmt_label(&fmt, "slab", 7);
        size_t fits = capacity - 1 < strlen(whole) ? capacity - 1 : strlen(whole);
        assert_int_equal(fmt.length, fits);
        assert_memory_equal(buffer, whole, fits);
        assert_int_equal(buffer[fits], '\0');
        assert_int_equal(fmt.full, fits < strlen(whole));
        for (size_t i = capacity; i < sizeof buffer; i++) {
            assert_int_equal(buffer[i], '#');
        }
    }
}

#define LARGE (1 << 20) /* more than a pipe holds, so that one write cannot write all */
static char large[LARGE + 1];
static char copy[LARGE];
static char received[LARGE];
static pthread_t writer;

static void ignore(int number) {
    (void)number;
}

/* A signal makes a waiting write return early: with what it has written, or with EINTR. */
static void *read_and_interrupt(void *fd) {
    size_t length = 0;
    ssize_t got;
    while ((got = read(*(int *)fd, received + length, LARGE - length < 5000 ? LARGE - length : 5000)) > 0) {
        length += (size_t)got;
        pthread_kill(writer, SIGUSR1);
    }
    return NULL;
}

static void flush_writes_all_and_empties(void) {
    int ends[2];
    pthread_t reader;
    struct sigaction action = {.sa_handler = ignore};
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    writer = pthread_self();
    struct fmt text = fmt_of(large, sizeof large);
    while (!text.full) {
        fmt_decimal(&text, text.length);
    }
    memcpy(copy, large, LARGE);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pthread_create(&reader, NULL, read_and_interrupt, &ends[0]), 0);
    errno = EDOM;
    fmt_flush(&text, ends[1]);
    assert_int_equal(errno, EDOM);
    close(ends[1]);
    assert_int_equal(pthread_join(reader, NULL), 0);
    close(ends[0]);
    assert_memory_equal(received, copy, LARGE);
    assert_int_equal(text.length, 0);
    assert_false(text.full);
    assert_string_equal(text.text, "");
}

static void flush_that_fails_is_silent(void) {
    start();
    fmt_text(&fmt, "to nobody");
    errno = EDOM;
    fmt_flush(&fmt, -1);
    assert_int_equal(errno, EDOM);
    assert_int_equal(fmt.length, 0);
}

static void *flush_while_cancelled(void *fd) {
    pthread_cancel(pthread_self());
    start();
    fmt_text(&fmt, "still here");
    fmt_flush(&fmt, *(int *)fd);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    return &fmt;
}

static void flush_is_no_cancellation_point(void) {
    int ends[2];
    pthread_t thread;
    void *result = NULL;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pthread_create(&thread, NULL, flush_while_cancelled, &ends[1]), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, &fmt);
    assert_int_equal(read(ends[0], buffer, sizeof buffer), 10);
    assert_memory_equal(buffer, "still here", 10);
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(numbers_agree_with_snprintf),    PLAIN(pointers_are_hexadecimal),
        PLAIN(labels_are_padded_on_the_right), PLAIN(a_template_takes_each_kind),
        PLAIN(what_does_not_fit_is_cut),       PLAIN(flush_writes_all_and_empties),
        PLAIN(flush_that_fails_is_silent),     PLAIN(flush_is_no_cancellation_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
