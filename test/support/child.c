#include "child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Seconds; far more than any child needs, under any emulator or sanitizer. */
#define WATCHDOG 50

static void require(int done, const char *what) {
    if (!done) {
        perror(what);
        abort();
    }
}

static _Noreturn void child_main(int err, void (*function)(void *), void *argument) {
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_DFL); /* refused for SIGKILL and a few more, which have no other action */
    }
    alarm(WATCHDOG);
    require(dup2(err, STDERR_FILENO) >= 0, "dup2");
    close(err);
    function(argument);
    _exit(0);
}

/* Reads to the end, so that the child never waits for us, and keeps what fits. */
static void read_all(int fd, char *text, size_t capacity) {
    size_t length = 0;
    for (;;) {
        char buffer[512];
        ssize_t got = read(fd, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        size_t kept = (size_t)got < capacity - 1 - length ? (size_t)got : capacity - 1 - length;
        memcpy(text + length, buffer, kept);
        length += kept;
    }
    text[length] = '\0';
}

static void cut_emulator_line(char *text) {
    char *line = strstr(text, "qemu: uncaught target signal ");
    if (line != NULL && (line == text || line[-1] == '\n')) {
        *line = '\0';
    }
}

void child_run(struct child_result *result, void (*function)(void *), void *argument) {
    int err[2];
    require(pipe(err) == 0, "pipe");
    fflush(NULL); /* what is buffered is the parent's to write */
    pid_t child = fork();
    require(child >= 0, "fork");
    if (child == 0) {
        close(err[0]);
        child_main(err[1], function, argument);
    }
    close(err[1]);
    read_all(err[0], result->err, sizeof result->err);
    close(err[0]);
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        require(errno == EINTR, "waitpid");
    }
    result->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    result->status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    if (result->signal != 0) {
        cut_emulator_line(result->err);
    }
}
