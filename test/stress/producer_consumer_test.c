/*
 * Threads that only allocate and threads that only free: what flows from one to the other must come back.
 */
#include "support/test.h"

#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "support/engine_heap.h"
#include "support/kernel.h"
#include "support/random.h"
#include "support/thread.h"

#define QUEUE 4096
#define PRODUCERS_MAX 3
#define BLOCK_MAX 512

/*
 * A ring of blocks with one writer and one reader. made - freed <= QUEUE; each counter is stored by its own thread
 * (release), and loaded by the other (acquire).
 */
struct queue {
    _Alignas(64) _Atomic uint64_t made;
    _Alignas(64) _Atomic uint64_t freed;
    unsigned char *blocks[QUEUE];
    uint64_t total;
    struct random random;
};

struct flow {
    struct queue queues[PRODUCERS_MAX];
    unsigned producers;
    struct mems_engine_stats early; /* after a tenth of the blocks */
    size_t early_resident;
};

static void *produce(void *argument) {
    struct queue *queue = argument;
    for (uint64_t i = 0; i < queue->total; i++) {
        while (i - atomic_load_explicit(&queue->freed, memory_order_acquire) >= QUEUE) {
            sched_yield();
        }
        size_t size = 1 + random_below(&queue->random, BLOCK_MAX);
        unsigned char *memory = engine_alloc(size);
        CHECK(memory != NULL);
        memory[0] = (unsigned char)i;
        memory[size - 1] = (unsigned char)i;
        queue->blocks[i % QUEUE] = memory;
        atomic_store_explicit(&queue->made, i + 1, memory_order_release);
    }
    return NULL;
}

/* Frees everything in one queue, and returns whether more will come. */
static bool drain(struct queue *queue) {
    uint64_t freed = atomic_load_explicit(&queue->freed, memory_order_relaxed);
    uint64_t made = atomic_load_explicit(&queue->made, memory_order_acquire);
    for (; freed < made; freed++) {
        unsigned char *memory = queue->blocks[freed % QUEUE];
        CHECK(memory[0] == (unsigned char)freed);
        engine_free(memory);
        atomic_store_explicit(&queue->freed, freed + 1, memory_order_release);
    }
    return freed < queue->total;
}

static void *consume(void *argument) {
    struct flow *flow = argument;
    for (bool more = true; more;) {
        more = false;
        for (unsigned i = 0; i < flow->producers; i++) {
            more |= drain(&flow->queues[i]);
        }
        uint64_t freed = atomic_load_explicit(&flow->queues[0].freed, memory_order_relaxed);
        if (flow->early_resident == 0 && freed >= flow->queues[0].total / 10) {
            stats_collect(&flow->early);
            flow->early_resident = resident_bytes();
        }
        sched_yield();
    }
    return NULL;
}

/* Blocks in transit need at most QUEUE * BLOCK_MAX bytes a producer; anything beyond that which grows has leaked. */
static void run(unsigned producers, unsigned total) {
    static struct flow flow;
    pthread_t threads[PRODUCERS_MAX];
    pthread_t consumer;
    struct mems_engine_stats late;
    flow = (struct flow){.producers = producers};
    for (unsigned i = 0; i < producers; i++) {
        flow.queues[i].total = scaled(total / producers);
        flow.queues[i].random.state = i;
        CHECK(pthread_create(&threads[i], NULL, produce, &flow.queues[i]) == 0);
    }
    CHECK(pthread_create(&consumer, NULL, consume, &flow) == 0);
    for (unsigned i = 0; i < producers; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK(pthread_join(consumer, NULL) == 0);
    stats_collect(&late);
    CHECK_AT_MOST(late.metadata, flow.early.metadata + 512 * KIB);
    CHECK_AT_MOST(late.accessible, flow.early.accessible + producers * 2 * QUEUE * BLOCK_MAX);
    if (!UNDER_TSAN) {
        CHECK_AT_MOST(resident_bytes(), flow.early_resident + producers * 2 * QUEUE * BLOCK_MAX);
    }
    CHECK_VALID();
    check_nothing_left();
}

static void what_one_producer_makes_comes_back_from_a_thread_that_only_frees(void) {
    run(1, 6000000);
}

static void what_three_producers_make_comes_back_from_a_thread_that_only_frees(void) {
    run(PRODUCERS_MAX, 6000000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(what_one_producer_makes_comes_back_from_a_thread_that_only_frees),
        PLAIN(what_three_producers_make_comes_back_from_a_thread_that_only_frees),
    };
    alarm(1800);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
