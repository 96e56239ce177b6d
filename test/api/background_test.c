/*
 * background_test.c - a thread of the library gives memory back while all others sleep. It exists only when wanted, and
 * disturbs nobody.
 */
#include "support/test.h"

#include <dirent.h>
#include <mems.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/check.h"
#include "support/child.h"

enum { BLOCKS = 100000, SIZE = 300 };

static char *blocks[BLOCKS];

static size_t resident(void) {
    static struct mems_engine_stats stats;
    mems_engine_stats(&stats);
    return stats.resident;
}

static void sleep_ms(long ms) {
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static unsigned threads(void) {
    unsigned count = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        count += task->d_name[0] != '.';
    }
    closedir(tasks);
    return count;
}

/* How many there were before the program made any: an emulator may have threads of its own. */
static unsigned others;

/* The threads of a process that has made none itself. */
static void begin(void) {
    others = threads() - 1;
}

/* How often we look for what should happen, 20 ms apart: on a busy machine it may take long. */
#define LOOKS 3000

/* An ended thread may be visible for a moment. */
static void expect_threads(unsigned count) {
    for (int i = 0; i < LOOKS && threads() != others + count; i++) {
        sleep_ms(20);
    }
    CHECK_EQUAL(threads(), others + count);
}

static void *nothing(void *unused) {
    return unused;
}

static void run_a_thread(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, nothing, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

/* One block in 100 stays. Nothing is allocated or freed afterwards. */
static void burst(void) {
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(SIZE);
        memset(blocks[i], 1, SIZE);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if (i % 100 != 99) {
            free(blocks[i]);
        }
    }
}

/* Whether what the burst freed goes back while we sleep. */
static bool falls(size_t full, size_t by) {
    for (int i = 0; i < LOOKS && resident() + by > full; i++) {
        sleep_ms(20);
    }
    return resident() + by <= full;
}

static void switch_on(void) {
    CHECK(mems_option_set("background", "on") == 0);
}

static void give_back_while_asleep(void *unused) {
    (void)unused;
    begin();
    switch_on();
    CHECK(mems_option_set("decay_ms", "600000") == 0); /* nothing goes back before it is measured */
    burst();
    size_t full = resident();
    expect_threads(1); /* not before the program has made a thread */
    run_a_thread();
    expect_threads(2);
    run_a_thread();
    expect_threads(2);
    CHECK(mems_option_set("decay_ms", "50") == 0); /* nothing is allocated from here on */
    CHECK(falls(full, (size_t)BLOCKS * SIZE / 2));
    for (size_t i = 99; i < BLOCKS; i += 100) {
        CHECK(blocks[i][0] == 1 && blocks[i][SIZE - 1] == 1);
        free(blocks[i]);
    }
}

static void memory_goes_back_while_all_threads_sleep(void) {
    expect_success(give_back_while_asleep, NULL);
}

static void give_back_in_a_child(void *unused) {
    begin();
    if (others != 0) {
        child_cannot(); /* an emulator does not survive the fork of a process with several threads */
    }
    switch_on();
    CHECK(mems_option_set("decay_ms", "50") == 0);
    run_a_thread();
    expect_threads(2);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        give_back_while_asleep(unused);
        _exit(0);
    }
    child_wait(child);
}

static void so_it_does_in_a_forked_child(void) {
    expect_success(give_back_in_a_child, NULL);
}

static void keep_without_it(void *unused) {
    (void)unused;
    begin();
    CHECK(mems_option_set("decay_ms", "50") == 0);
    burst();
    run_a_thread();
    expect_threads(1);
    switch_on();
    run_a_thread();
    expect_threads(2);
    CHECK(mems_option_set("background", "off") == 0);
    expect_threads(1);
}

static void it_is_there_only_while_it_is_wanted(void) {
    expect_success(keep_without_it, NULL);
}

static volatile pthread_t handled_by;

static void handle(int number) {
    (void)number;
    handled_by = pthread_self();
}

static void take_signals(void *unused) {
    (void)unused;
    begin();
    switch_on();
    run_a_thread();
    expect_threads(2);
    CHECK(signal(SIGUSR1, handle) != SIG_ERR);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    sleep_ms(100);
    CHECK(pthread_equal(handled_by, (pthread_t){0}));
    CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
    CHECK(pthread_equal(handled_by, pthread_self()));
}

static void no_signal_reaches_it(void) {
    expect_success(take_signals, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(memory_goes_back_while_all_threads_sleep),
        PLAIN(so_it_does_in_a_forked_child),
        PLAIN(it_is_there_only_while_it_is_wanted),
        PLAIN(no_signal_reaches_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
