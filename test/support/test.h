/* test.h - every test includes it first: cmocka, the headers it needs, tests without a state, and sizes. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define KIB ((size_t)1024)
#define MIB ((size_t)1024 * 1024)

/* A test that runs in this process (fresh.h has those that do not), and what runs before and after it, or NULL. */
struct plain {
    void (*run)(void), (*begin)(void), (*end)(void);
};

static inline void plain_run(void **state) {
    ((const struct plain *)*state)->run();
}

static inline int plain_begin(void **state) {
    const struct plain *plain = *state;
    if (plain->begin != NULL) {
        plain->begin();
    }
    return 0;
}

static inline int plain_end(void **state) {
    const struct plain *plain = *state;
    if (plain->end != NULL) {
        plain->end();
    }
    return 0;
}

/* In the list of tests, within the function that runs it. */
#define PLAIN(function) PLAIN_WITH(function, NULL, NULL)
#define PLAIN_WITH(function, begin, end)                                \
    {                                                                   \
        #function, plain_run, plain_begin, plain_end, &(struct plain) { \
            function, begin, end                                        \
        }                                                               \
    }
