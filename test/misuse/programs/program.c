/*
 * program.c - finds the kind of mistake, and makes it.
 */
#include "program.h"

bool two_threads;

struct call {
    void (*function)(char *block);
    char *block;
};

static void *run(void *argument) {
    struct call *call = (struct call *)argument;
    call->function(call->block);
    return NULL;
}

void by_thread(void (*function)(char *block), char *block) {
    struct call call = {function, block};
    pthread_t thread;
    if (!two_threads) {
        function(block);
        return;
    }
    if (pthread_create(&thread, NULL, run, &call) != 0) {
        exit(2);
    }
    pthread_join(thread, NULL);
}

static void free_it(char *block) {
    free(hidden(block));
}

void free_by_thread(char *block) {
    by_thread(free_it, block);
}

int main(int count, char **arguments) {
    const struct kind *const all[] = {frees, writes, reads, sizes};
    if (count != 4) {
        fprintf(stderr, "usage: %s KIND SIZE THREADS\n", arguments[0]);
        return 2;
    }
    two_threads = atoi(arguments[3]) == 2;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        for (const struct kind *kind = all[i]; kind->name != NULL; kind++) {
            if (strcmp(kind->name, arguments[1]) == 0) {
                puts(kind->make(strtoul(arguments[2], NULL, 10)) ? "through" : "harmless");
                return 0;
            }
        }
    }
    fprintf(stderr, "%s: no such kind\n", arguments[1]);
    return 2;
}
