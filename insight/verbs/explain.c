/* explain.c - `mems CORE`: how the core's process ended. */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"
#include "target/report.h"
#include "verbs.h"
#include "walk/session.h"
#include "whatis/whatis.h"

/* What the heap has reported, and what is at the address that the report is about; false if it reported nothing. */
static bool tell_report(struct session *session) {
    char *line = report_find(&session->target);
    if (line == NULL) {
        return false;
    }
    printf("it has aborted after the heap's report\n  %s\n", line);
    const char *call = strstr(line, "(0x");
    if (call != NULL) {
        whatis_tell(session, strtoull(call + 1, NULL, 16));
    }
    free(line);
    return true;
}

int verb_explain(const struct arguments *arguments) {
    struct session session;
    session_open(&session, arguments->words[0], true);
    const struct target *target = &session.target;
    char *title = session_title(&session);
    printf("%s\n", title);
    free(title);
    char *told = target_blow_told(&target->blow);
    if (target->blow.has_fault) {
        if (target->kind == TARGET_CORE && target->thread_count != 0) {
            printf("thread %d touched %#lx\n", target->threads[0].id, target->blow.fault);
        }
        whatis_tell(&session, target->blow.fault);
    } else if (target->signal == SIGABRT && tell_report(&session)) {
        /* It has said all. */
    } else if (told != NULL) {
        printf("%s\n", told);
    } else if (target->signal == 0) {
        printf("no signal has ended it; `mems help` lists what there is to ask\n");
    }
    free(told);
    session_close(&session);
    return EXIT_FINE;
}
