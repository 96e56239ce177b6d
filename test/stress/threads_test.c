/*
 * Many threads that start and end, with blocks of every size that are resized, and freed by other threads.
 */
#include "support/test.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/range_tree.h"
#include "support/engine_heap.h"
#include "support/marked.h"
#include "support/random.h"
#include "support/thread.h"

#define LIVE_THREADS 6
#define HELD 128
#define MAILBOXES 64

struct record {
    struct marked block;
    size_t alignment;       /* as requested; 0: none */
    struct range_node node; /* in the shadow */
};

/* How a wave of threads behaves. */
struct load {
    unsigned threads;    /* in total, LIVE_THREADS at a time */
    unsigned operations; /* of each, at most */
    unsigned size_bits;  /* of most blocks */
    unsigned large_of;   /* one block in this many is up to 1 MiB, one in 100 times as many up to 40 MiB; 0: none */
    bool shadow;         /* check that no two blocks overlap, at the price of a lock */
    bool observed;       /* another thread keeps asking for statistics */
};

struct worker {
    pthread_t thread;
    const struct load *load;
    struct random random;
    struct record *held[HELD];
};

/* Blocks in transit between threads: whoever puts one in takes out and frees what was there. */
static _Atomic(struct record *) mailboxes[MAILBOXES];

/* The address ranges of all live blocks. */
static struct range_tree shadow;
static pthread_mutex_t shadow_lock = PTHREAD_MUTEX_INITIALIZER;

static void shadow_add(const struct load *load, struct record *record) {
    if (!load->shadow) {
        return;
    }
    uintptr_t start = (uintptr_t)record->block.memory;
    size_t size = record->block.size > 0 ? record->block.size : 1;
    pthread_mutex_lock(&shadow_lock);
    CHECK(range_tree_insert(&shadow, &record->node, start, start + size - 1));
    pthread_mutex_unlock(&shadow_lock);
}

static void shadow_remove(const struct load *load, struct record *record) {
    if (!load->shadow) {
        return;
    }
    pthread_mutex_lock(&shadow_lock);
    range_tree_remove(&shadow, &record->node);
    pthread_mutex_unlock(&shadow_lock);
}

static size_t choose_size(struct worker *worker) {
    const struct load *load = worker->load;
    if (load->large_of != 0 && random_below(&worker->random, load->large_of * 100) == 0) {
        return random_below(&worker->random, 40 * MIB);
    }
    if (load->large_of != 0 && random_below(&worker->random, load->large_of) == 0) {
        return random_below(&worker->random, MIB);
    }
    return random_size(&worker->random, load->size_bits);
}

static struct record *make(struct worker *worker) {
    struct record *record = malloc(sizeof *record);
    CHECK(record != NULL);
    struct marked *block = &record->block;
    record->alignment = 0;
    *block = (struct marked){.size = choose_size(worker)};
    block->mark = random_next(&worker->random);
    switch (block->mark % 8) {
    case 0:
        block->memory = engine_alloc_zeroed(block->size, 1);
        CHECK(block->memory != NULL);
        CHECK(marked_zero(block));
        break;
    case 1:
        record->alignment = (size_t)1 << random_below(&worker->random, 18);
        block->memory = engine_alloc_aligned(record->alignment, block->size);
        CHECK((uintptr_t)block->memory % record->alignment == 0);
        break;
    default:
        block->memory = engine_alloc(block->size);
    }
    CHECK(block->memory != NULL);
    CHECK((uintptr_t)block->memory % 16 == 0);
    shadow_add(worker->load, record);
    marked_fill(block);
    return record;
}

static void resize(struct worker *worker, struct record *record) {
    struct marked *block = &record->block;
    size_t size = choose_size(worker);
    shadow_remove(worker->load, record);
    unsigned char *memory = engine_realloc("realloc", block->memory, size);
    CHECK(memory != NULL && (uintptr_t)memory % 16 == 0);
    block->memory = memory;
    CHECK(marked_intact(block, size));
    CHECK(engine_usable_size("malloc_usable_size", memory) >= size);
    block->size = size;
    record->alignment = 0;
    shadow_add(worker->load, record);
    marked_fill(block);
}

static void destroy(const struct load *load, struct record *record) {
    CHECK(marked_intact(&record->block, SIZE_MAX));
    shadow_remove(load, record);
    errno = ERANGE;
    if (record->block.mark % 16 < 4) {
        engine_free_sized("free_sized", record->block.memory, record->block.size, record->alignment);
    } else {
        engine_free(record->block.memory);
    }
    CHECK(errno == ERANGE);
    free(record);
}

