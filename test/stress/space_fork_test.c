/*
 * space_fork_test.c - fork while other threads use MeMS spaces: parent and child both go on, with every block they can
 * see.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "space/crowd.h"

#define WATCHDOG 60

static void expect_success(pid_t child) {
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A child's life: it goes on with all blocks that it can see, and with threads of its own, and ends every space. */
static void live_as_child(uintptr_t seed, unsigned generations) {
    alarm(WATCHDOG);
    check_spaces();
    clear_table(2);
    churn_a_little((void *)seed);
    if (!UNDER_TSAN) { /* TSan knows no threads in a child */
        run_in_thread(churn_a_little, (void *)(seed + 1));
    }
    create_and_destroy((void *)2);
    if (generations > 1) {
        pid_t child = fork();
        if (child == 0) {
            live_as_child(seed + 2, generations - 1);
            _exit(0);
        }
        expect_success(child);
    }
    clear_table(1);
    for (size_t i = 0; i <= SPACES; i++) {
        space_trim("trim", spaces[i]);
        inspect(spaces[i]);
    }
    check_spaces();
    for (size_t i = 0; i < SPACES; i++) {
        space_destroy("destroy", spaces[i]);
    }
    space_finish("mems_finish");
    CHECK(space_start("mems_init") == 0);
    CHECK(space_alloc("malloc", &space_default, 1) == (void *)1000);
}

/* With one thread there is nothing that the child does not have. */
static void test_child_of_a_quiet_process_loses_nothing(void **state) {
    (void)state;
    churn_a_little((void *)1);
    pid_t child = fork();
    if (child == 0) {
        live_as_child(2, 3);
        _exit(0);
    }
    expect_success(child);
    check_spaces();
}

static void *fork_repeatedly(void *count) {
    for (uintptr_t i = 0; i < (uintptr_t)count; i++) {
        pid_t child = fork();
        if (child == 0) {
            live_as_child(10 * i, i % 8 == 0 ? 3 : 1);
            _exit(0);
        }
        churn_a_little((void *)i);
        expect_success(child);
    }
    return NULL;
}

static void test_child_of_a_busy_process_works(void **state) {
    (void)state;
    void *(*const others[])(void *) = {fork_repeatedly, look_on, create_and_destroy};
    crowd_run(others, 3, scaled(100));
}

static void test_two_threads_fork_at_once(void **state) {
    (void)state;
    void *(*const others[])(void *) = {fork_repeatedly, fork_repeatedly};
    crowd_run(others, 2, scaled(60));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        /* the first, while the process has never had another thread */
        cmocka_unit_test_setup_teardown(test_child_of_a_quiet_process_loses_nothing, crowd_begin, crowd_end),
        cmocka_unit_test_setup_teardown(test_child_of_a_busy_process_works, crowd_begin, crowd_end),
        cmocka_unit_test_setup_teardown(test_two_threads_fork_at_once, crowd_begin, crowd_end),
    };
    alarm(200);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
