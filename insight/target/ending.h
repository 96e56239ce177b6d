/* ending.h - the threads of a traced process at its end, each as it was when it ended. Each stops at PTRACE_EVENT_EXIT
 * and is resumed. Memory stays until the last thread is gone, and so do the stacks of threads that end with the
 * process. Only threads that end by themselves, or for an exec, leave nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "target/target.h"

struct ending {
    struct thread *threads; /* those that ended with the process; their registers */
    size_t count;
    pid_t *ended; /* all that have ended, and may still be there */
    size_t ended_count;
};

/* A thread has stopped at its end. Returns whether it is its process's last. */
bool ending_meet(struct ending *ending, pid_t process, pid_t thread);

/* A thread is gone. */
void ending_gone(struct ending *ending, pid_t thread);

/* The process has become another program, or is no longer of interest. */
void ending_clear(struct ending *ending);
