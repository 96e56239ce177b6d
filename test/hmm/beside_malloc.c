/*
 * beside_malloc LIBRARY - loads libhmm beside the C library's malloc, and uses both heaps in several threads: their
 * memory does not overlap. HMM's is beyond the program break, which the C library moves without notice.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/check.h"
#include "support/random.h"

#define BLOCKS 2000
#define THREADS 2

static void *(*hmm_alloc)(size_t size);
static void (*hmm_free)(void *block);
static const char *start_of_break;

/* Blocks come and go, each full of its own byte. */
static void use(struct random *random, size_t largest, void *(*alloc)(size_t size), void (*release)(void *block)) {
    static _Thread_local struct {
        unsigned char *bytes;
        size_t size;
    } blocks[BLOCKS];
    for (unsigned i = 0; i < 30000; i++) {
        unsigned at = (unsigned)random_below(random, BLOCKS);
        if (blocks[at].bytes != NULL) {
            CHECK(blocks[at].bytes[0] == at % 251 && blocks[at].bytes[blocks[at].size - 1] == at % 251);
            release(blocks[at].bytes);
        }
        blocks[at].size = 1 + random_below(random, largest);
        blocks[at].bytes = alloc(blocks[at].size);
        CHECK(blocks[at].bytes != NULL);
        memset(blocks[at].bytes, (int)(at % 251), blocks[at].size);
    }
    for (unsigned at = 0; at < BLOCKS; at++) {
        release(blocks[at].bytes);
    }
}

static void *use_hmm(void *seed) {
    struct random random = {.state = (uintptr_t)seed};
    use(&random, 3000, hmm_alloc, hmm_free);
    void *block = hmm_alloc(100);
    CHECK(block != NULL && !((const char *)block >= start_of_break && (const char *)block < (const char *)sbrk(0)));
    return NULL;
}

int main(int count, char **arguments) {
    alarm(900);
    CHECK(count == 2);
    start_of_break = sbrk(0);
    void *library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL);
    hmm_alloc = (void *(*)(size_t))(uintptr_t)dlsym(library, "HmmAlloc");
    hmm_free = (void (*)(void *))(uintptr_t)dlsym(library, "HmmFree");
    CHECK(hmm_alloc != NULL && hmm_free != NULL);
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, use_hmm, (void *)(i + 1)) == 0);
    }
    struct random random = {.state = 0};
    use(&random, 20000, malloc, free);
    for (unsigned i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    return 0;
}
