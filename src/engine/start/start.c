/* start.c - the engine's start and end, and its options. */
#include <errno.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "base/fault.h"
#include "engine/engine.h"
#include "engine/heaps/heap.h"
#include "engine/heaps/sample_points.h"
#include "engine/heaps/thread.h"
#include "engine/memory/harden_guards.h"
#include "engine/memory/huge_pages.h"
#include "engine/memory/span_age.h"
#include "engine/modes/background.h"
#include "engine/modes/harden.h"
#include "engine/modes/sweep.h"
#include "engine/reports/fault_report.h"
#include "engine/reports/guard_report.h"
#include "engine/reports/profile.h"
#include "engine/reports/stats.h"
#include "engine/reports/stats_report.h"
#include "engine/root/root.h"
#include "engine/samples/sample.h"
#include "engine/slabs/abandoned.h"
#include "engine/tables/holding.h"
#include "engine/tables/window.h"
#include "fork.h"
#include "os/message.h"
#include "os/os.h"
#include "os/process.h"
#include "os/stack.h"
#include "ranks.h"

/* Under the lock. Options that shape the heap are read when it starts. */
static void follow_options(void) {
    const struct options *options = &mems_root.options;
    spans_set_decay(options->decay_ms);
    background_enable(options->background == TOGGLE_ON);
    fault_set_ending(options->on_fault);
    holding_set(options->limit, options->limit_soft);
    huge_pages_enable(options->huge_pages == HUGE_PAGES_GROWTH);
    sample_points_set(options->sample);
    guard_report_enable(options->guard_report % 2 == TOGGLE_ON);
}

static bool limits_agree(const struct options *options) {
    return options->limit == 0 || options->limit_soft <= options->limit;
}

static COLD void drop_soft_limit(void) {
    struct message message;
    char soft[OPTION_NAME_MAX];
    char hard[OPTION_NAME_MAX];
    (void)options_get(&engine_options, &mems_root.options, "limit_soft", soft, sizeof soft);
    (void)options_get(&engine_options, &mems_root.options, "limit", hard, sizeof hard);
    message_begin(&message);
    fmt_format(&message.line, "mems: %s: limit_soft=%s is above limit=%s: it stays auto", engine_options.variable, soft,
               hard);
    message_tell(&message, 2);
    mems_root.options.limit_soft = 0;
}

/* Under the lock, before options are used. If the heap starts earlier, those that shape it keep their defaults. */
static void read_options(char *const *early) {
    if (settings_read(&mems_root.settings, early, root_ready())) {
        if (!limits_agree(&mems_root.options)) {
            drop_soft_limit();
        }
        follow_options();
        stats_report_prepare(&mems_root.options);
    }
}

static void thread_ending(struct heap *heap) {
    if (heaps.harden == HARDEN_FULL) {
        sweep_ending(heap, "pthread_exit");
    }
}

/* With check=deferred, a thread's last blocks are checked when it ends. */
static void thread_ended(void) {
    fault_if_suspect();
}

static bool start(void) {
    read_options(NULL);
    const uint32_t harden = mems_root.options.harden;
    if (window_start(mems_root.options.window, harden == HARDEN_FULL)) {
        return false;
    }
    harden_start(harden);
    size_class_start(guard_size() != 0, harden == HARDEN_FULL);
    if (harden != HARDEN_OFF) {
        size_class_split_all();
    }
    spans_start(mems_root.options.decay_ms);
    if (window_is_claimed()) {
        spans_allow(min_size(os_address_limit(), os_data_limit()));
    }
    abandoned_start();
    samples_start();
    mems_root.unwinder = os_unwinder();
    heaps_start(mems_root.options.check == CHECK_EVERY, harden);
    threads_start(thread_ending, thread_ended);
    return true;
}

bool root_start(void) {
    if (root_ready()) {
        return true;
    }
    lock_take(&mems_root.lock);
    bool ready = root_ready() || start();
    if (ready) {
        const enum root_state state = mems_root.options.harden == HARDEN_OFF ? ROOT_READY : ROOT_HARDENED;
        atomic_store_explicit(&mems_root.state, state, memory_order_release);
    }
    lock_give(&mems_root.lock);
    return ready;
}

void engine_stats(struct mems_engine_stats *stats) {
    root_start(); /* an unused heap has size classes too */
    stats_collect(stats);
}

int engine_option_set(const char *name, const char *value) {
    lock_take(&mems_root.lock);
    read_options(NULL);
    const struct options before = mems_root.options;
    int error = settings_set(&mems_root.settings, name, value, root_ready());
    if (error == 0 && !limits_agree(&mems_root.options)) {
        mems_root.options = before;
        error = EINVAL;
    }
    if (error == 0) {
        follow_options();
    }
    lock_give(&mems_root.lock);
    return error;
}

int engine_option_get(const char *name, char *value, size_t size) {
    lock_take(&mems_root.lock);
    read_options(NULL);
    int error = options_get(&engine_options, &mems_root.options, name, value, size);
    lock_give(&mems_root.lock);
    return error;
}

static void begin(char *const *environment) {
    lock_take(&mems_root.lock);
    read_options(environment);
    lock_give(&mems_root.lock);
    /* The loader may allocate before it can tell where a stack's unwind tables are. */
    atomic_store_explicit(&samples.armed, true, memory_order_relaxed);
}

static struct process_participant participant = {
    .rank = LOCK_OPTIONS,
    .begin = begin,
    .each_lock = fork_each_lock,
    .recover = fork_recover,
};

__attribute__((constructor(PROCESS_JOIN))) static void join(void) {
    os_build_id(&mems_root.head.build_id);
    process_join(&participant);
}

/* Writes the reports that the options ask for; after the program's exit handlers. */
__attribute__((destructor)) static void end(void) {
    if (!root_ready()) {
        return;
    }
    if (heaps.harden != HARDEN_OFF) {
        sweep_all(heap_mine, "exit");
    }
    profile_write_at_exit(&mems_root.options);
    stats_report_at_exit(&mems_root.options);
}