static void post(struct worker *worker, struct record *record) {
    size_t box = random_below(&worker->random, MAILBOXES);
    record = atomic_exchange_explicit(&mailboxes[box], record, memory_order_acq_rel);
    if (record != NULL) {
        destroy(worker->load, record);
    }
}

static void *work(void *argument) {
    struct worker *worker = argument;
    size_t operations = 1 + random_below(&worker->random, worker->load->operations);
    for (size_t i = 0; i < operations; i++) {
        struct record **slot = &worker->held[random_below(&worker->random, HELD)];
        if (*slot == NULL) {
            *slot = make(worker);
            continue;
        }
        switch (random_below(&worker->random, 4)) {
        case 0:
            resize(worker, *slot);
            continue;
        case 1:
            post(worker, *slot);
            break;
        default:
            destroy(worker->load, *slot);
        }
        *slot = NULL;
    }
    /* Half of the rest is freed by later threads, after this one has ended. */
    for (size_t i = 0; i < HELD; i++) {
        if (worker->held[i] != NULL && i % 2 == 0) {
            post(worker, worker->held[i]);
        } else if (worker->held[i] != NULL) {
            destroy(worker->load, worker->held[i]);
        }
        worker->held[i] = NULL;
    }
    return NULL;
}

static void *empty_mailboxes(void *load) {
    for (size_t i = 0; i < MAILBOXES; i++) {
        struct record *record = atomic_exchange(&mailboxes[i], NULL);
        if (record != NULL) {
            destroy(load, record);
        }
    }
    return NULL;
}

static atomic_bool observing;

static void *observe(void *unused) {
    (void)unused;
    struct mems_engine_stats stats;
    while (atomic_load(&observing)) {
        stats_collect(&stats);
        CHECK(stats.accessible <= stats.window);
        CHECK(stats.threads <= LIVE_THREADS + 1);
        usleep(1000);
    }
    return NULL;
}

/* As one thread ends the next starts, while its neighbours are in the middle of their work. */
static void run(struct load load, uint64_t seed) {
    static struct worker workers[LIVE_THREADS];
    pthread_t observer;
    load.threads = scaled(load.threads);
    atomic_store(&observing, load.observed);
    CHECK(pthread_create(&observer, NULL, observe, NULL) == 0);
    for (unsigned i = 0; i < load.threads + LIVE_THREADS; i++) {
        struct worker *worker = &workers[i % LIVE_THREADS];
        if (i >= LIVE_THREADS && i - LIVE_THREADS < load.threads) {
            CHECK(pthread_join(worker->thread, NULL) == 0);
        }
        if (i >= load.threads) {
            continue;
        }
        worker->load = &load;
        worker->random.state = seed * 1000003 + i;
        CHECK(pthread_create(&worker->thread, NULL, work, worker) == 0);
    }
    atomic_store(&observing, false);
    CHECK(pthread_join(observer, NULL) == 0);
    CHECK_VALID();
    thread_run(empty_mailboxes, &load);
    CHECK(shadow.count == 0);
    check_nothing_left();
}

static void blocks_of_every_size_stay_intact(void) {
    for (uint64_t seed = 1; seed <= 4; seed++) {
        run((struct load){.threads = 100, .operations = 20000, .size_bits = 12, .large_of = 200}, seed);
    }
}

static void no_two_blocks_overlap(void) {
    run((struct load){.threads = 100, .operations = 10000, .size_bits = 14, .large_of = 100, .shadow = true}, 11);
}

/* Few classes and many frees by others: remote frees, collections and adoptions of the same slabs meet. */
static void small_blocks_change_hands(void) {
    run((struct load){.threads = 200, .operations = 20000, .size_bits = 5, .observed = true}, 21);
}

/* Mostly large blocks: all threads split and join spans at once. */
static void large_blocks_change_hands(void) {
    run((struct load){.threads = 30, .operations = 1500, .size_bits = 18, .large_of = 4, .observed = true}, 31);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(blocks_of_every_size_stay_intact),
        PLAIN(no_two_blocks_overlap),
        PLAIN(small_blocks_change_hands),
        PLAIN(large_blocks_change_hands),
    };
    alarm(1800);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
