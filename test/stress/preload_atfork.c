/*
 * preload_atfork.c - fork beside another library whose handlers take its lock and allocate: the heap's own handlers
 * must run last before the fork and first after it.
 */
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

void library_work(void);

static void *work(void *unused) {
    for (;;) {
        library_work();
    }
    return unused;
}

int main(void) {
    alarm(900);
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, NULL) != 0) {
        return 1;
    }
    for (int i = 0; i < 500; i++) {
        pid_t child = fork();
        if (child == 0) {
            library_work();
            _exit(0);
        }
        int status;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            printf("fork %d: wait status %d\n", i, status);
            return 1;
        }
    }
    _exit(0);
}
