/*
 * process_test.c - the participants of os/process.h: started before main, and called in the documented order around
 * fork.
 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/os.h"
#include "os/process.h"
#include "support/child.h"
#include "support/thread.h"

/* The calls so far, a word each. */
static char calls[512];
static char calls_at_start[512];
static char *const *environment_at_start;

static void record(const char *call, const char *whom) {
    strcat(strcat(strcat(calls, call), whom), " ");
}

static void record_act(void (*act)(struct lock *lock), const char *whom) {
    record(act == lock_take_shared   ? "take-"
           : act == lock_give_shared ? "give-"
           : act == lock_reset       ? "reset-"
                                     : "unknown-",
           whom);
}

static struct lock first_locks[2] = {LOCK_INIT(1), LOCK_INIT(1)};
static struct lock second_lock = LOCK_INIT(2);

static void first_begin(char *const *environment) {
    record("begin-", "first");
    environment_at_start = environment;
}

static void first_before(void) {
    record("before-", "first");
}

static void first_each_lock(void (*act)(struct lock *lock)) {
    record_act(act, "first");
    act(&first_locks[0]);
    act(&first_locks[1]);
}

static void first_recover(bool alone) {
    record(alone ? "recover-alone-" : "recover-", "first");
}

static void second_begin(char *const *environment) {
    (void)environment;
    record("begin-", "second");
}

static void second_before(void) {
    record("before-", "second");
}

static void second_each_lock(void (*act)(struct lock *lock)) {
    record_act(act, "second");
    act(&second_lock);
}

/* All locks are free, including those of other participants. */
static void second_recover(bool alone) {
    record(alone ? "recover-alone-" : "recover-", "second");
    lock_take(&first_locks[0]);
    lock_take(&second_lock);
    lock_give(&second_lock);
    lock_give(&first_locks[0]);
}

static void bare_each_lock(void (*act)(struct lock *lock)) {
    record_act(act, "bare");
}

static struct process_participant first = {
    .rank = 1,
    .begin = first_begin,
    .before_fork = first_before,
    .each_lock = first_each_lock,
    .recover = first_recover,
};
static struct process_participant second = {
    .rank = 2,
    .begin = second_begin,
    .before_fork = second_before,
    .each_lock = second_each_lock,
    .recover = second_recover,
};
static struct process_participant bare = {.rank = 3, .each_lock = bare_each_lock};

/* Not in the order of ranks, and each more than once. */
__attribute__((constructor(PROCESS_JOIN))) static void join(void) {
    process_join(&second);
    process_join(&bare);
    process_join(&second);
    process_join(&first);
    process_join(&bare);
    process_join(&first);
}

__attribute__((constructor(PROCESS_JOIN + 2))) static void keep_calls(void) {
    strcpy(calls_at_start, calls);
}

static void reset_calls(void) {
    calls[0] = '\0';
}

static void tell_calls(void *unused) {
    (void)unused;
    fputs(calls, stderr);
}

static void assert_child_tells(const char *expected) {
    struct child_result result;
    child_run(&result, tell_calls, NULL);
    assert_string_equal(result.err, expected);
    assert_int_equal(result.signal, 0);
    assert_int_equal(result.status, 0);
}

static void participants_begin_once_before_main_in_order_of_rank(void) {
    assert_string_equal(calls_at_start, "begin-first begin-second ");
}

static void participants_begin_with_the_environment(void) {
#ifdef __GLIBC__
    assert_ptr_equal(environment_at_start, environ);
#else
    skip();
#endif
}

static void a_process_with_one_thread_takes_no_lock(void) {
    if (!os_single_threaded()) {
        skip();
    }
    assert_child_tells("recover-alone-first recover-alone-second ");
    assert_string_equal(calls, "");
}

static void *wait_on(void *barrier) {
    pthread_barrier_wait(barrier);
    return NULL;
}

/* Calls the function while another thread exists. */
static void beside_a_thread(void (*function)(void)) {
    pthread_t thread;
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, wait_on, &barrier), 0);
    function();
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&barrier);
}

#define PREPARE "before-first before-second take-first take-second take-bare "

static void fork_in_order(void) {
    assert_child_tells(PREPARE "reset-bare reset-second reset-first recover-first recover-second ");
    assert_string_equal(calls, PREPARE "give-bare give-second give-first ");
}

static void handlers_run_in_order_of_rank(void) {
    beside_a_thread(fork_in_order);
}

static void join_again(void) {
    process_join(&second);
    process_join(&first);
    process_join(&bare);
    fork_in_order();
}

static void joining_again_has_no_effect(void) {
    beside_a_thread(join_again);
}

static void locks_are_free_in_parent_and_child(void) {
    struct child_result result;
    child_run(&result, tell_calls, NULL);
    struct lock *const locks[] = {&first_locks[0], &first_locks[1], &second_lock};
    for (size_t i = 0; i < sizeof locks / sizeof *locks; i++) {
        assert_int_equal(atomic_load(&locks[i]->state), 0);
    }
}

static void a_fork_leaves_the_locks_free(void) {
    beside_a_thread(locks_are_free_in_parent_and_child);
}

static struct lock *const held = &second_lock;
static pthread_barrier_t is_held;
static atomic_bool given_back;

static void *hold_for_a_while(void *unused) {
    (void)unused;
    lock_take(held);
    pthread_barrier_wait(&is_held);
    usleep(50000);
    atomic_store(&given_back, true);
    lock_give(held);
    return NULL;
}

static void tell_whether_given_back(void *unused) {
    (void)unused;
    fputs(atomic_load(&given_back) ? "given back" : "held", stderr);
}

static void a_fork_waits_for_the_holder_of_a_lock(void) {
    pthread_t thread;
    struct child_result result;
    pthread_barrier_init(&is_held, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, hold_for_a_while, NULL), 0);
    pthread_barrier_wait(&is_held);
    child_run(&result, tell_whether_given_back, NULL);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&is_held);
    assert_non_null(strstr(result.err, "given back")); /* ThreadSanitizer may add a line */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(participants_begin_once_before_main_in_order_of_rank),
        PLAIN(participants_begin_with_the_environment),
        /* before the process has another thread */
        PLAIN_WITH(a_process_with_one_thread_takes_no_lock, reset_calls, NULL),
        PLAIN_WITH(handlers_run_in_order_of_rank, reset_calls, NULL),
        PLAIN_WITH(joining_again_has_no_effect, reset_calls, NULL),
        PLAIN_WITH(a_fork_leaves_the_locks_free, reset_calls, NULL),
        PLAIN_WITH(a_fork_waits_for_the_holder_of_a_lock, reset_calls, NULL),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
