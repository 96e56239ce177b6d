/*
 * Children that no fork handler sees: vfork, posix_spawn, clone, and _Fork, even in a signal handler that interrupts
 * malloc. The child of a handler may only do what is async-signal-safe; that of a quiet process may also allocate, and
 * so may one that shares its parent's memory while the thread that made it waits.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/check.h"
#include "support/random.h"

#define BLOCKS 256
#define THREADS 2
#define WATCHDOG 900

extern char **environ;

static atomic_bool stop;
static volatile sig_atomic_t handled;
static volatile sig_atomic_t failed;

#ifdef __GLIBC__
#if !__GLIBC_PREREQ(2, 34)
static pid_t _Fork(void) {
    return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}
#endif
#endif

/* Allocates, resizes and frees; each block holds its own number throughout. */
static void churn(unsigned steps, uintptr_t seed) {
    struct random random = {.state = seed};
    static _Thread_local unsigned char *blocks[BLOCKS];
    for (unsigned i = 0; i < steps; i++) {
        size_t at = random_below(&random, BLOCKS);
        size_t size = 1 + random_below(&random, random_below(&random, 16) == 0 ? 200000 : 2000);
        CHECK(blocks[at] == NULL || blocks[at][0] == (unsigned char)at);
        if (random_below(&random, 3) == 0) {
            free(blocks[at]);
            blocks[at] = NULL;
            continue;
        }
        blocks[at] = realloc(blocks[at], size);
        CHECK(blocks[at] != NULL);
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
        churn(2000, (uintptr_t)seed);
    }
    return NULL;
}

static void expect_success(pid_t child) {
    int status = 0;
    CHECK(child > 0);
    while (waitpid(child, &status, 0) != child) {
        CHECK(errno == EINTR);
    }
    CHECK(status == 0);
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
        expect_success(child);
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

/* Interrupts malloc and free some hundred times, wherever they are. */
static void fork_in_handlers(void) {
    struct sigaction action = {.sa_handler = fork_in_handler, .sa_flags = SA_RESTART};
    struct itimerval often = {.it_interval = {.tv_usec = 1000}, .it_value = {.tv_usec = 1000}};
    struct itimerval never = {.it_interval = {.tv_usec = 0}};
    CHECK(sigaction(SIGPROF, &action, NULL) == 0);
    CHECK(setitimer(ITIMER_PROF, &often, NULL) == 0);
    for (unsigned i = 0; handled < 200; i++) {
        churn(1000, i);
    }
    CHECK(setitimer(ITIMER_PROF, &never, NULL) == 0);
    CHECK(!failed);
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

static int churn_and_exit(void *seed) {
    churn(1000, (uintptr_t)seed);
    _exit(0);
}

/* Children that use the heap of the thread that waits for them, in the same memory. */
static void share_memory(void) {
    static _Alignas(16) char stack[1 << 16];
    for (uintptr_t i = 0; i < 50; i++) {
        pid_t child = vfork();
        if (child == 0) {
            churn_and_exit((void *)i);
        }
        expect_success(child);
        churn(100, i);
        expect_success(clone(churn_and_exit, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)i));
        churn(100, i);
        expect_success(clone(churn_and_exit, stack + sizeof stack, CLONE_VM | SIGCHLD, (void *)i));
        churn(100, i);
    }
}

static void spawn(void) {
    for (unsigned i = 0; i < 50; i++) {
        pid_t child = 0;
        CHECK(posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environ) == 0);
        expect_success(child);
        churn(100, i);
        expect_success(vfork_true());
        churn(100, i);
    }
}

int main(void) {
    pthread_t threads[THREADS];
    alarm(WATCHDOG);
    fork_quietly();
    fork_in_handlers();
    for (uintptr_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, churn_repeatedly, (void *)i) == 0);
    }
    spawn();
    share_memory();
    handled = 0;
    fork_in_handlers();
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    return 0;
}
