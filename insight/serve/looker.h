/* looker.h - the watch's worker: looks at processes, and keeps what it learns about each for the next look. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define LOOKER_PROCESSES 32u

/* A probe finds out which processes are on the libraries, and answers a line "PID DENIED" for each. A look is at one
 * process, and answers as stats_write. */
struct looker_question {
    bool is_probe;
    size_t count;
    pid_t processes[LOOKER_PROCESSES];
};

/* Answers questions until there are no more. */
int looker_run(const void *unused);
