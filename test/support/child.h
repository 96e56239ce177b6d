/*
 * child.h - runs a function in a child process and tells how that ended: for tests of what ends a process.
 */
#ifndef MEMS_TEST_SUPPORT_CHILD_H
#define MEMS_TEST_SUPPORT_CHILD_H

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

#endif
