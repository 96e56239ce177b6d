#include "root.h"

#include <errno.h>
#include <string.h>

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

const struct options *root_options(void) {
    return &mems_root.options;
}

static void complain(const char *line) {
    char buffer[512];
    struct fmt text;
    fmt_init(&text, buffer, sizeof buffer);
    fmt_format(&text, "%s\n", line);
    fmt_flush(&text, 2);
}

/* Under the lock. What was set by mems_option_set before counts less than the environment: whoever runs the program
 * has the last word. */
static void read_options(void) {
    if (mems_root.options_read)
        return;
    mems_root.options_read = true;
    options_init(&mems_root.options);
    const char *text = os_environment(OPTIONS_VARIABLE);
    if (text)
        options_parse(&mems_root.options, text, complain);
}

static bool start(void) {
    read_options();
    if (window_start(mems_root.options.window))
        return false;
    size_class_start();
    spans_start(mems_root.options.decay_ms);
    orphans_start();
    heaps_start();
    return true;
}

bool root_start(void) {
    if (root_ready())
        return true;
    lock_take(&mems_root.lock);
    bool ready = root_ready() || start();
    if (ready)
        atomic_store_explicit(&mems_root.state, ROOT_READY, memory_order_release);
    lock_give(&mems_root.lock);
    return ready;
}

static bool shapes_the_heap(const char *name) {
    return strcmp(name, "check") == 0 || strcmp(name, "window") == 0;
}

int engine_option_set(const char *name, const char *value) {
    if (!name || !value)
        return EINVAL;
    lock_take(&mems_root.lock);
    read_options();
    struct options changed = mems_root.options;
    int error = options_set(&changed, name, value);
    if (!error && root_ready() && shapes_the_heap(name))
        error = EBUSY;
    if (!error) {
        mems_root.options = changed;
        spans_set_decay(changed.decay_ms);
    }
    lock_give(&mems_root.lock);
    return error;
}

int engine_option_get(const char *name, char *value, size_t size) {
    if (!name)
        return EINVAL;
    lock_take(&mems_root.lock);
    read_options();
    int error = options_get(&mems_root.options, name, value, size);
    lock_give(&mems_root.lock);
    return error;
}

/* What the options ask for at the end of the process, after the program's own exit handlers. */
__attribute__((destructor)) static void report_at_exit(void) {
    if (!root_ready() || mems_root.options.stats == STATS_NONE)
        return;
    static struct mems_engine_stats stats; /* too large for a stack of unknown size */
    stats_collect(&stats);
    stats_report_at_exit(&mems_root.options, &stats);
}
