#include "serve/looker.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "serve/worker.h"
#include "support/support.h"
#include "verbs/stats.h"
#include "walk/session.h"

/* Open sessions; each takes a few descriptors, and some 100 KiB. */
#define KNOWN_MOST 64u

/* Memory that the worker keeps between looks. */
#define KEPT_BYTES (4 << 20)

/* Most answers are shorter, and written at once. */
#define ANSWER_BYTES (64 << 10)

struct known {
    pid_t pid;     /* 0: none */
    uint64_t used; /* the look that used it last */
    char name[16];
    char *target; /* made once, by stats_write */
    struct session session;
};

struct looker {
    struct known known[KNOWN_MOST];
    uint64_t looks;
};

static int probe(const struct looker_question *question) {
    for (size_t i = 0; i < question->count; i++) {
        struct target target;
        struct layouts layouts;
        const char *why;
        if (target_glance(&target, question->processes[i], &why)) {
            if (layouts_recognize(&layouts, &target)) {
                printf("%d %d\n", question->processes[i], target.denied != NULL);
            }
            layouts_free(&layouts);
        }
        target_close(&target);
    }
    return EXIT_FINE;
}

static void forget(struct known *known) {
    if (known->pid != 0) {
        session_close(&known->session);
        free(known->target);
        known->target = NULL;
        known->pid = 0;
    }
}

/* Of the process, or else the place that was used longest ago. */
static struct known *find(struct looker *looker, pid_t pid) {
    struct known *oldest = &looker->known[0];
    for (size_t i = 0; i < KNOWN_MOST; i++) {
        struct known *known = &looker->known[i];
        if (known->pid == pid) {
            return known;
        }
        if (oldest->pid != 0 && (known->pid == 0 || known->used < oldest->used)) {
            oldest = known;
        }
    }
    return oldest;
}

/* May end the worker, as a verb ends the command; then the next one starts afresh. */
static int look(struct looker *looker, pid_t pid) {
    struct known *known = find(looker, pid);
    known->used = ++looker->looks;
    if (known->pid != pid || !session_refresh(&known->session, true)) {
        forget(known);
        snprintf(known->name, sizeof known->name, "%d", pid);
        session_open(&known->session, known->name, false);
        target_read_mappings(&known->session.target);
        known->pid = pid;
    }
    int status = stats_write(&known->session, &known->target);
    /* There may be a heap to read next time. */
    if (status != EXIT_FINE || known->session.layouts.count == 0) {
        forget(known);
    }
    return status;
}

/* Memory that a look frees is kept for the next one. */
static void keep_memory(void) {
#ifdef M_TRIM_THRESHOLD
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    mallopt(M_MMAP_THRESHOLD, KEPT_BYTES);
#endif
}

int looker_run(const void *unused) {
    static char answer[ANSWER_BYTES];
    keep_memory();
    setvbuf(stdout, answer, _IOFBF, sizeof answer);
    struct looker *looker = make_zeroed(1, sizeof *looker);
    struct looker_question question;
    (void)unused;
    while (worker_question(&question, sizeof question)) {
        worker_answer(question.is_probe ? probe(&question) : look(looker, question.processes[0]));
    }
    return EXIT_FINE;
}
