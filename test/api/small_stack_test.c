/*
 * Threads with the smallest stack that the C library allows may use every function of the family, also when they have
 * used most of it. How deep a call goes is read from a painted stack.
 */
#include "support/family.h"

#include <pthread.h>
#include <unistd.h>

#include "support/child.h"
#include "support/thread.h"

#define STACK ((size_t)128 << 10)
#define PAINT 0xa5
/* Stack that the painting function itself may use below its frame. */
#define MARGIN 256
#define BLOCKS 20000

static FILE *nowhere;
static void *blocks[BLOCKS];

static void print(void) {
    fprintf(nowhere, "<size from=\"%zu\" to=\"%zu\" total=\"%zu\"/>\n", (size_t)1, (size_t)2, (size_t)3);
    fflush(nowhere);
}

static void ask(void) {
    CHECK(mallinfo2().arena != 0);
}

static void write_xml(void) {
    CHECK_EQUAL(malloc_info(0, nowhere), 0);
    fflush(nowhere);
}

static void trim(void) {
    malloc_trim(0);
}

/* Refills and flushes magazines, makes slabs and gives them up. */
static void allocate_much(void) {
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(16 + i % 3000);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
    }
}

static void resize(void) {
    char *block = malloc(300000);
    for (size_t size = 1000; size < 200 * MIB; size *= 7) {
        block = realloc(block, size);
        CHECK(block != NULL);
    }
    free(block);
    free(calloc(5, 100000));
    free(memalign(4096, 70000));
}

static void be_refused(void) {
    CHECK(malloc(opaque((size_t)1 << 60)) == NULL);
}

struct call {
    void (*function)(void);
    unsigned char *stack;
    size_t used;
};

static void *measure(void *argument) {
    struct call *call = argument;
    volatile unsigned char here = 0;
    volatile unsigned char *lowest = call->stack + MARGIN;
    volatile unsigned char *top = &here - MARGIN;
    call->function(); /* its first call may resolve names */
    for (volatile unsigned char *at = lowest; at < top; at++) {
        *at = PAINT;
    }
    call->function();
    while (lowest < top && *lowest == PAINT) {
        lowest++;
    }
    call->used = (size_t)(&here - lowest);
    return NULL;
}

/* The bytes of stack that a function needs. */
static size_t depth(void (*function)(void)) {
    struct call call = {.function = function};
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK_EQUAL(posix_memalign((void **)&call.stack, 4096, STACK), 0);
    CHECK_EQUAL(pthread_attr_init(&attributes), 0);
    CHECK_EQUAL(pthread_attr_setstack(&attributes, call.stack, STACK), 0);
    CHECK_EQUAL(pthread_create(&thread, &attributes, measure, &call), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
    free(call.stack);
    return call.used;
}

static size_t depth_of_report(void) {
    const int kept = dup(STDERR_FILENO);
    CHECK(dup2(fileno(nowhere), STDERR_FILENO) >= 0);
    const size_t used = depth(malloc_stats);
    CHECK(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    return used;
}

static void measure_all(void *argument) {
    (void)argument;
    nowhere = fopen("/dev/null", "w");
    CHECK(nowhere != NULL);
    const size_t printing = depth(print);
    CHECK_AT_MOST(depth(ask), 2 * KIB);
    CHECK_AT_MOST(depth_of_report(), 3 * KIB);
    CHECK_AT_MOST(depth(write_xml), printing + KIB);
    CHECK_AT_MOST(depth(trim), 4 * KIB);
    CHECK_AT_MOST(depth(allocate_much), 2 * KIB);
    CHECK_AT_MOST(depth(resize), 2 * KIB);
    CHECK_AT_MOST(depth(be_refused), 2 * KIB);
}

static void calls_need_little_of_the_stack(void) {
    expect_success(measure_all, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(calls_need_little_of_the_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
