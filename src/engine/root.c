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
#include "ranks.h"
#include "span.h"
#include "stats.h"
#include "stats_report.h"
#include "window.h"

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

/*
 * Under the lock, before options are used, set or asked for: what the program sets counts more than the environment. If
 * the heap starts before there is an environment, what shapes it stays at the default.
 */
static void read_options(char *const *early) {
    if (mems_root.options_read == OPTIONS_UNREAD) {
        options_init(&engine_options, &mems_root.options);
        mems_root.options_read = OPTIONS_DEFAULTS;
    }
    if (mems_root.options_read == OPTIONS_ALL || (early == NULL && !os_environment_ready())) {
        return;
    }
    mems_root.options_read = OPTIONS_ALL;
    const struct options before = mems_root.options;
    const char *text = os_environment(early, engine_options.variable);
    if (text != NULL) {
        options_parse(&engine_options, &mems_root.options, text, complain);
    }
    if (root_ready()) {
        mems_root.options.check = before.check;
        mems_root.options.window = before.window;
        spans_set_decay(mems_root.options.decay_ms);
    }
    stats_report_prepare(&mems_root.options);
}

static bool start(void) {
    read_options(NULL);
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
    read_options(NULL);
    struct options changed = mems_root.options;
    int error = options_set(&engine_options, &changed, name, value);
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
    read_options(NULL);
    int error = options_get(&engine_options, &mems_root.options, name, value, size);
    lock_give(&mems_root.lock);
    return error;
}

/*
 * pthread_atfork may allocate, so it is called with no lock held; and before the constructors of any other library (the
 * linker's -z initfirst), so that our handlers are the last to run before a fork and the first after it: those of
 * others may allocate, or wait for threads that do. libc may not have an environment yet then; glibc's loader hands it
 * over (and musl's, which does not, runs us after libc has its own).
 */
__attribute__((constructor(101))) static void begin(int count, char **arguments, char **environment) {
    (void)count, (void)arguments;
    lock_take(&mems_root.lock);
    read_options(os_environment_ready() ? NULL : environment);
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
