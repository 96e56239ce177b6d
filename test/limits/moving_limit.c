/*
 * A process that allocates, frees and starts threads while another one lowers and raises its limits on address space
 * and data all the time: what is refused is refused with ENOMEM, blocks stay intact, and afterwards all is as before.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/check.h"
#include "support/random.h"

#define BLOCKS 3000
#define CHANGES 300
#define LATER 200
#define WATCHDOG 900
#define MIB ((size_t)1 << 20)

static void set(pid_t process, int resource, rlim_t bytes) {
    struct rlimit limit;
    if (prlimit(process, resource, NULL, &limit) == 0) {
        limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
        (void)prlimit(process, resource, &limit, NULL);
    }
}

static void move_limits(pid_t process) {
    for (rlim_t i = 0; i < CHANGES; i++) {
        set(process, RLIMIT_AS, i % 3 == 0 ? RLIM_INFINITY : (50 + i % 300) * MIB);
        set(process, RLIMIT_DATA, i % 2 == 0 ? RLIM_INFINITY : (30 + i % 200) * MIB);
        usleep(2000);
    }
    set(process, RLIMIT_AS, RLIM_INFINITY);
    set(process, RLIMIT_DATA, RLIM_INFINITY);
    _exit(0);
}

static struct {
    unsigned char *bytes;
    size_t size;
} blocks[BLOCKS];

static void release(size_t at) {
    if (blocks[at].bytes != NULL) {
        CHECK(blocks[at].bytes[0] == at % 251 && blocks[at].bytes[blocks[at].size - 1] == at % 251);
        free(blocks[at].bytes);
        blocks[at].bytes = NULL;
    }
}

static void step(struct random *random) {
    size_t at = random_below(random, BLOCKS);
    release(at);
    blocks[at].size = 1 + random_below(random, random_below(random, 8) == 0 ? 3 * MIB : 20000);
    errno = 0;
    blocks[at].bytes = malloc(blocks[at].size);
    if (blocks[at].bytes == NULL) {
        CHECK_EQUAL(errno, ENOMEM);
        return;
    }
    blocks[at].bytes[0] = blocks[at].bytes[blocks[at].size - 1] = (unsigned char)(at % 251);
}

static void *allocate(void *unused) {
    (void)unused;
    return malloc(100);
}

/* Whether there was room for a thread. */
static int run_thread(void) {
    pthread_t thread;
    void *block;
    if (pthread_create(&thread, NULL, allocate, NULL) != 0) {
        return 0;
    }
    CHECK(pthread_join(thread, &block) == 0);
    free(block);
    return 1;
}

int main(void) {
    alarm(WATCHDOG);
    struct random random = {.state = 1};
    pid_t process = getpid();
    pid_t mover = fork();
    if (mover == 0) {
        move_limits(process);
    }
    int status = 0;
    while (waitpid(mover, &status, WNOHANG) == 0) {
        for (int i = 0; i < 200; i++) {
            step(&random);
        }
        (void)run_thread();
    }
    CHECK(status == 0);
    for (size_t at = 0; at < BLOCKS; at++) {
        release(at);
    }
    for (int i = 0; i < LATER; i++) {
        blocks[i].bytes = malloc(MIB);
        CHECK(blocks[i].bytes != NULL && run_thread());
        memset(blocks[i].bytes, 1, MIB);
    }
    return 0;
}
