/* check.h - assertions for child processes, threads, fuzz targets and programs without cmocka. A failed one prints
 * file, line and condition, and ends the process by SIGABRT. Needs only the C library, without its heap, so scripts
 * compile programs that include nothing else of this project. */
#pragma once

#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, "failed: %s", #condition))

/* Prints `why`, which the condition may set, instead of the condition. */
#define CHECK_OR_SAY(condition, why) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, "failed: %s", why))

#define CHECK_EQUAL(actual, expected) check_equal(__FILE__, __LINE__, #actual, (uint64_t)(actual), (uint64_t)(expected))
#define CHECK_AT_MOST(actual, bound) check_at_most(__FILE__, __LINE__, #actual, (uint64_t)(actual), (uint64_t)(bound))

/* One write, so that threads' lines do not mix. */
__attribute__((format(printf, 3, 4))) _Noreturn static inline void check_failed(const char *file, int line,
                                                                                const char *format, ...) {
    char text[1024];
    va_list arguments;
    int length = snprintf(text, sizeof text / 2, "%s:%d: ", file, line);
    va_start(arguments, format);
    length += vsnprintf(text + length, sizeof text - (size_t)length - 1, format, arguments);
    va_end(arguments);
    length = length < (int)sizeof text - 1 ? length : (int)sizeof text - 2;
    text[length] = '\n';
    (void)!write(STDERR_FILENO, text, (size_t)length + 1);
    abort();
}

static inline void check_equal(const char *file, int line, const char *what, uint64_t actual, uint64_t expected) {
    if (actual != expected) {
        check_failed(file, line, "%s is %" PRIu64 ", not %" PRIu64, what, actual, expected);
    }
}

static inline void check_at_most(const char *file, int line, const char *what, uint64_t actual, uint64_t bound) {
    if (actual > bound) {
        check_failed(file, line, "%s is %" PRIu64 ", more than %" PRIu64, what, actual, bound);
    }
}
