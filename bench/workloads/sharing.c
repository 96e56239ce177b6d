/*
 * sharing.c - false sharing. Each thread repeatedly allocates a small block, writes to it many times and frees it. If
 * blocks of different threads are in one cache line, the line travels between the processors with every write.
 *
 * active: an allocator that serves threads from one place puts their blocks side by side. passive: the blocks were side
 * by side to begin with, because one thread allocated them for all; a thread that frees its block and gets that memory
 * again keeps sharing. (Emery Berger's cache-thrash and cache-scratch.)
 */
#include "workload.h"

#define WRITES 1000
static pthread_barrier_t barrier;
static void *blocks[MAX_THREADS]; /* passive: the block that each thread starts with */

static void write_often(void *block) {
    volatile char *bytes = (char *)block + sizeof(uint64_t); /* behind the word that release() checks */
    for (int i = 0; i < WRITES; i++) {
        bytes[i % 4]++;
    }
}

static void share_lines(size_t index) {
    size_t pairs = share(1200000, index);
    pthread_barrier_wait(&barrier);
    if (blocks[index] != NULL) {
        write_often(blocks[index]);
        release(blocks[index]);
    }
    for (size_t left = pairs; left > 0; left--) {
        void *block = allocate(16);
        write_often(block);
        release(block);
    }
    count_operations(2 * pairs);
}

static void active(void) {
    pthread_barrier_init(&barrier, NULL, (unsigned)run.threads);
    in_threads(share_lines);
}

static void passive(void) {
    for (size_t i = 0; i < run.threads; i++) {
        blocks[i] = allocate(16);
    }
    active();
}

static const struct variant variants[] = {{"active", .whole = active}, {"passive", .whole = passive}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
