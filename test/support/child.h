/* child.h - runs functions in child processes, to test what ends a process, or can be done only once in one. A child
 * must use check.h's assertions: cmocka's jump back into the parent's list of tests. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* signal: what ended the child, or 0 if it exited with `status`; err: its standard error, cut to fit. */
struct child_result {
    int signal;
    int status;
    char err[8192];
};

/* Calls function(argument) in a forked child and waits for it. If the function returns, the exit status is 0. The child
 * has its parent's memory, default actions for all signals, and no core dump; SIGALRM ends it if it hangs. err does not
 * include QEMU's own line about a signal. If the child cannot be made, the calling process says why and aborts. */
void child_run(struct child_result *result, void (*function)(void *), void *argument);

/* The child cannot set up what it should test. */
_Noreturn void child_cannot(void);

/* For cmocka tests: child_run(), and the test fails unless the child ends as expected. expect_success: by itself,
 * silently; child_cannot() skips the test. expect_fault: by SIGABRT, with only a fault report on standard error: "mems:
 * REPORT [thread N]", where REPORT is compared by text_matches(). */
void expect_success(void (*function)(void *), void *argument);
void expect_fault(void (*function)(void *), void *argument, const char *report);

/* For tests that are children themselves: child_run(), prints what the child wrote, and aborts unless it exits with
 * status 0. */
void child_succeeds(void (*function)(void *), void *argument);

/* Does not return if the child ended by child_cannot(). */
void child_skip_if_cannot(const struct child_result *result);

/* Aborts unless the child exits with status 0. */
void child_wait(pid_t child);

/* In the pattern, # stands for a decimal number, @ for an address, and ~ for the return addresses of a stack. */
bool text_matches(const char *text, const char *pattern);
