/*
 * child.h - runs functions in child processes: for tests of what ends a process, and of what can be done only once in
 * one.
 *
 * cmocka's assertions jump back into the parent's list of tests, so a child must use those of check.h.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* signal: what ended the child, or 0 if it exited; status: its exit status; err: what it wrote to standard error, as
 * a string, cut to fit. */
struct child_result {
    int signal;
    int status;
    char err[8192];
};

/*
 * Calls function(argument) in a forked child and waits for its end. If the function returns, the exit status is 0. The
 * child has its parent's memory, default actions for all signals, and no core dump; SIGALRM ends it if it hangs. err
 * does not include QEMU's own line about a signal. If the child cannot be made, the calling process says why and
 * aborts.
 */
void child_run(struct child_result *result, void (*function)(void *), void *argument);

/* Ends a child that cannot set up here what it should test. */
_Noreturn void child_cannot(void);

/*
 * For cmocka tests: run function(argument) as child_run() does, and fail the test unless the child ends as expected.
 * expect_success: by itself, silently; child_cannot() skips the test. expect_fault: by SIGABRT, with only a fault
 * report on standard error: "mems: REPORT [thread N]", where REPORT is compared by text_matches().
 */
void expect_success(void (*function)(void *), void *argument);
void expect_fault(void (*function)(void *), void *argument, const char *report);

/* Skips the test, without returning, if the child ended by child_cannot(). */
void child_skip_if_cannot(const struct child_result *result);

/* Waits for a forked child, which must exit with status 0; otherwise the calling process aborts. */
void child_wait(pid_t child);

/* Whether the text matches the pattern, in which # stands for a decimal number, @ for an address, and ~ for the return
 * addresses of a stack. */
bool text_matches(const char *text, const char *pattern);
