/*
 * ending.h - the threads of a traced process at its end, each as it was when it ended.
 *
 * Each thread stops at PTRACE_EVENT_EXIT and is resumed. The memory of an ending process stays until its last thread is
 * gone, and so do the stacks of threads that end with it. Only threads that end by themselves, or for an exec, leave
 * nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "target/target.h"

struct ending {
    struct thread *threads; /* that have come to their end with the process; their registers */
    size_t count;
    pid_t *ended; /* all that have come to their end, and are not known to be gone */
    size_t ended_count;
};

/* A thread has stopped at its end; whether it is the last one of its process. */
bool ending_meet(struct ending *ending, pid_t process, pid_t thread);

/* A thread is gone. */
void ending_gone(struct ending *ending, pid_t thread);

/* The process has become another program, or is no longer of interest: forgets all threads. */
void ending_clear(struct ending *ending);
