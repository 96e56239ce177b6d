/*
 * crash.c - a program that dies of the kind of signal that its argument names.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static char *block;

static void *touch(void *unused) {
    (void)unused;
    block[12345] = 1;
    return NULL;
}

int main(int count, char **words) {
    const char *kind = count > 1 ? words[1] : "";
    block = malloc((size_t)100 << 20);
    block[0] = 1;
    if (strcmp(kind, "twice") == 0) {
        char *small = malloc(20);
        free(small);
        free(small);
    } else if (strcmp(kind, "freed") == 0) {
        free(block);
        touch(NULL);
    } else if (strcmp(kind, "thread") == 0) {
        pthread_t thread;
        free(block);
        pthread_create(&thread, NULL, touch, NULL);
        pthread_join(thread, NULL);
    } else if (strcmp(kind, "sent") == 0) {
        raise(SIGSEGV);
    } else if (strcmp(kind, "wild") == 0) {
        **(char *volatile *)memset(block, 0xd5, sizeof(char *)) = 1;
    } else if (strcmp(kind, "abort") == 0) {
        abort();
    }
    return 7;
}
