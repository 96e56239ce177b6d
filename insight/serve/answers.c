#include "serve/answers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"
#include "verbs.h"

/* An answer is reused for a second, and for this many times its cost. */
#define GOOD_LEAST 1.0
#define GOOD_SHARE 10.0

/* After an answer the worker rests as long as it took, so it uses half a processor at most. */
#define REST_SHARE 1.0

#define ANSWER_MOST 30.0 /* seconds that it may take */
#define IDLE 3600.0

void answers_start(struct answers *answers, void (*wake)(void *waiter)) {
    memset(answers, 0, sizeof *answers);
    answers->worker = (struct worker){.end = -1, .output = -1, .error = -1};
    answers->wake = wake;
}

static void wake_all(struct answers *answers, struct answer *answer) {
    for (size_t i = 0; i < answer->waiter_count; i++) {
        answers->wake(answer->waiters[i]);
    }
    answer->waiter_count = 0;
}

void answers_end(struct answers *answers) {
    worker_close(&answers->worker);
    for (size_t i = 0; i < ANSWERS_MOST; i++) {
        wake_all(answers, &answers->all[i]);
        free(answers->all[i].text);
    }
}

/* --- Questions ---------------------------------------------------------------------------------------------------- */

static bool same(const struct question *a, const struct question *b) {
    return a->kind == b->kind && a->pid == b->pid && a->address == b->address;
}

/* The question's own place, or the oldest answer's; NULL: all are in use. */
static struct answer *place_for(struct answers *answers, const struct question *question) {
    struct answer *oldest = NULL;
    for (size_t i = 0; i < ANSWERS_MOST; i++) {
        struct answer *answer = &answers->all[i];
        if (answer->state != ANSWER_NONE && same(&answer->question, question)) {
            return answer;
        }
        if (answer->state != ANSWER_WANTED && (oldest == NULL || answer->made < oldest->made)) {
            oldest = answer;
        }
    }
    if (oldest != NULL) {
        free(oldest->text);
        *oldest = (struct answer){.question = *question};
    }
    return oldest;
}

const struct answer *answers_get(struct answers *answers, struct question question, void *waiter, bool waited,
                                 bool *busy) {
    struct answer *answer = place_for(answers, &question);
    *busy = false;
    if (answer != NULL && answer->state == ANSWER_MADE && (waited || now_seconds() < answer->good_until)) {
        return answer;
    }
    if (answer == NULL || waited || answer->waiter_count == WAITERS_MOST) {
        *busy = true;
        return NULL;
    }
    if (answer->state != ANSWER_WANTED) {
        answer->state = ANSWER_WANTED;
        answer->turn = answers->turns++;
    }
    answer->waiters[answer->waiter_count++] = waiter;
    return NULL;
}

/* --- Answers ------------------------------------------------------------------------------------------------------ */

/* In a worker. */
static int ask(const void *context) {
    const struct question *question = context;
    char pid[16];
    char address[32];
    char *words[3] = {pid, NULL, NULL};
    struct arguments arguments = {.words = words, .word_count = 1, .json = true};
    snprintf(pid, sizeof pid, "%d", question->pid);
    snprintf(address, sizeof address, "%#lx", question->address);
    switch (question->kind) {
    case QUESTION_STATS:
        return verb_stats(&arguments);
    case QUESTION_MAP:
        return verb_map(&arguments);
    case QUESTION_PLACE:
        words[1] = address;
        arguments.word_count = 2;
        return verb_map(&arguments);
    case QUESTION_WHATIS:
        words[0] = address;
        words[1] = pid;
        arguments.word_count = 2;
        return verb_whatis(&arguments);
    case QUESTION_FLAME:
        arguments.json = false;
        arguments.form = FORM_FLAME;
        return verb_profile(&arguments);
    default:
        return EXIT_TROUBLE;
    }
}

/* For everybody who waits; takes over `text`. */
static void answer_with(struct answers *answers, struct answer *answer, char *text, size_t size, bool found) {
    free(answer->text);
    answer->text = text;
    answer->size = size;
    answer->found = found;
    answer->state = ANSWER_MADE;
    answer->made = now_seconds();
    answer->good_until = answer->made + GOOD_LEAST;
    wake_all(answers, answer);
}

static void answer_failed(struct answers *answers, struct answer *answer, const char *line) {
    answer_with(answers, answer, copy_text(line), strlen(line), false);
}

static void take(struct answers *answers) {
    struct answer *answer = answers->at;
    struct worker *worker = &answers->worker;
    const double took = worker->cost;
    bool found = worker->status == EXIT_FINE;
    size_t size;
    char *text = worker->status >= 0 ? worker_read(found ? worker->output : worker->error, &size) : NULL;
    if (text != NULL) {
        answer_with(answers, answer, text, size, found);
    } else {
        answer_failed(answers, answer, "mems: it took too long, or failed\n");
    }
    if (took * GOOD_SHARE > GOOD_LEAST) {
        answer->good_until = answer->made + took * GOOD_SHARE;
    }
    answers->rest_until = answer->made + took * REST_SHARE;
    answers->spent += took;
    answers->at = NULL;
    worker_close(worker);
}

static struct answer *next_wanted(struct answers *answers) {
    struct answer *next = NULL;
    for (size_t i = 0; i < ANSWERS_MOST; i++) {
        struct answer *answer = &answers->all[i];
        if (answer->state == ANSWER_WANTED && (next == NULL || answer->turn < next->turn)) {
            next = answer;
        }
    }
    return next;
}

double answers_run(struct answers *answers) {
    double now = now_seconds();
    if (answers->at != NULL) {
        if (!worker_ended(&answers->worker, now)) {
            return answers->worker.deadline - now;
        }
        take(answers);
    }
    struct answer *next = next_wanted(answers);
    if (next == NULL) {
        return IDLE;
    }
    if (now < answers->rest_until) {
        return answers->rest_until - now;
    }
    if (worker_start(&answers->worker, ask, &next->question, ANSWER_MOST)) {
        answers->at = next;
        return ANSWER_MOST;
    }
    answer_failed(answers, next, "mems: there is no memory, or no process left, to look with\n");
    return 0;
}
