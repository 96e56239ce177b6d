#include "child.h"

#include "test.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* Seconds; far more than any child needs, even under emulators and sanitizers. */
#define WATCHDOG 900

/* Of a child that calls child_cannot(). */
#define CANNOT 77

static _Noreturn void child_main(int err, void (*function)(void *), void *argument) {
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_DFL); /* refused for SIGKILL and a few others, which have no other action */
    }
    alarm(WATCHDOG);
    CHECK(dup2(err, STDERR_FILENO) >= 0);
    close(err);
    function(argument);
    _exit(0);
}

/* To the end, so that the child never waits for us; keeps what fits. */
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

static int wait_for(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, 0) != child) {
        CHECK(errno == EINTR);
    }
    return status;
}

void child_run(struct child_result *result, void (*function)(void *), void *argument) {
    int err[2];
    CHECK(pipe(err) == 0);
    fflush(NULL); /* buffered output is the parent's to write */
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        close(err[0]);
        child_main(err[1], function, argument);
    }
    close(err[1]);
    read_all(err[0], result->err, sizeof result->err);
    close(err[0]);
    int status = wait_for(child);
    result->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    result->status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    if (result->signal != 0) {
        cut_emulator_line(result->err);
    }
}

void child_wait(pid_t child) {
    CHECK(child > 0);
    int status = wait_for(child);
    CHECK(WIFEXITED(status));
    CHECK_EQUAL(WEXITSTATUS(status), 0);
}

void child_cannot(void) {
    _exit(CANNOT);
}

void child_skip_if_cannot(const struct child_result *result) {
    if (result->signal == 0 && result->status == CANNOT) {
        skip();
    }
}

void child_succeeds(void (*function)(void *), void *argument) {
    struct child_result result;
    child_run(&result, function, argument);
    fputs(result.err, stderr);
    CHECK(result.signal == 0 && result.status == 0);
}

void expect_success(void (*function)(void *), void *argument) {
    struct child_result result;
    child_run(&result, function, argument);
    child_skip_if_cannot(&result);
    if (result.signal != 0 || result.status != 0 || result.err[0] != '\0') {
        fputs(result.err, stderr); /* a sanitizer's report is longer than cmocka prints */
        fail_msg("signal %d, status %d", result.signal, result.status);
    }
}

void expect_fault(void (*function)(void *), void *argument, const char *report) {
    char pattern[512];
    struct child_result result;
    int length = snprintf(pattern, sizeof pattern, "mems: %s [thread #]\n", report);
    assert_true(length > 0 && (size_t)length < sizeof pattern);
    child_run(&result, function, argument);
    if (result.signal != SIGABRT || !text_matches(result.err, pattern)) {
        print_error("expected: %sreceived: %s(signal %d, status %d)\n", pattern, result.err, result.signal,
                    result.status);
        fail();
    }
}

/* False if *text has no digits. */
static bool skip_digits(const char **text, int (*digit)(int)) {
    const char *start = *text;
    while (digit((unsigned char)**text)) {
        ++*text;
    }
    return *text > start;
}

bool text_matches(const char *text, const char *pattern) {
    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '@') {
            if (strncmp(text, "0x", 2) != 0) {
                return false;
            }
            text += 2;
        }
        if (*pattern == '~') {
            while (*text == ' ' || *text == 'x' || isxdigit((unsigned char)*text)) {
                text++;
            }
        } else if (*pattern == '@' || *pattern == '#') {
            if (!skip_digits(&text, *pattern == '@' ? isxdigit : isdigit)) {
                return false;
            }
        } else if (*text++ != *pattern) {
            return false;
        }
    }
    return *text == '\0';
}
