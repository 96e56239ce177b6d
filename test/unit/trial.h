/*
 * trial.h - what this kernel, or emulator, does with mappings: asked directly, to compare with what os.h finds out.
 */
#ifndef MEMS_TEST_UNIT_TRIAL_H
#define MEMS_TEST_UNIT_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define TRIAL_SIZE ((size_t)65536)

static inline char *trial_map(void) {
    char *start = mmap(NULL, 2 * TRIAL_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *(volatile char *)start = 1;
    return start;
}

static inline bool purging_zeroes(void) {
    char *start = trial_map();
    bool zeroes = madvise(start, TRIAL_SIZE, MADV_DONTNEED) == 0 && *(volatile char *)start == 0;
    munmap(start, 2 * TRIAL_SIZE);
    return zeroes;
}

static inline bool pages_can_move(void) {
    char *start = trial_map();
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    bool can = mremap(start, TRIAL_SIZE, TRIAL_SIZE, flags, start + TRIAL_SIZE) != MAP_FAILED;
    munmap(start, 2 * TRIAL_SIZE);
    return can;
}

#endif
