/*
 * child.h - functions in child processes: for tests of what ends a process, and of what may be done only once in one.
 *
 * cmocka's assertions jump out of the function, back into the parent's list of tests, so they must not be used in a
 * child; check.h has some that end the process.
 */
#ifndef MEMS_TEST_SUPPORT_CHILD_H
#define MEMS_TEST_SUPPORT_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

/* signal: the one that ended the child, 0 when it exited; status: its exit status then; err: what it wrote to standard
 * error, as a string, cut to fit. */
struct child_result {
    int signal;
    int status;
    char err[4096];
};

/*
 * Calls function(argument) in a forked child and waits for its end. A function that returns is exit status 0. The
 * child has its parent's memory, every signal's default action, and no core dump; it is ended by SIGALRM should it
 * hang. Under QEMU the emulator's own line about the signal is not part of err. When the child cannot be made the
 * calling process says why and aborts.
 */
void child_run(struct child_result *result, void (*function)(void *), void *argument);

/* Ends a child that cannot bring about here what it is to test. */
_Noreturn void child_cannot(void);

/*
 * The rest is for cmocka tests. Each runs function(argument) as child_run() does, and fails the test unless the child
 * ends as expected. expect_success: by itself, without a word on standard error; a child that ends by
 * child_cannot() skips the test. expect_fault: by SIGABRT, with a fault report and nothing else on standard
 * error: "mems: REPORT [thread N]", where REPORT is compared as text_matches() does.
 */
void expect_success(void (*function)(void *), void *argument);
void expect_fault(void (*function)(void *), void *argument, const char *report);

/* Whether the child has ended by child_cannot(): then it skips the test, and does not return. */
void child_skip_if_cannot(const struct child_result *result);

/* Waits for a child that the caller has forked; it must end with exit status 0, or the calling process aborts. */
void child_wait(pid_t child);

/* Whether text is the pattern, in which # stands for a decimal number and @ for an address. */
bool text_matches(const char *text, const char *pattern);

#endif
