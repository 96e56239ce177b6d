/*
 * threads_test.c - many threads in one heap, and forks in the middle of that.
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

/* Blocks on their way from one thread to another. Exchanged; seq_cst: speed does not matter here. */
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

/* Without another thread no lock is needed; what a fork does must fit that. */
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

static int fork_and_allocate(const struct HmmBlock *block, void *unused) {
    (void)block, (void)unused;
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        (void)HmmAlloc(100);
        _exit(1);
    }
    child_wait(child);
    return 1;
}

/* The thread is inside the visit on both sides, and a call of the heap there is a fault, not a wait for itself. */
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
        FRESH(a_fork_inside_a_visit_leaves_both_sides_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
