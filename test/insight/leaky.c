/*
 * leaky.c - a program that leaks in the way that its argument names, and ends. It runs on the library and with
 * LeakSanitizer, which must find the same blocks.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct node {
    struct node *left, *right;
    char rest[64];
};

static void *volatile kept[1000];
static __thread void *volatile in_tls;
static volatile int ready;

static __attribute__((noinline)) struct node *tree(int depth) {
    struct node *node = calloc(1, sizeof *node);
    if (depth > 1) {
        node->left = tree(depth - 1);
        node->right = tree(depth - 1);
    }
    return node;
}

static __attribute__((noinline)) void leak(const char *how) {
    if (strcmp(how, "nothing") == 0) {
        for (int i = 0; i < 1000; i++) {
            kept[i] = malloc((size_t)i * 13);
        }
    } else if (strcmp(how, "small") == 0) {
        for (int i = 0; i < 1000; i++) {
            memset(malloc((size_t)i + 1), 1, (size_t)i + 1);
        }
    } else if (strcmp(how, "large") == 0) {
        for (size_t i = 0; i < 20; i++) {
            memset(malloc(i << 20 | 1), 1, i << 20 | 1);
        }
    } else if (strcmp(how, "half") == 0) {
        for (int i = 0; i < 1000; i++) {
            void *block = calloc(1, 100);
            kept[i] = i % 2 == 0 ? block : NULL;
        }
    } else if (strcmp(how, "tree") == 0) {
        tree(8);
        kept[0] = tree(8);
    } else if (strcmp(how, "pruned") == 0) {
        struct node *node = tree(6);
        kept[0] = node;
        node->left = NULL;
    } else if (strcmp(how, "cycle") == 0) {
        struct node *first = calloc(1, sizeof *first);
        struct node *last = first;
        for (int i = 0; i < 9; i++) {
            last->left = calloc(1, sizeof *last);
            last = last->left;
        }
        last->left = first;
    } else if (strcmp(how, "inner") == 0) {
        kept[0] = (char *)calloc(1, 1000) + 400;
        kept[1] = (char *)calloc(1, 1000) + 1000 + 64; /* beyond it */
    } else if (strcmp(how, "realloc") == 0) {
        void *block = calloc(1, 10);
        kept[0] = realloc(block, 100000);
        kept[0] = realloc(calloc(1, 50), 60);
        kept[0] = NULL;
    }
}

static void *in_thread(void *how) {
    leak(how);
    in_tls = calloc(1, 200);
    ready = 1;
    for (;;) {
        pause();
    }
}

/* Words that returned functions left on the stack are not pointers. */
static __attribute__((noinline)) void wipe_stack(void) {
    volatile char space[20000];
    memset((void *)(uintptr_t)space, 0, sizeof space);
#if defined(__x86_64__)
    /* Nor are values left in vector registers: all of them get their initial values. */
    static _Alignas(64) struct {
        char fpu[24];
        uint32_t mxcsr;
        char rest[8192];
    } state = {.mxcsr = 0x1f80};
    if (__builtin_cpu_supports("avx")) {
        __asm__ volatile("xrstor %0" ::"m"(state), "a"(0xe6), "d"(0) : "memory");
    }
#endif
}

int main(int count, char **words) {
    const char *how = count > 1 ? words[1] : "nothing";
    if (strcmp(how, "thread") == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, in_thread, (void *)(uintptr_t) "tree");
        while (!ready) {
            usleep(1000);
        }
    } else {
        leak(how);
    }
    wipe_stack();
    exit(0);
}
