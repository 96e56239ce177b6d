/* free_bins.h - the bins of the free list, and which are not empty. */
#pragma once

#include "block.h"
#include "hmm_alloc.h"

/*
 * Bins by size on two levels, after TLSF (Masmano, Ripoll, Crespo, Real: "TLSF: a New Dynamic Memory Allocator for
 * Real-Time Systems", 2004). Sizes are counted in grains. Each size below FREE_STEPS has a bin; above, each power of
 * two is a level of FREE_STEPS bins of equal width. A bin's list ends in an address other than NULL, so a zeroed link
 * is not valid.
 *
 * Invariants: bit s of steps[l] is set if and only if heads[l * FREE_STEPS + s] is not NULL; bit l of levels, if and
 * only if steps[l] is not 0.
 */
#define FREE_STEP_BITS 4u
#define FREE_STEPS (1u << FREE_STEP_BITS)
#define FREE_LEVELS (HMM_SIZE_BITS - BLOCK_ALIGN_BITS - FREE_STEP_BITS + 1)
#define FREE_BINS (FREE_LEVELS * FREE_STEPS)

struct free_list {
    struct block *heads[FREE_BINS];
    uint16_t steps[FREE_LEVELS];
    uintptr_t levels;
#if __STDC_HOSTED__
    struct hmm_row rows[HMM_ROWS]; /* what the bins hold */
#endif
};

/* Sizes of fewer grains than this have a bin of their own, whose number is that of the grains. */
#define EXACT_GRAINS (2 * FREE_STEPS)

_Static_assert(FREE_LEVELS <= WORD_BITS, "a word has a bit for each level");

/* grains >> shift is the step, with a leading bit from FREE_STEPS on, which makes the level one higher. */
static inline unsigned bin_of(size_t size) {
    uintptr_t grains = size / BLOCK_ALIGN;
    unsigned shift = word_log2(grains | FREE_STEPS) - FREE_STEP_BITS;
    return shift * FREE_STEPS + (unsigned)(grains >> shift);
}

static inline unsigned bin_above(const struct free_list *list, unsigned bin) {
    unsigned level = bin / FREE_STEPS;
    uint32_t steps = list->steps[level] & (~UINT32_C(1) << bin % FREE_STEPS);
    if (steps == 0) {
        uintptr_t levels = list->levels & (~(uintptr_t)1 << level);
        if (levels == 0) {
            return FREE_BINS;
        }
        level = word_lowest(levels);
        steps = list->steps[level];
    }
    return level * FREE_STEPS + word_lowest(steps);
}

static inline void bin_filled(struct free_list *list, unsigned bin) {
    unsigned level = bin / FREE_STEPS;
    list->steps[level] = (uint16_t)(list->steps[level] | 1u << bin % FREE_STEPS);
    list->levels |= (uintptr_t)1 << level;
}

static inline void bin_emptied(struct free_list *list, unsigned bin) {
    unsigned level = bin / FREE_STEPS;
    list->steps[level] = (uint16_t)(list->steps[level] & ~(1u << bin % FREE_STEPS));
    if (list->steps[level] == 0) {
        list->levels &= ~((uintptr_t)1 << level);
    }
}

static inline void count_blocks(struct free_list *list, size_t size, size_t by) {
#if __STDC_HOSTED__
    struct hmm_row *row = &list->rows[word_log2(size / BLOCK_ALIGN)];
    row->blocks += by;
    row->bytes += by * size;
#else
    (void)list, (void)size, (void)by;
#endif
}
