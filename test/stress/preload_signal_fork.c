/*
 * preload_signal_fork.c - fork in a signal handler that interrupts malloc and free, in a process with one thread: the
 * fork handlers must not wait for a lock that the interrupted code holds.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORKS = 300 };

static volatile sig_atomic_t forks;
static volatile sig_atomic_t failed;

static void handle(int signal) {
    (void)signal;
    int status;
    pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    failed |= child < 0 || waitpid(child, &status, 0) != child || status != 0;
    forks++;
}

int main(void) {
    alarm(900);
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    sigaction(SIGVTALRM, &action, NULL);
    const struct itimerval often = {.it_interval = {.tv_usec = 1000}, .it_value = {.tv_usec = 1000}};
    setitimer(ITIMER_VIRTUAL, &often, NULL);
    while (forks < FORKS) {
        for (size_t size = 40000; size < 400000; size += 40000) {
            volatile char *block = malloc(size);
            block[0] = 1;
            free((void *)block);
        }
    }
    if (failed) {
        puts("a fork failed, or its child did");
    }
    return failed;
}
