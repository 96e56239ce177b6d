/*
 * misuse.h - what every misuse test does: a child misuses the heap, and must end by SIGABRT with exactly one line.
 */
#ifndef MEMS_TEST_MISUSE_H
#define MEMS_TEST_MISUSE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "support/child.h"

/* Not in every C library's headers. */
size_t malloc_usable_size(void *block);
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);

/* A pointer that the compiler has no thoughts about: it would warn, and rightly. */
static inline void *hidden(void *block) {
    __asm__("" : "+r"(block));
    return block;
}

/* Whether text is the pattern, in which # stands for a decimal number and @ for an address. */
static inline bool matches(const char *text, const char *pattern) {
    for (; *pattern != '\0'; pattern++) {
        if (*pattern != '#' && *pattern != '@') {
            if (*text++ != *pattern) {
                return false;
            }
            continue;
        }
        int (*digit)(int) = *pattern == '@' ? isxdigit : isdigit;
        if (*pattern == '@') {
            if (strncmp(text, "0x", 2) != 0) {
                return false;
            }
            text += 2;
        }
        if (!digit((unsigned char)*text)) {
            return false;
        }
        while (digit((unsigned char)*text)) {
            text++;
        }
    }
    return *text == '\0';
}

/* Runs misuse(argument) in a child. Its report is "mems: REPORT [thread N]" and nothing else. */
static inline void expect_fault(void (*misuse)(void *), void *argument, const char *report) {
    char pattern[512] = "mems: ";
    assert_true(strlen(report) < sizeof pattern - 32);
    strcat(pattern, report);
    strcat(pattern, " [thread #]\n");
    struct child_result result;
    child_run(&result, misuse, argument);
    if (result.signal != SIGABRT || !matches(result.err, pattern)) {
        print_error("expected: %sreceived: %s(signal %d, status %d)\n", pattern, result.err, result.signal,
                    result.status);
        fail();
    }
}

#endif
