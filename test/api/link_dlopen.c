/*
 * For link.sh: loads the library beside the C library's malloc, uses it from two threads, and closes it.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *(*our_malloc)(size_t);
static void (*our_free)(void *);

static void *work(void *argument) {
    for (size_t size = 1; size < 1 << 20; size = size * 5 / 4 + 1) {
        char *mine = our_malloc(size);
        char *other = malloc(size);
        if (mine == NULL || other == NULL) {
            exit(2);
        }
        memset(mine, 1, size);
        memset(other, 2, size);
        our_free(mine);
        free(other);
    }
    return argument;
}

static void in_two_threads(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, NULL) != 0) {
        exit(2);
    }
    work(NULL);
    pthread_join(thread, NULL);
}

int main(int count, char **arguments) {
    void *library = count == 2 ? dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    *(void **)&our_malloc = dlsym(library, "malloc");
    *(void **)&our_free = dlsym(library, "free");
    in_two_threads();
    void *block = our_malloc(100);
    dlclose(library);
    our_free(block); /* the library stays because of its blocks */
    in_two_threads();
    return 0;
}
