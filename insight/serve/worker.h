/*
 * worker.h - questions about processes, answered by a child of the server: whatever a process does to the child, the
 * server goes on, and the cost of each answer is known.
 *
 * A worker answers one question, and ends. Or it stays: it calls worker_question for each, and worker_answer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct worker {
    pid_t process; /* 0: none */
    bool busy;     /* it has not answered yet */
    int end;       /* a socket for questions and answers, which is closed when it ends */
    int output;    /* what it has written to standard output, */
    int error;     /* and to standard error */
    double started, deadline;
    double before; /* seconds of processor time that earlier answers took */
    double cost;   /* that the last answer took */
    int status;    /* the exit status, or that of its answer; below 0: it was killed */
};

/* Starts run(context) in a child, with `seconds` to end. It may exit, and its standard output is the answer. False when
 * there is no memory for a child. */
bool worker_start(struct worker *worker, int (*run)(const void *context), const void *context, double seconds);

/* Asks a worker that stays the next question. False if it has ended meanwhile. */
bool worker_ask(struct worker *worker, const void *question, size_t size, double seconds);

/* In such a worker: waits for a question; false if there are no more. And ends an answer, which is what it has written
 * since to standard output. */
bool worker_question(void *question, size_t size);
void worker_answer(int status);

/* Whether it has ended (then `process` is 0), or has answered; kills one that has used up its time. */
bool worker_ended(struct worker *worker, double now);

/* Seconds of processor time that a process has taken so far, to the nanosecond; 0 if it is not known. */
double worker_seconds_of(pid_t process);

/* All that is in one of its files; the caller frees it. NULL: none. Ended by '\0', which does not count. */
char *worker_read(int file, size_t *size);

void worker_close(struct worker *worker);
