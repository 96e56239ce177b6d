/*
 * options.h - what a user of HMM may choose, in HMM_OPTIONS or by hmm_option_set.
 */
#ifndef MEMS_HMM_OPTIONS_H
#define MEMS_HMM_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

enum break_kind { BREAK_REAL, BREAK_SIMULATED };

struct hmm_options {
    uint32_t break_kind; /* enum break_kind */
    size_t size;         /* bytes of address space that a simulated break moves in */
};

/* The options as they are. The caller holds the heap's lock. */
const struct hmm_options *hmm_options(void);

/* Before main: reads the options, with the environment that the loader handed over where libc has none yet. */
void hmm_options_begin(char *const *environment);

#endif
