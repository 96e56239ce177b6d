/*
 * lock_test.c - mutual exclusion, sleep and wake-up, the order of ranks, and locks in a forked child.
 */
#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/lock.h"
#include "ranks.h"
#include "support/child.h"

#define THREADS 4
#define ROUNDS 50000
#define CONTENDED 2 /* lock.h's state for a lock with waiters */

static struct lock low = LOCK_INIT(LOCK_HEAPS);
static struct lock low_too = LOCK_INIT(LOCK_HEAPS);
static struct lock high = LOCK_INIT(LOCK_SPANS);
static size_t counter; /* guarded by low: not atomic, so that two holders at once would lose counts */

static void *count(void *unused) {
    (void)unused;
    for (size_t i = 0; i < ROUNDS; i++) {
        lock_take(&low);
        size_t seen = counter;
        if (i % 4096 == 0) {
            sched_yield(); /* lets others find the lock held for long, and sleep */
        }
        counter = seen + 1;
        lock_give(&low);
    }
    return NULL;
}

static void one_holder_at_a_time(void) {
    pthread_t threads[THREADS];
    counter = 0;
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(counter, THREADS * ROUNDS);
    assert_int_equal(atomic_load(&low.state), 0);
}

struct sleeper {
    pthread_t thread;
    _Atomic long id; /* the kernel's; 0 before it runs */
    int seen_errno;
};

static void *take_and_tell_errno(void *argument) {
    struct sleeper *sleeper = argument;
    atomic_store(&sleeper->id, syscall(SYS_gettid));
    errno = EDOM;
    lock_take(&low);
    lock_give(&low);
    sleeper->seen_errno = errno;
    return NULL;
}

/* Waits until the kernel says that the thread sleeps: "ID (NAME) S ...". */
static void await_sleep(struct sleeper *sleeper) {
    char state = 0;
    while (state != 'S') {
        sched_yield();
        char path[64];
        snprintf(path, sizeof path, "/proc/self/task/%ld/stat", atomic_load(&sleeper->id));
        FILE *stat = fopen(path, "r");
        if (stat != NULL) {
            (void)!fscanf(stat, "%*d (%*[^)]) %c", &state);
            fclose(stat);
        }
    }
}

static void ignore(int number) {
    (void)number;
}

/* A signal ends a sleep early, with EINTR. */
static void sleepers_are_woken_and_errno_is_kept(void) {
    struct sigaction action = {.sa_handler = ignore};
    struct sleeper sleepers[2] = {0};
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    lock_take(&low);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&sleepers[i].thread, NULL, take_and_tell_errno, &sleepers[i]), 0);
        while (atomic_load(&low.state) != CONTENDED) {
            sched_yield();
        }
        await_sleep(&sleepers[i]);
        assert_int_equal(pthread_kill(sleepers[i].thread, SIGUSR1), 0);
        await_sleep(&sleepers[i]);
    }
    errno = ERANGE;
    lock_give(&low);
    assert_int_equal(errno, ERANGE);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(sleepers[i].thread, NULL), 0);
        assert_int_equal(sleepers[i].seen_errno, EDOM);
    }
}

static void init_makes_a_free_lock(void) {
    struct lock lock;
    memset(&lock, 0xff, sizeof lock);
    lock_init(&lock, LOCK_HUGE);
    assert_int_equal(atomic_load(&lock.state), 0);
    assert_int_equal(lock.rank, LOCK_HUGE);
    lock_take(&lock);
    lock_give(&lock);
}

static void take_ascending(void *unused) {
    (void)unused;
    lock_take(&low);
    lock_take(&high);
    lock_give(&low); /* in any order */
    lock_give(&high);
    lock_take(&low);
    lock_give(&low);
}

static void take_descending(void *unused) {
    (void)unused;
    lock_take(&high);
    lock_take(&low);
}

static void take_two_of_one_rank(void *unused) {
    (void)unused;
    lock_take(&low);
    lock_take(&low_too);
}

static void take_all_as_fork_does(void *unused) {
    (void)unused;
    lock_ranks_suspend();
    take_two_of_one_rank(NULL);
    lock_take(&high);
    lock_give(&high);
    lock_give(&low_too);
    lock_give(&low);
    lock_ranks_resume();
    take_ascending(NULL);
}

static void take_two_after_fork(void *unused) {
    take_all_as_fork_does(unused);
    take_two_of_one_rank(unused);
}

static void give_a_free_lock(void *unused) {
    (void)unused;
    lock_give(&low);
}

static void assert_aborts(void (*function)(void *), const char *condition) {
    struct child_result result;
    child_run(&result, function, NULL);
    assert_int_equal(result.signal, SIGABRT);
    assert_ptr_equal(strstr(result.err, "mems: internal error: "), result.err);
    assert_non_null(strstr(result.err, condition));
}

static void assert_passes(void (*function)(void *)) {
    struct child_result result;
    child_run(&result, function, NULL);
    assert_string_equal(result.err, "");
    assert_int_equal(result.signal, 0);
}

static void ranks_ascend(void) {
    assert_passes(take_ascending);
    assert_passes(take_all_as_fork_does);
    assert_aborts(take_descending, "ranks_held");
    assert_aborts(take_two_of_one_rank, "ranks_held");
    assert_aborts(take_two_after_fork, "ranks_held");
    assert_aborts(give_a_free_lock, "state != FREE");
}

static pthread_barrier_t held, done;

static void *look_at_low(void *unused) {
    (void)unused;
    return lock_held(&low) ? &low : NULL;
}

/* In debug builds, by the asking thread. */
static void a_lock_tells_whether_it_is_held(void) {
    pthread_t other;
    void *seen = &low;
    assert_false(lock_held(&low));
    lock_take(&low);
    assert_true(lock_held(&low));
    assert_int_equal(pthread_create(&other, NULL, look_at_low, NULL), 0);
    assert_int_equal(pthread_join(other, &seen), 0);
    assert_null(seen);
    assert_false(lock_held(&high));
    lock_give(&low);
    assert_false(lock_held(&low));
}

static void *hold(void *unused) {
    (void)unused;
    lock_take(&high);
    pthread_barrier_wait(&held);
    pthread_barrier_wait(&done);
    lock_give(&high);
    return NULL;
}

static void reset_and_take(void *unused) {
    (void)unused;
    lock_reset(&low);
    lock_reset(&high);
    take_ascending(NULL);
}

/* One held by the forking thread, one by a thread that the child does not have. */
static void a_forked_child_makes_locks_free(void) {
    pthread_t holder;
    struct child_result result;
    pthread_barrier_init(&held, NULL, 2);
    pthread_barrier_init(&done, NULL, 2);
    assert_int_equal(pthread_create(&holder, NULL, hold, NULL), 0);
    pthread_barrier_wait(&held);
    lock_take(&low);
    child_run(&result, reset_and_take, NULL);
    lock_give(&low);
    pthread_barrier_wait(&done);
    assert_int_equal(pthread_join(holder, NULL), 0);
    assert_string_equal(result.err, "");
    assert_int_equal(result.signal, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(one_holder_at_a_time),
        PLAIN(sleepers_are_woken_and_errno_is_kept),
        PLAIN(init_makes_a_free_lock),
        PLAIN(ranks_ascend),
        PLAIN(a_lock_tells_whether_it_is_held),
        PLAIN(a_forked_child_makes_locks_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
