/*
 * sessions.c - memory that does not fall: a server has served a peak of sessions and closed all of them, but its Rss
 * stays high. Between the sessions' requests lie lines of a log, which are of the same size and are kept.
 *
 *   MEMS_OPTIONS=sample=16k,decay_ms=60000 LD_PRELOAD=.../libmems.so ./sessions & mems stats $!
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SESSIONS = 20000, REQUESTS = 4, LOG_EACH = 25 };

struct session {
    char *user;
    char *requests[REQUESTS];
};

static struct session *sessions[SESSIONS];
static char *log_lines[SESSIONS / LOG_EACH];

static char *write_log(int number) {
    char *line = malloc(1000);
    snprintf(line, 1000, "session %d opened", number);
    return line;
}

static struct session *open_session(int number) {
    struct session *session = calloc(1, sizeof *session);
    session->user = malloc(100);
    snprintf(session->user, 100, "user %d", number);
    for (int i = 0; i < REQUESTS; i++) {
        session->requests[i] = memset(malloc(1000), 'r', 1000);
    }
    return session;
}

static void close_session(struct session *session) {
    for (int i = 0; i < REQUESTS; i++) {
        free(session->requests[i]);
    }
    free(session->user);
    free(session);
}

int main(void) {
    for (int i = 0; i < SESSIONS; i++) {
        sessions[i] = open_session(i);
        if (i % LOG_EACH == 0) {
            log_lines[i / LOG_EACH] = write_log(i);
        }
    }
    for (int i = 0; i < SESSIONS; i++) {
        close_session(sessions[i]);
        sessions[i] = NULL;
    }
    puts("all sessions are closed");
    fflush(stdout);
    for (int i = 0;; i = (i + 1) % (SESSIONS / LOG_EACH)) {
        usleep(1000);
        free(log_lines[i]);
        log_lines[i] = write_log(i * LOG_EACH);
    }
}
