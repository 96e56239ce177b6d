/* mems.c - mems.h: version, options and statistics. */
#include "mems.h"

#include <errno.h>

#include "base/compiler.h"
#include "engine/engine.h"
#include "engine/reports/stats_report.h"
#include "engine/root/root.h"

EXPORT int mems_version(void) {
    return MEMS_VERSION;
}

EXPORT int mems_option_set(const char *name, const char *value) {
    return engine_option_set(name, value);
}

EXPORT int mems_option_get(const char *name, char *value, size_t size) {
    return engine_option_get(name, value, size);
}

EXPORT void mems_check_write(const char *function, const void *address, size_t size) {
    engine_check_write(function, address, size);
}

EXPORT void mems_on_limit(mems_limit_handler *handler, void *context) {
    engine_on_limit(handler, context);
}

EXPORT void mems_engine_stats(struct mems_engine_stats *stats) {
    if (stats != NULL) {
        engine_stats(stats);
    }
}

static int report(int fd, void (*write_report)(int fd)) {
    if (fd < 0) {
        return EBADF;
    }
    root_start(); /* so that an unused heap has its size classes too */
    write_report(fd);
    return 0;
}

EXPORT int mems_engine_stats_text(int fd) {
    return report(fd, stats_report_text);
}

EXPORT int mems_engine_stats_json(int fd) {
    return report(fd, stats_report_json);
}
