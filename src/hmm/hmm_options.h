/* hmm_options.h - HMM's options, from HMM_OPTIONS or hmm_option_set. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/shared_options.h"

enum break_kind { BREAK_AUTO, BREAK_REAL, BREAK_SIMULATED };

struct hmm_options {
    uint32_t break_kind; /* enum break_kind */
    size_t size;         /* address space for a simulated break, in bytes */
    uint32_t confine;    /* enum toggle */
    uint32_t deepbind;   /* enum deepbind */
    uint32_t advice;     /* enum toggle: the program's advice on blocks ends with them */
};

/* Under the heap's lock. */
const struct hmm_options *hmm_options(void);

/* Call it without the lock. */
bool hmm_keeps_deepbind(void);

/* Takes no lock: a signal handler may need the answer. */
bool hmm_ends_advice(void);

/* The process is about to limit its memory, or to lock it; it has set limits. Not under the lock. */
void hmm_confine(void);
void hmm_ask_limits(void);

/* Before the heap is used, if another malloc moves the process's break: both would take the same memory, so with
 * break=auto the heap is then in reserved memory. */
void hmm_beside_malloc(void);

/* Before main, from the loader's environment if libc has none yet. */
void hmm_options_begin(char *const *environment);
