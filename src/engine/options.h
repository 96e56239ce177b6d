/*
 * options.h - what a user may choose of the engine at run time: MEMS_OPTIONS="name=value,name=value" in the environment
 * and mems_option_set() both end here.
 */
#ifndef MEMS_ENGINE_OPTIONS_H
#define MEMS_ENGINE_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "base/options.h"

/* When a free is proved: at every call, or when a magazine is flushed. */
enum check { CHECK_EVERY, CHECK_DEFERRED };

/* What is reported when the process ends. */
enum stats_form { STATS_NONE, STATS_TEXT, STATS_JSON };

/* Whether a thread sees to memory while all others sleep. */
enum background { BACKGROUND_OFF, BACKGROUND_ON };
enum toggle { TOGGLE_ON, TOGGLE_OFF };

/* What becomes of RTLD_DEEPBIND in a call of dlopen. */
enum deepbind { DEEPBIND_DROP, DEEPBIND_KEEP };

/* The longest path that stats_file takes, its '\0' included. */
#define OPTIONS_PATH_MAX OPTION_VALUE_MAX

struct options {
    uint32_t check;                    /* enum check */
    uint32_t stats;                    /* enum stats_form */
    char stats_file[OPTIONS_PATH_MAX]; /* empty: standard error; %p in it stands for the process id */
    uint32_t decay_ms;                 /* how long free memory is kept before the system gets it back */
    uint32_t background;               /* enum background */
    size_t window;                     /* bytes of address space to reserve; 0: as much as the limits allow */
    size_t limit;                      /* bytes that the heap may hold; 0: no limit */
    size_t limit_soft;                 /* bytes from which on it gives up what it can, and says so; 0: 7/8 of limit */
    uint32_t confine;                  /* enum toggle: whether a process that limits itself shrinks what is reserved */
    uint32_t deepbind;                 /* enum deepbind */
    uint32_t advice;                   /* enum toggle: whether what the program advises for blocks is noted */
};

extern const struct option_table engine_options;

#endif
