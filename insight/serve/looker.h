/*
 * looker.h - the watch's worker: it looks at processes, and keeps what it has found out about each for the next look.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define LOOKER_PROCESSES 32u

/* A probe finds out which of some processes are on the libraries: the answer is a line "PID DENIED" for each. A look is
 * at one process: the answer is that of stats_write. */
struct looker_question {
    bool is_probe;
    size_t count;
    pid_t processes[LOOKER_PROCESSES];
};

/* Answers questions until there are no more. */
int looker_run(const void *unused);
