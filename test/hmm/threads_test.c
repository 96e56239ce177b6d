/*
 * threads_test.c - many threads in one heap, and forks in the middle.
 */
#include "support/fresh.h"

#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/hmm_heap.h"
#include "support/model.h"
#include "support/thread.h"

#define THREADS 4
#define STEPS 20000

/* Blocks on their way between threads. Exchanged with seq_cst, because speed does not matter here. */
static _Atomic(void *) shelf[64];

static void *work(void *argument) {
    struct model *model = argument;
    struct random random = {.state = (uintptr_t)model};
    for (unsigned left = scaled(STEPS); left > 0; left--) {
        size_t size = random_below(&random, 100) == 0 ? random_magnitude(&random, 18) : random_magnitude(&random, 10);
        enum model_operation operation = (enum model_operation)random_below(&random, MODEL_TRIM);
        model_step(model, operation, random_below(&random, MODEL_BLOCKS), size, (size_t)1 << random_below(&random, 9));
        void *block = HmmAlloc(random_below(&random, 500));
        HmmFree(atomic_exchange(&shelf[random_below(&random, 64)], block));
    }
    model_free_all(model);
    return NULL;
}

static void start(pthread_t threads[THREADS]) {
    static struct model models[THREADS];
    for (int i = 0; i < THREADS; i++) {
        models[i] = (struct model){.allocator = &allocator, .refusals = true};
        CHECK(pthread_create(&threads[i], NULL, work, &models[i]) == 0);
    }
}

static void finish(pthread_t threads[THREADS]) {
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    for (int i = 0; i < 64; i++) {
        HmmFree(shelf[i]);
    }
    hmm_trim(&hmm_heap, 0);
    CHECK_VALID();
    CHECK(stats_now().used_blocks == 0);
}

static void threads_share_the_heap(void) {
    pthread_t threads[THREADS];
    start(threads);
    finish(threads);
}

static int count(const struct HmmBlock *block, void *context) {
    *(size_t *)context += block->size;
    return 0;
}

static void the_heap_can_be_inspected_while_threads_use_it(void) {
    pthread_t threads[THREADS];
    start(threads);
    for (int i = 0; i < 100; i++) {
        size_t bytes = 0;
        CHECK(HmmWalk(count, &bytes) == 0);
        CHECK_VALID();
        stats_now();
    }
    finish(threads);
}

static void use_in_child(void) {
    static struct model model = {.allocator = &allocator, .refusals = true};
    struct random random = {.state = 1};
    for (int i = 0; i < 500; i++) {
        model_step(&model, (enum model_operation)random_below(&random, MODEL_OPERATIONS),
                   random_below(&random, MODEL_BLOCKS), random_magnitude(&random, 12), 64);
    }
    CHECK_VALID();
    model_free_all(&model);
    syscall(SYS_exit_group, 0); /* not _exit: a sanitizer would miss the parent's other threads */
}

static void a_child_forked_while_threads_use_the_heap_can_use_it(void) {
    pthread_t threads[THREADS];
    start(threads);
    for (int i = 0; i < 50; i++) {
        pid_t child = fork();
        if (child == 0) {
            use_in_child();
        }
        child_wait(child);
    }
    finish(threads);
}

/* With a single thread no lock is taken; fork must cope with that. */
static void a_child_of_a_single_thread_can_use_the_heap(void) {
    void *block = HmmAlloc(100);
    pid_t child = fork();
    if (child == 0) {
        HmmFree(block);
        threads_share_the_heap();
        _exit(0);
    }
    child_wait(child);
    HmmFree(block);
    threads_share_the_heap();
}

static void expect_visit(const char *line) {
    _exit(strstr(line, "called by a visit of HmmWalk") != NULL ? 0 : 1);
}

/* --- Heaps of the program's own ----------------------------------------------------------------------------------- */

#define POOL ((size_t)16 << 10)

static _Alignas(16) unsigned char pools[THREADS][POOL];
static pthread_barrier_t barrier;

/* Another one in each thread, and only once all of them ask. */
static uint64_t own_number(void *pool) {
    pthread_barrier_wait(&barrier);
    return (uintptr_t)pool;
}

static void *create(void *pool) {
    const struct HmmHooks hooks = {.entropy = own_number, .context = pool};
    struct HmmHeap *heap = HmmHeapCreate(pool, POOL, &hooks);
    pthread_barrier_wait(&barrier);
    void *blocks[20];
    for (size_t i = 0; i < 20; i++) {
        blocks[i] = HmmHeapAlloc(heap, 100);
    }
    for (size_t i = 0; i < 20; i++) {
        HmmHeapFree(heap, blocks[i]);
    }
    return NULL;
}

static void threads_create_the_first_heaps_at_once(void) {
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, create, pools[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

static uint64_t some_number(void *unused) {
    (void)unused;
    return 4711;
}

/* Both other heaps have the lock of the one that is walked over. */
static int create_and_allocate(const struct HmmBlock *block, void *other) {
    (void)block;
    CHECK(HmmHeapCreate(pools[0], POOL, &(struct HmmHooks){.entropy = some_number}) != NULL);
    alarm(900);
    (void)HmmHeapAlloc(other, 100);
    return 1;
}

static void *wait_for_ever(void *unused) {
    pause();
    return unused;
}

static void a_heap_created_in_a_visit_does_not_end_it(void) {
    pthread_t thread;
    struct HmmHeap *heap = HmmHeapCreate(pools[1], POOL, NULL);
    CHECK(HmmAlloc(100) != NULL && pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
    (void)HmmWalk(create_and_allocate, heap);
}

static int fork_and_allocate(const struct HmmBlock *block, void *unused) {
    (void)block, (void)unused;
    pid_t child = fork();
    if (child == 0) {
        alarm(900);
        (void)HmmAlloc(100);
        _exit(1);
    }
    child_wait(child);
    return 1;
}

/* The thread is inside the visit on both sides; a call of the heap there is a fault, and does not deadlock. */
static void a_fork_inside_a_visit_leaves_both_sides_in_it(void) {
    void *block = HmmAlloc(100);
    HmmSetFaultHandler(expect_visit);
    CHECK(HmmWalk(fork_and_allocate, NULL) == 1);
    HmmFree(block);
    CHECK_VALID();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(threads_share_the_heap),
        FRESH(the_heap_can_be_inspected_while_threads_use_it),
        FRESH(a_child_forked_while_threads_use_the_heap_can_use_it),
        FRESH(a_child_of_a_single_thread_can_use_the_heap),
        FRESH(threads_create_the_first_heaps_at_once),
        FRESH_FAULT(a_heap_created_in_a_visit_does_not_end_it, "", "alloc(0x0): called by a visit of HmmWalk"),
        FRESH(a_fork_inside_a_visit_leaves_both_sides_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
