/*
 * options.h - what a user of HMM may choose, in HMM_OPTIONS or by hmm_option_set.
 */
#ifndef MEMS_HMM_OPTIONS_H
#define MEMS_HMM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum break_kind { BREAK_REAL, BREAK_SIMULATED };

/* What becomes of RTLD_DEEPBIND in a call of dlopen. */
enum hmm_deepbind { HMM_DEEPBIND_DROP, HMM_DEEPBIND_KEEP };

struct hmm_options {
    uint32_t break_kind; /* enum break_kind */
    size_t size;         /* bytes of address space that a simulated break moves in */
    uint32_t deepbind;   /* enum hmm_deepbind */
};

/* The options as they are. The caller holds the heap's lock. */
const struct hmm_options *hmm_options(void);

/* Whether RTLD_DEEPBIND is kept. The caller does not hold the lock. */
bool hmm_keeps_deepbind(void);

/* Before main: reads the options, with the environment that the loader handed over where libc has none yet. */
void hmm_options_begin(char *const *environment);

#endif
