/* answers.h - browsers' questions about one process, answered by workers. A question is asked once for all who wait for
 * it, and its answer is valid for a time proportional to its cost, so however many browsers ask, looking takes only
 * part of a processor. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "serve/worker.h"

enum question_kind { QUESTION_STATS, QUESTION_MAP, QUESTION_PLACE, QUESTION_WHATIS, QUESTION_FLAME, QUESTION_KINDS };

struct question {
    enum question_kind kind;
    pid_t pid;
    uint64_t address; /* of QUESTION_PLACE and QUESTION_WHATIS */
};

#define ANSWERS_MOST 32u
#define WAITERS_MOST 16u

struct answer {
    struct question question;
    enum { ANSWER_NONE, ANSWER_WANTED, ANSWER_MADE } state;
    uint64_t turn; /* of the wanted ones, the lowest is next */
    char *text;    /* JSON, or a line that says what is wrong */
    size_t size;
    bool found; /* it is JSON */
    double made;
    double good_until;
    void *waiters[WAITERS_MOST];
    size_t waiter_count;
};

struct answers {
    struct answer all[ANSWERS_MOST];
    struct worker worker;
    struct answer *at; /* the worker's question; NULL: it has none */
    uint64_t turns;
    double rest_until; /* nothing is asked before */
    double spent;      /* by workers, seconds of processor time */
    void (*wake)(void *waiter);
};

/* Calls `wake` for every waiting request. */
void answers_start(struct answers *answers, void (*wake)(void *waiter));
void answers_end(struct answers *answers);

/* A valid answer or, for a caller that has `waited`, any. Otherwise NULL, and `waiter` is woken when there is one;
 * *busy: there are too many questions, and nobody is woken. */
const struct answer *answers_get(struct answers *answers, struct question question, void *waiter, bool waited,
                                 bool *busy);

/* Does what is due. Returns the seconds until more is, unless the worker ends first. */
double answers_run(struct answers *answers);
