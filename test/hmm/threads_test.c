/*
 * threads_test.c - many threads in one heap, and forks in the middle of that.
 */
#include "trial.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "model.h"
#include "unit/random.h"

#define THREADS 4
#define STEPS 20000

static size_t steps(void) {
    const char *scale = getenv("STRESS_SCALE");
    size_t count = STEPS * (scale != NULL ? strtoul(scale, NULL, 10) : 100) / 100;
    return count > 0 ? count : 1;
}

/* Blocks on their way from one thread to another. Exchanged; seq_cst: speed does not matter here. */
static _Atomic(void *) shelf[64];

static void *work(void *argument) {
    struct model *model = argument;
    struct random random = {.state = (uintptr_t)model};
    for (size_t left = steps(); left > 0; left--) {
        size_t size = random_below(&random, 100) == 0 ? random_magnitude(&random, 18) : random_magnitude(&random, 10);
        enum model_operation operation = (enum model_operation)random_below(&random, MODEL_TRIM);
        REQUIRE(model_step(model, operation, random_below(&random, MODEL_BLOCKS), size,
                           (size_t)1 << random_below(&random, 9)));
        void *block = hmm_alloc(random_below(&random, 500));
        hmm_free("work", atomic_exchange(&shelf[random_below(&random, 64)], block));
    }
    REQUIRE(model_free_all(model));
    return NULL;
}

static void start(pthread_t threads[THREADS]) {
    static struct model models[THREADS];
    for (int i = 0; i < THREADS; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, work, &models[i]) == 0);
    }
}

static void finish(pthread_t threads[THREADS]) {
    for (int i = 0; i < THREADS; i++) {
        REQUIRE(pthread_join(threads[i], NULL) == 0);
    }
    for (int i = 0; i < 64; i++) {
        hmm_free("finish", shelf[i]);
    }
    hmm_trim(0);
    REQUIRE_VALID();
    REQUIRE(stats_now().used_blocks == 0);
}

static void share(void *unused) {
    (void)unused;
    pthread_t threads[THREADS];
    start(threads);
    finish(threads);
}

static void test_threads_share_the_heap(void **state) {
    (void)state;
    expect_success(share, NULL);
}

static int count(const struct HmmBlock *block, void *context) {
    *(size_t *)context += block->size;
    return 0;
}

static void inspect(void *unused) {
    (void)unused;
    pthread_t threads[THREADS];
    start(threads);
    for (int i = 0; i < 100; i++) {
        size_t bytes = 0;
        REQUIRE(HmmWalk(count, &bytes) == 0);
        REQUIRE_VALID();
        stats_now();
    }
    finish(threads);
}

static void test_inspection_meanwhile(void **state) {
    (void)state;
    expect_success(inspect, NULL);
}

static void use_in_child(void) {
    static struct model model;
    struct random random = {.state = 1};
    for (int i = 0; i < 500; i++) {
        REQUIRE(model_step(&model, (enum model_operation)random_below(&random, MODEL_OPERATIONS),
                           random_below(&random, MODEL_BLOCKS), random_magnitude(&random, 12), 64));
    }
    REQUIRE_VALID();
    REQUIRE(model_free_all(&model));
    syscall(SYS_exit_group, 0); /* not _exit: a sanitizer would miss the parent's other threads */
}

static void fork_meanwhile(void *unused) {
    (void)unused;
    pthread_t threads[THREADS];
    start(threads);
    for (int i = 0; i < 50; i++) {
        pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            use_in_child();
        }
        int status;
        REQUIRE(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    finish(threads);
}

static void test_fork_meanwhile(void **state) {
    (void)state;
    expect_success(fork_meanwhile, NULL);
}

/* Without another thread no lock is needed; what a fork does must fit that. */
static void fork_alone(void *unused) {
    (void)unused;
    void *block = hmm_alloc(100);
    pid_t child = fork();
    if (child == 0) {
        hmm_free("child", block);
        share(NULL);
        _exit(0);
    }
    int status;
    REQUIRE(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    hmm_free("parent", block);
    share(NULL);
}

static void test_fork_alone(void **state) {
    (void)state;
    expect_success(fork_alone, NULL);
}

static void expect_visit(const char *line) {
    _exit(strstr(line, "called by a visit of HmmWalk") != NULL ? 0 : 1);
}

static int fork_and_allocate(const struct HmmBlock *block, void *unused) {
    (void)block, (void)unused;
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        (void)hmm_alloc(100);
        _exit(1);
    }
    int status;
    REQUIRE(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return 1;
}

/* The thread is inside the visit on both sides, and a call of the heap there is a fault, not a wait for itself. */
static void fork_inside_a_visit(void *unused) {
    (void)unused;
    void *block = hmm_alloc(100);
    HmmSetFaultHandler(expect_visit);
    REQUIRE(HmmWalk(fork_and_allocate, NULL) == 1);
    hmm_free("test", block);
    REQUIRE_VALID();
}

static void test_fork_inside_a_visit(void **state) {
    (void)state;
    expect_success(fork_inside_a_visit, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_share_the_heap), cmocka_unit_test(test_inspection_meanwhile),
        cmocka_unit_test(test_fork_meanwhile),         cmocka_unit_test(test_fork_alone),
        cmocka_unit_test(test_fork_inside_a_visit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
