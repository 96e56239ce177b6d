/*
 * start.c - the engine's start and end, and its options.
 */
#include "abandoned.h"
#include "background.h"
#include "engine.h"
#include "fault_report.h"
#include "fork.h"
#include "heap.h"
#include "holding.h"
#include "os/process.h"
#include "ranks.h"
#include "root.h"
#include "span.h"
#include "stats.h"
#include "stats_report.h"
#include "thread.h"
#include "window.h"

/*
 * Under the lock, before options are used, set or asked for. If the heap starts before there is an environment, what
 * shapes it stays at the default.
 */
static void read_options(char *const *early) {
    if (settings_read(&mems_root.settings, early, root_ready())) {
        if (root_ready()) {
            spans_set_decay(mems_root.options.decay_ms);
        }
        background_enable(mems_root.options.background == BACKGROUND_ON);
        holding_set(mems_root.options.limit, mems_root.options.limit_soft);
        stats_report_prepare(&mems_root.options);
    }
}

/* A thread's last blocks are proved when it ends, with check=deferred. */
static void thread_ended(void) {
    fault_if_suspect();
}

static bool start(void) {
    read_options(NULL);
    if (window_start(mems_root.options.window)) {
        return false;
    }
    size_class_start();
    spans_start(mems_root.options.decay_ms);
    abandoned_start();
    heaps_start(mems_root.options.check == CHECK_EVERY);
    threads_start(thread_ended);
    return true;
}

bool root_start(void) {
    if (root_ready()) {
        return true;
    }
    lock_take(&mems_root.lock);
    bool ready = root_ready() || start();
    if (ready) {
        atomic_store_explicit(&mems_root.state, ROOT_READY, memory_order_release);
    }
    lock_give(&mems_root.lock);
    return ready;
}

void engine_stats(struct mems_engine_stats *stats) {
    root_start(); /* so that an unused heap has its size classes, too */
    stats_collect(stats);
}

int engine_option_set(const char *name, const char *value) {
    lock_take(&mems_root.lock);
    read_options(NULL);
    int error = settings_set(&mems_root.settings, name, value, root_ready());
    if (error == 0) {
        spans_set_decay(mems_root.options.decay_ms);
        background_enable(mems_root.options.background == BACKGROUND_ON);
        holding_set(mems_root.options.limit, mems_root.options.limit_soft);
    }
    lock_give(&mems_root.lock);
    return error;
}

int engine_option_get(const char *name, char *value, size_t size) {
    lock_take(&mems_root.lock);
    read_options(NULL);
    int error = settings_get(&mems_root.settings, name, value, size);
    lock_give(&mems_root.lock);
    return error;
}

static void begin(char *const *environment) {
    lock_take(&mems_root.lock);
    read_options(environment);
    lock_give(&mems_root.lock);
}

static struct process_participant participant = {
    .rank = LOCK_OPTIONS,
    .begin = begin,
    .each_lock = fork_each_lock,
    .recover = fork_recover,
};

__attribute__((constructor(PROCESS_JOIN))) static void join(void) {
    process_join(&participant);
}

/* What the options ask for at the end of the process, after the program's own exit handlers. */
__attribute__((destructor)) static void end(void) {
    if (!root_ready() || mems_root.options.stats == STATS_NONE) {
        return;
    }
    static struct mems_engine_stats stats; /* too large for a stack of unknown size */
    stats_collect(&stats);
    stats_report_at_exit(&mems_root.options, &stats);
}
