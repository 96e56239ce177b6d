/*
 * Children that no fork handler hears of: vfork, posix_spawn, and _Fork, also in a signal handler that interrupts
 * malloc. The child of a handler may only do what is async-signal-safe; that of a quiet process may also allocate.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCKS 256
#define THREADS 2
#define WATCHDOG 60

extern char **environ;

static atomic_bool stop;
static volatile sig_atomic_t handled;
static volatile sig_atomic_t failed;

static void require(int condition, const char *what) {
    if (!condition) {
        dprintf(STDERR_FILENO, "preload_raw_fork: failed: %s\n", what);
        _exit(1);
    }
}

#ifdef __GLIBC__
#if !__GLIBC_PREREQ(2, 34)
static pid_t _Fork(void) {
    return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}
#endif
#endif

/* Allocates, resizes and frees; each block holds its own number throughout. */
static void churn(unsigned steps, unsigned random) {
    static _Thread_local unsigned char *blocks[BLOCKS];
    for (unsigned i = 0; i < steps; i++) {
        random = random * 1664525 + 1013904223;
        size_t at = (random >> 8) % BLOCKS;
        size_t size = 1 + (random >> 16) % ((random >> 28) == 0 ? 200000 : 2000);
        require(blocks[at] == NULL || blocks[at][0] == (unsigned char)at, "contents of a block");
        if ((random >> 24) % 3 == 0) {
            free(blocks[at]);
            blocks[at] = NULL;
            continue;
        }
        blocks[at] = realloc(blocks[at], size);
        require(blocks[at] != NULL, "realloc");
        blocks[at][0] = (unsigned char)at;
        blocks[at][size - 1] = (unsigned char)at;
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
        blocks[i] = NULL;
    }
}

static void *churn_repeatedly(void *seed) {
    while (!atomic_load(&stop)) {
        churn(2000, (unsigned)(uintptr_t)seed);
    }
    return NULL;
}

static void expect_success(pid_t child, const char *what) {
    int status = 0;
    require(child > 0, what);
    while (waitpid(child, &status, 0) != child) {
        require(errno == EINTR, what);
    }
    require(status == 0, what);
}

static void fork_quietly(void) {
    churn(1000, 1);
    for (unsigned i = 0; i < 50; i++) {
        pid_t child = _Fork();
        if (child == 0) {
            alarm(WATCHDOG);
            churn(5000, i);
            _exit(0);
        }
        churn(1000, i);
        expect_success(child, "_Fork of a quiet process");
    }
}

static void fork_in_handler(int signal) {
    (void)signal;
    int saved = errno;
    int status = 0;
    pid_t child = _Fork();
    if (child == 0) {
        _exit(0);
    }
    while (child > 0 && waitpid(child, &status, 0) != child) {
        continue;
    }
    if (child < 0 || status != 0) {
        failed = 1;
    }
    handled++;
    errno = saved;
}

/* Interrupts malloc and free some hundred times, wherever they happen to be. */
static void fork_in_handlers(void) {
    struct sigaction action = {.sa_handler = fork_in_handler, .sa_flags = SA_RESTART};
    struct itimerval often = {.it_interval = {.tv_usec = 1000}, .it_value = {.tv_usec = 1000}};
    struct itimerval never = {.it_interval = {.tv_usec = 0}};
    require(sigaction(SIGPROF, &action, NULL) == 0, "sigaction");
    require(setitimer(ITIMER_PROF, &often, NULL) == 0, "setitimer");
    for (unsigned i = 0; handled < 200; i++) {
        churn(1000, i);
    }
    require(setitimer(ITIMER_PROF, &never, NULL) == 0, "setitimer");
    require(!failed, "_Fork in a signal handler");
}

static char *const arguments[] = {"true", NULL};

static pid_t vfork_true(void) {
    pid_t child = vfork();
    if (child == 0) {
        execvp(arguments[0], arguments);
        _exit(1);
    }
    return child;
}

static void spawn(void) {
    for (unsigned i = 0; i < 50; i++) {
        pid_t child = 0;
        require(posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environ) == 0, "posix_spawnp");
        expect_success(child, "posix_spawnp");
        churn(100, i);
        expect_success(vfork_true(), "vfork");
        churn(100, i);
    }
}

int main(void) {
    pthread_t threads[THREADS];
    alarm(WATCHDOG);
    fork_quietly();
    fork_in_handlers();
    for (uintptr_t i = 0; i < THREADS; i++) {
        require(pthread_create(&threads[i], NULL, churn_repeatedly, (void *)i) == 0, "pthread_create");
    }
    spawn();
    handled = 0;
    fork_in_handlers();
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++) {
        require(pthread_join(threads[i], NULL) == 0, "pthread_join");
    }
    return 0;
}
