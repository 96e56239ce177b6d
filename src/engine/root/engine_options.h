/* engine_options.h - the engine's run-time options, from MEMS_OPTIONS="name=value,name=value" and from
 * mems_option_set(). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/option_text.h"
#include "base/shared_options.h"

/* When frees are checked: at every call, or when a magazine is flushed. */
enum check { CHECK_EVERY, CHECK_DEFERRED };

/* With harden=full: what happens if a block is freed by another kind of function than it came from. */
enum kinds { KINDS_ABORT, KINDS_REPORT, KINDS_OFF };

/* What is reported at the end of the process. */
enum stats_form { STATS_NONE, STATS_TEXT, STATS_JSON };

/* The longest path for stats_file, including '\0'. */
#define OPTIONS_PATH_MAX OPTION_VALUE_MAX

struct options {
    uint32_t check;                      /* enum check */
    uint32_t harden;                     /* enum harden (heaps/heap.h) */
    uint32_t kinds;                      /* enum kinds */
    uint32_t on_fault;                   /* enum fault_ending (base/fault.h) */
    uint32_t stats;                      /* enum stats_form */
    char stats_file[OPTIONS_PATH_MAX];   /* empty: standard error; %p in it stands for the process id */
    uint32_t decay_ms;                   /* how long free memory is kept before the system gets it back */
    uint32_t background;                 /* enum toggle: whether a thread does upkeep while all others sleep */
    size_t window;                       /* bytes of address space to reserve; 0: as much as the limits allow */
    size_t limit;                        /* the most bytes that the heap may hold; 0: no limit */
    size_t limit_soft;                   /* the bytes from which it is trimmed, and this is reported; 0: 7/8 of limit */
    uint32_t confine;                    /* enum toggle: whether a process that limits itself shrinks the reservation */
    uint32_t deepbind;                   /* enum deepbind */
    uint32_t advice;                     /* enum toggle: whether the program's advice on blocks is noted */
    size_t sample;                       /* mean bytes from one sample to the next; 0: none */
    char profile_file[OPTIONS_PATH_MAX]; /* where a profile goes at exit; empty: nowhere; %p is the process id */
    uint32_t guard_report;               /* enum toggle, modulo 2: whether a fault in a sampled block is explained */
};

extern const struct option_table engine_options;
