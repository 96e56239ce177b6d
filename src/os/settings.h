/* settings.h - a heap's current options: defaults, then the environment, then what the program sets. The program's
 * settings override the environment, which is read as soon as there is one: a heap may start, and an option may be set,
 * before libc has it. `fixed` options keep their values once the heap has started. Call all functions under a lock of
 * the heap, and settings_read before the others. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/option_text.h"

enum settings_read { SETTINGS_UNREAD, SETTINGS_DEFAULTS, SETTINGS_ALL };

/* A static structure with a table and the structure of choices; everything else is zero. */
struct settings {
    const struct option_table *table;
    void *choices;
    uint32_t read; /* enum settings_read */
};

/* Sets the defaults on the first call, and reads the environment on the first call that finds one, reporting mistakes
 * on standard error. True if this call has read it. early: the loader's environment, used while libc has none; may be
 * NULL. started: fixed options stay. */
bool settings_read(struct settings *settings, char *const *early, bool started);

/* Sets one option. Returns 0; EINVAL as options_set; EBUSY for a fixed option of a started heap. */
int settings_set(struct settings *settings, const char *name, const char *value, bool started);
