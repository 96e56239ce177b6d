/* engine_options.h - the engine's run-time options, from MEMS_OPTIONS="name=value,name=value" and mems_option_set(). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/option_text.h"
#include "base/shared_options.h"

/* Frees are checked at every call, or when a magazine is flushed. */
enum check { CHECK_EVERY, CHECK_DEFERRED };

/* With harden=full: what happens if a block is freed by the wrong kind of function. */
enum kinds { KINDS_ABORT, KINDS_REPORT, KINDS_OFF };

/* Which memory has huge pages. */
enum huge_pages { HUGE_PAGES_OFF, HUGE_PAGES_GROWTH };

/* The report at exit. */
enum stats_form { STATS_NONE, STATS_TEXT, STATS_JSON };

/* The longest path, including '\0'. */
#define OPTIONS_PATH_MAX OPTION_VALUE_MAX

struct options {
    uint32_t check;                      /* enum check */
    uint32_t harden;                     /* enum harden (heaps/heap.h) */
    uint32_t kinds;                      /* enum kinds */
    uint32_t on_fault;                   /* enum fault_ending (base/fault.h) */
    uint32_t stats;                      /* enum stats_form */
    char stats_file[OPTIONS_PATH_MAX];   /* empty: standard error; %p: the process id */
    uint32_t decay_ms;                   /* how long free memory is kept before it is purged */
    uint32_t background;                 /* enum toggle: a thread does upkeep while all others sleep */
    size_t window;                       /* bytes of address space to reserve; 0: as limits allow */
    size_t limit;                        /* the most bytes that the heap may hold; 0: no limit */
    size_t limit_soft;                   /* beyond these bytes it is trimmed, and this is reported; 0: 7/8 of limit */
    uint32_t huge_pages;                 /* enum huge_pages */
    uint32_t confine;                    /* enum toggle: a process that limits itself shrinks the reservation */
    uint32_t deepbind;                   /* enum deepbind */
    uint32_t advice;                     /* enum toggle: note the program's advice on blocks */
    size_t sample;                       /* mean bytes between samples; 0: none */
    char profile_file[OPTIONS_PATH_MAX]; /* where a profile goes at exit; empty: nowhere; %p: the process id */
    uint32_t guard_report;               /* enum toggle, modulo 2: explain faults in sampled blocks */
};

extern const struct option_table engine_options;
