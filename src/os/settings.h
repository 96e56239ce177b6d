/* settings.h - a heap's current options: defaults, overridden by the environment, overridden by the program. The
 * environment is read as soon as libc has it, perhaps after a heap has started and an option was set. A started heap's
 * `fixed` options keep their values. Call these functions under a lock of the heap, settings_read first. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/option_text.h"

enum settings_read { SETTINGS_UNREAD, SETTINGS_DEFAULTS, SETTINGS_ALL };

/* Static; members other than the table and the choices are zero. */
struct settings {
    const struct option_table *table;
    void *choices;
    uint32_t read; /* enum settings_read */
};

/* The first call sets the defaults; the first that finds an environment reads it, reports mistakes on standard error,
 * and returns true. early: the loader's environment, used while libc has none; may be NULL. started: fixed options
 * stay. */
bool settings_read(struct settings *settings, char *const *early, bool started);

/* 0; EINVAL as options_set; EBUSY for a fixed option of a started heap. */
int settings_set(struct settings *settings, const char *name, const char *value, bool started);
