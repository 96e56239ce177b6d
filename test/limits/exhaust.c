/*
 * exhaust SIZE[,SIZE...] LEAST MOST [as|data LIMIT] - allocates blocks of SIZE bytes until there are no more, or it has
 * MOST bytes; frees them, and does it all again; then with the next size.
 *
 * Fails unless it ends with NULL and ENOMEM (or MOST), it had at least LEAST bytes each time, and every block kept its
 * contents. With `as` or `data` the program first lowers that limit itself, after using the heap.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/check.h"

/* The blocks are their own list, so holding them takes no memory. */
struct node {
    struct node *next;
    uintptr_t self;
};

/* A heap that hangs must not outlive its test. */
#define WATCHDOG 900

static size_t number(const char *text) {
    return (size_t)strtoull(text, NULL, 0);
}

/* The next number of a list; NULL after the last. */
static const char *others(const char *numbers) {
    const char *comma = strchr(numbers, ',');
    return comma != NULL ? comma + 1 : NULL;
}

/* Returns the number of bytes. */
static size_t fill(struct node **list, size_t size, size_t most) {
    size_t total = 0;
    while (total < most) {
        errno = 0;
        struct node *node = malloc(size);
        if (node == NULL) {
            CHECK(errno == ENOMEM);
            break;
        }
        node->next = *list;
        node->self = (uintptr_t)node;
        ((char *)node)[size - 1] = 1;
        *list = node;
        total += size;
    }
    return total;
}

static void release(struct node **list) {
    while (*list != NULL) {
        struct node *next = (*list)->next;
        CHECK((*list)->self == (uintptr_t)*list);
        errno = EDOM;
        free(*list);
        CHECK(errno == EDOM);
        *list = next;
    }
}

static void lower_limit(const char *name, size_t limit) {
    struct rlimit lowered = {.rlim_cur = limit, .rlim_max = limit};
    CHECK(setrlimit(strcmp(name, "as") == 0 ? RLIMIT_AS : RLIMIT_DATA, &lowered) == 0);
}

static void go_round(struct node **list, size_t size, size_t least, size_t most) {
    for (int round = 0; round < 2; round++) {
        size_t total = fill(list, size, most);
        CHECK_AT_MOST(least, total);
        void *small = malloc(8); /* may fail, and must do no harm */
        free(small);
        release(list);
    }
}

int main(int argc, char **argv) {
    alarm(WATCHDOG);
    struct node *list = NULL;
    CHECK(argc == 4 || argc == 6);
    size_t least = number(argv[2]), most = number(argv[3]);
    if (argc == 6) {
        fill(&list, number(argv[1]), (size_t)4 << 20);
        lower_limit(argv[4], number(argv[5]));
    }
    for (const char *sizes = argv[1]; sizes != NULL; sizes = others(sizes)) {
        go_round(&list, number(sizes), least, most);
    }
    free(malloc(100));
    return 0;
}
