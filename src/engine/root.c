#include "root.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/fmt.h"
#include "engine.h"
#include "heap.h"
#include "huge.h"
#include "metadata.h"
#include "orphan.h"
#include "os/os.h"
#include "parcel.h"
#include "span.h"
#include "stats.h"
#include "stats_report.h"
#include "window.h"

#define OPTIONS_VARIABLE "MEMS_OPTIONS"

struct mems_root mems_root = {
    .magic = MEMS_ROOT_MAGIC,
    .version = MEMS_ROOT_VERSION,
    .size = sizeof mems_root,
    .class_count = SIZE_CLASSES,
    .lock = LOCK_INIT(LOCK_OPTIONS),
    .window = &window,
    .size_classes = size_classes,
    .spans = &spans,
    .metadata = &metadata,
    .registry = &registry,
    .orphans = orphans,
    .huge_table = &huge_table,
    .parcel_pool = &parcel_pool,
};

static void complain(const char *line) {
    char buffer[512];
    struct fmt text;
    fmt_init(&text, buffer, sizeof buffer);
    fmt_format(&text, "%s\n", line);
    fmt_flush(&text, STDERR_FILENO);
}

/* Once, under the lock: before an option is set or asked for, so that what the program sets counts more than the
 * environment. */
static void read_options(void) {
    if (mems_root.options_read) {
        return;
    }
    mems_root.options_read = true;
    options_init(&mems_root.options);
    const char *text = os_environment(OPTIONS_VARIABLE);
    if (text) {
        options_parse(&mems_root.options, text, complain);
    }
    stats_report_prepare(&mems_root.options);
}

static bool start(void) {
    read_options();
    if (window_start(mems_root.options.window)) {
        return false;
    }
    size_class_start();
    spans_start(mems_root.options.decay_ms);
    orphans_start();
    heaps_start(mems_root.options.check == CHECK_EVERY);
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

static bool shapes_the_heap(const char *name) {
    return strcmp(name, "check") == 0 || strcmp(name, "window") == 0;
}

int engine_option_set(const char *name, const char *value) {
    lock_take(&mems_root.lock);
    read_options();
    struct options changed = mems_root.options;
    int error = options_set(&changed, name, value);
    if (!error && root_ready() && shapes_the_heap(name)) {
        error = EBUSY;
    }
    if (!error) {
        mems_root.options = changed;
        spans_set_decay(changed.decay_ms);
    }
    lock_give(&mems_root.lock);
    return error;
}

int engine_option_get(const char *name, char *value, size_t size) {
    lock_take(&mems_root.lock);
    read_options();
    int error = options_get(&mems_root.options, name, value, size);
    lock_give(&mems_root.lock);
    return error;
}

/*
 * pthread_atfork may allocate, so it is called with no lock held; and as early as the loader allows, so that our
 * handlers are the last to run before a fork and the first after it, when those of others may allocate too. The options
 * are read even if the program never allocates, so that a mistake in them is told.
 */
__attribute__((constructor)) static void begin(void) {
    lock_take(&mems_root.lock);
    read_options();
    lock_give(&mems_root.lock);
    pthread_atfork(engine_fork_prepare, engine_fork_parent, engine_fork_child);
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
