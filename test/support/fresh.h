/* fresh.h - gives each test a fresh heap, because a process has one engine and one HMM heap: a test runs in a forked
 * child whose heap has not been used, with the options in the list of tests. It must use check.h's assertions: cmocka's
 * would jump into the parent's list of tests. Include engine_heap.h or hmm_heap.h as well. */
#pragma once

#include "test.h"

#include <string.h>

#include "allocator.h"
#include "child.h"
#include "random.h"

/* Seeded before the fork. */
static struct random fresh_random;

struct fresh {
    void (*run)(void);
    int (*option_set)(const char *name, const char *value);
    const char *usual;   /* allocator.usual, which come first */
    const char *options; /* "name=value,name=value" */
    const char *report;  /* the fault report that must end the test (see expect_fault), or NULL */
};

static inline void fresh_set_options(const struct fresh *fresh, const char *options) {
    char text[128];
    char *rest = text;
    CHECK(strlen(options) < sizeof text);
    strcpy(text, options);
    for (char *item; (item = strsep(&rest, ",")) != NULL && *item != '\0';) {
        const char *name = strsep(&item, "=");
        CHECK_EQUAL(fresh->option_set(name, item), 0);
    }
}

static inline void fresh_child(void *argument) {
    const struct fresh *fresh = argument;
    if (fresh->usual != NULL) {
        fresh_set_options(fresh, fresh->usual);
    }
    fresh_set_options(fresh, fresh->options);
    fresh->run();
}

static inline void fresh_run(void **state) {
    const struct fresh *fresh = *state;
    fresh_random = random_start();
    if (fresh->report != NULL) {
        expect_fault(fresh_child, *state, fresh->report);
    } else {
        expect_success(fresh_child, *state);
    }
}

/* In the list of tests, within the function that runs it. */
#define FRESH(function) FRESH_WITH(function, "")
#define FRESH_WITH(function, options) FRESH_FAULT(function, options, NULL)
#define FRESH_FAULT(function, options, report)                               \
    {                                                                        \
        #function " " options, fresh_run, NULL, NULL, &(struct fresh) {      \
            function, allocator.option_set, allocator.usual, options, report \
        }                                                                    \
    }

/* The engine's two modes of checking. */
#define IN_BOTH_MODES(function) FRESH_WITH(function, "check=every"), FRESH_WITH(function, "check=deferred")

/* HMM's two kinds of break. */
#define ON_BOTH_BREAKS(function) FRESH_WITH(function, "break=real"), FRESH_WITH(function, "break=simulated")
