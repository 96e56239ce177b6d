/*
 * A program that allocates in its handler of SIGSEGV, on an alternate stack of the usual size, in several threads:
 * after a fault outside the heap nothing is locked, and the heap needs little of the stack.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/check.h"
#include "support/thread.h"

#define BLOCKS 30
#define FAULTS 500
#define THREADS 3
#define WATCHDOG 900

static _Thread_local sigjmp_buf before;

static void handle(int signal) {
    (void)signal;
    unsigned char *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = realloc(malloc(1 + i), 1 + i * i * 200);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], (int)i, 1 + i * i * 200);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
    }
    siglongjmp(before, 1);
}

static void *fault_repeatedly(void *unused) {
    const stack_t stack = {.ss_sp = malloc((size_t)SIGSTKSZ), .ss_size = (size_t)SIGSTKSZ};
    const stack_t none = {.ss_flags = SS_DISABLE};
    CHECK(stack.ss_sp != NULL && sigaltstack(&stack, NULL) == 0);
    for (volatile unsigned i = 0; i < FAULTS; i++) {
        void *volatile block = malloc(100 + i);
        if (sigsetjmp(before, 1) == 0) {
            int *volatile nowhere = (int *)sizeof(int);
            *nowhere = 1;
            CHECK(false); /* not reached: it has faulted */
        }
        free(block);
    }
    CHECK(sigaltstack(&none, NULL) == 0);
    free(stack.ss_sp);
    return unused;
}

int main(void) {
    alarm(WATCHDOG);
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, fault_repeatedly, NULL) == 0);
    }
    fault_repeatedly(NULL);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    return 0;
}
