/*
 * settings.h - a heap's options as they are: its defaults, what the environment says, what the program sets.
 *
 * What the program sets counts more than the environment, so the environment is read first, as soon as there is one: a
 * heap may start, or an option be set, before libc has an environment. Options that are `fixed` keep their values from
 * the heap's start on. All functions are called under a lock of the heap's, and settings_read before any other.
 */
#ifndef MEMS_OS_SETTINGS_H
#define MEMS_OS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/options.h"

enum settings_read { SETTINGS_UNREAD, SETTINGS_DEFAULTS, SETTINGS_ALL };

/* A static structure with a table and the structure that holds the choices; all else is zero. */
struct settings {
    const struct option_table *table;
    void *choices;
    uint32_t read; /* enum settings_read */
};

/*
 * Gives the choices their defaults on the first call, and reads the environment on the first call that has one.
 * Mistakes in it are reported on standard error. True if this call has read the environment.
 *
 * early: the environment that the loader handed to a constructor, which is looked at while libc has none; NULL: none.
 * started: the heap has started, so fixed options keep their values.
 */
bool settings_read(struct settings *settings, char *const *early, bool started);

/* Sets one option: 0, EINVAL as options_set, or EBUSY for a fixed option of a heap that has started. */
int settings_set(struct settings *settings, const char *name, const char *value, bool started);

/* As options_get. */
int settings_get(const struct settings *settings, const char *name, char *value, size_t size);

#endif
