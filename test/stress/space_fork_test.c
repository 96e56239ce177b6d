/*
 * space_fork_test.c - fork while other threads use MeMS spaces: parent and child both continue, with every block they
 * can see.
 */
#include "support/test.h"

#include <unistd.h>

#include "mems_heap/space_crowd.h"
#include "support/child.h"

#define WATCHDOG 900

/* A child's life: it continues with all blocks that it can see and with its own threads, and ends every space. */
static void live_as_child(uintptr_t seed, unsigned generations) {
    alarm(WATCHDOG);
    check_spaces();
    CHECK(movable->copying == 0);
    use_movable(&(struct random){.state = seed});
    crowd_clear(2);
    crowd_churn_a_little((void *)seed);
    if (!UNDER_TSAN) { /* TSan knows no threads in a child */
        thread_run(crowd_churn_a_little, (void *)(seed + 1));
    }
    create_and_destroy((void *)2);
    if (generations > 1) {
        pid_t child = fork();
        if (child == 0) {
            live_as_child(seed + 2, generations - 1);
            _exit(0);
        }
        child_wait(child);
    }
    crowd_clear(1);
    for (size_t i = 0; i <= SPACES; i++) {
        space_trim("trim", spaces[i]);
        inspect(spaces[i]);
    }
    check_spaces();
    for (size_t i = 0; i < SPACES; i++) {
        space_destroy("destroy", spaces[i]);
    }
    space_destroy("destroy", movable);
    space_finish("mems_finish");
    CHECK(space_start("mems_init") == 0);
    CHECK(space_alloc("malloc", &space_default, 1) == (void *)1000);
}

/* With one thread the child loses nothing. */
static void a_child_of_a_quiet_process_loses_nothing(void) {
    crowd_churn_a_little((void *)1);
    pid_t child = fork();
    if (child == 0) {
        live_as_child(2, 3);
        _exit(0);
    }
    child_wait(child);
    check_spaces();
}

static void *fork_repeatedly(void *count) {
    for (uintptr_t i = 0; i < (uintptr_t)count; i++) {
        pid_t child = fork();
        if (child == 0) {
            live_as_child(10 * i, i % 8 == 0 ? 3 : 1);
            _exit(0);
        }
        crowd_churn_a_little((void *)i);
        child_wait(child);
    }
    return NULL;
}

static void a_child_of_a_busy_process_works(void) {
    unsigned length = scaled(100);
    crowd_run((struct crowd_task[]){{fork_repeatedly, length}, {look_on, length}, {create_and_destroy, length}}, 3);
    check_spaces();
}

static void two_threads_can_fork_at_once(void) {
    unsigned length = scaled(60);
    crowd_run((struct crowd_task[]){{fork_repeatedly, length}, {fork_repeatedly, length}}, 2);
    check_spaces();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        /* first, while the process has never had another thread */
        PLAIN_WITH(a_child_of_a_quiet_process_loses_nothing, spaces_begin, spaces_end),
        PLAIN_WITH(a_child_of_a_busy_process_works, spaces_begin, spaces_end),
        PLAIN_WITH(two_threads_can_fork_at_once, spaces_begin, spaces_end),
    };
    alarm(900);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
