/* worker.h - questions about processes, answered by a child of the server: whatever a process does to the child, the
 * server goes on, and the cost of each answer is known. A worker answers one question and ends, or stays and calls
 * worker_question and worker_answer for each. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct worker {
    pid_t process; /* 0: none */
    bool busy;     /* it has not answered yet */
    int end;       /* a socket for questions and answers, closed when the worker ends */
    int output;    /* what it has written to standard output, */
    int error;     /* and to standard error */
    double started, deadline;
    double before; /* seconds of processor time that earlier answers took */
    double cost;   /* that the last answer took */
    int status;    /* the exit status, or its answer's; below 0: killed */
};

/* Starts run(context) in a child, which has `seconds`. It may exit; its standard output is the answer. False if there
 * is no memory for a child. */
bool worker_start(struct worker *worker, int (*run)(const void *context), const void *context, double seconds);

/* The next question for a worker that stays. False if it has ended. */
bool worker_ask(struct worker *worker, const void *question, size_t size, double seconds);

/* In such a worker: waits for a question, false if there are no more; ends an answer, which is all that it has
 * written to standard output since. */
bool worker_question(void *question, size_t size);
void worker_answer(int status);

/* Whether it has ended (then `process` is 0), or has answered; kills one that has used up its time. */
bool worker_ended(struct worker *worker, double now);

/* Processor time that a process has taken, to the nanosecond; 0 if unknown. */
double worker_seconds_of(pid_t process);

/* One of its files, with a '\0' that does not count; the caller frees it. NULL: none. */
char *worker_read(int file, size_t *size);

void worker_close(struct worker *worker);
