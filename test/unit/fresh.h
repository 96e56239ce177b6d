/*
 * fresh.h - tests of the engine in processes of their own: a process has one engine, so each test gets a fresh one.
 *
 * The test runs in a forked child, in which the engine has not started, with the options that the test names. cmocka's
 * asserts jump out of the test, back into this program's list of tests, which the child must not run: so the child has
 * its own, which say what is wrong and end it.
 */
#ifndef MEMS_TEST_UNIT_FRESH_H
#define MEMS_TEST_UNIT_FRESH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "engine/root.h"
#include "random.h"
#include "support/child.h"

#define KIB ((size_t)1024)
#define MIB ((size_t)1024 * 1024)

/* The exit status of a test that this system cannot run. */
#define FRESH_CANNOT 77

#define CHECK(condition) ((condition) ? (void)0 : fresh_failed(__FILE__, __LINE__, #condition))
#define CHECK_EQUAL(actual, expected) fresh_equal(__FILE__, __LINE__, #actual, (uint64_t)(actual), (uint64_t)(expected))
#define CHECK_AT_MOST(actual, bound) fresh_at_most(__FILE__, __LINE__, #actual, (uint64_t)(actual), (uint64_t)(bound))
#define CHECK_VALID() fresh_valid(__FILE__, __LINE__)

/* A random source for the test, seeded before the child was made. */
static struct random fresh_random;

struct fresh {
    void (*run)(void);
    const char *options; /* "name=value,name=value" */
    const char *fault;   /* what the fault report says that the test ends in; NULL: it ends in none */
};

_Noreturn static inline void fresh_failed(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    _exit(1);
}

static inline void fresh_equal(const char *file, int line, const char *what, uint64_t actual, uint64_t expected) {
    if (actual != expected) {
        fprintf(stderr, "%s:%d: %s is %" PRIu64 ", not %" PRIu64 "\n", file, line, what, actual, expected);
        _exit(1);
    }
}

static inline void fresh_at_most(const char *file, int line, const char *what, uint64_t actual, uint64_t bound) {
    if (actual > bound) {
        fprintf(stderr, "%s:%d: %s is %" PRIu64 ", more than %" PRIu64 "\n", file, line, what, actual, bound);
        _exit(1);
    }
}

static inline void fresh_valid(const char *file, int line) {
    const char *why = "no reason given";
    if (!engine_valid(&why)) {
        fresh_failed(file, line, why);
    }
}

_Noreturn static inline void fresh_cannot(void) {
    _exit(FRESH_CANNOT);
}

static inline void fresh_child(void *argument) {
    const struct fresh *fresh = argument;
    char text[128];
    char *rest = text;
    CHECK(strlen(fresh->options) < sizeof text);
    strcpy(text, fresh->options);
    for (char *item; (item = strsep(&rest, ",")) != NULL && *item != '\0';) {
        const char *name = strsep(&item, "=");
        CHECK_EQUAL(engine_option_set(name, item), 0);
    }
    fresh->run();
}

static inline void fresh_run(void **state) {
    const struct fresh *fresh = *state;
    struct child_result result;
    fresh_random = random_start();
    child_run(&result, fresh_child, *state);
    if (fresh->fault != NULL) {
        if (result.signal != SIGABRT || strstr(result.err, fresh->fault) == NULL) {
            fail_msg("no fault report with \"%s\": signal %d, status %d, %s", fresh->fault, result.signal,
                     result.status, result.err);
        }
    } else if (result.signal == 0 && result.status == FRESH_CANNOT) {
        skip();
    } else if (result.signal != 0 || result.status != 0 || result.err[0] != '\0') {
        fail_msg("signal %d, status %d, %s", result.signal, result.status, result.err);
    }
}

/* Entries of a list of tests, within the function that runs it. */
#define FRESH(function) FRESH_WITH(function, "")
#define FRESH_WITH(function, options)                                   \
    {                                                                   \
        #function " " options, fresh_run, NULL, NULL, &(struct fresh) { \
            function, options, NULL                                     \
        }                                                               \
    }
#define FRESH_FAULT(function, options, fault)                           \
    {                                                                   \
        #function " " options, fresh_run, NULL, NULL, &(struct fresh) { \
            function, options, fault                                    \
        }                                                               \
    }

/* Runs a function in another thread, to its end and that of its heap. */
static inline void fresh_thread(void *(*function)(void *), void *argument) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, function, argument) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

#endif
