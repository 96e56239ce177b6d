/*
 * trial.h - what the tests of HMM share: a fresh heap for each trial, and proofs that work in a child.
 *
 * A process has one heap, and its break is chosen before the first allocation. So each trial runs in a child, whose
 * heap is untouched because its parent never uses one.
 */
#ifndef MEMS_TEST_HMM_TRIAL_H
#define MEMS_TEST_HMM_TRIAL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "hmm/heap.h"
#include "os/os.h"
#include "support/child.h"

/* Ends the child that it fails in; cmocka's own would go on with the next test there. */
#define REQUIRE(condition) require(condition, __FILE__, __LINE__, #condition)

static inline void require(bool condition, const char *file, int line, const char *text) {
    if (!condition) {
        dprintf(STDERR_FILENO, "%s:%d: not so: %s\n", file, line, text);
        _exit(1);
    }
}

static inline void require_valid(const char *file, int line) {
    const char *why = "";
    require(hmm_valid(&why), file, line, why);
}
#define REQUIRE_VALID() require_valid(__FILE__, __LINE__)

static inline struct HmmStats stats_now(void) {
    struct HmmStats stats;
    hmm_stats(&stats);
    REQUIRE(stats.used + stats.cached + stats.free + stats.overhead == stats.region);
    return stats;
}

/* Runs a trial that must end well. */
static inline void expect_success(void (*trial)(void *), void *argument) {
    struct child_result result;
    child_run(&result, trial, argument);
    if (result.signal != 0 || result.status != 0) {
        print_error("%s(signal %d, status %d)\n", result.err, result.signal, result.status);
        fail();
    }
}

/* Whether the process's own break can be moved: not where the C library keeps it for itself. */
static inline bool real_break_moves(void) {
    void *was;
    return os_move_break(4096, &was) == 0 && os_move_break(-4096, &was) == 0;
}

#endif
