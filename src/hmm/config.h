/*
 * config.h - what is chosen when the heap is compiled: each can be set with -D.
 */
#ifndef MEMS_HMM_CONFIG_H
#define MEMS_HMM_CONFIG_H

#include <stdint.h>

#define WORD_BITS ((unsigned)sizeof(uintptr_t) * 8)

/*
 * Bytes that the quick list of each size takes at most. 0: there are none, every freed block is merged at once, and no
 * call takes longer than a few hundred instructions.
 */
#ifndef HMM_QUICK_BYTES
#if __STDC_HOSTED__
#define HMM_QUICK_BYTES 4096
#else
#define HMM_QUICK_BYTES 0
#endif
#endif

/* How many cached blocks one call merges at most, unless it would fail otherwise. */
#ifndef HMM_FLUSH_BLOCKS
#define HMM_FLUSH_BLOCKS 32
#endif

/* 0: a fault is told by the name of the operation alone, and the code is shorter. */
#ifndef HMM_REPORTS
#define HMM_REPORTS 1
#endif

/* 0: no memory but what the program gives. Without HmmUseBuffer and the code that moves a break. */
#ifndef HMM_BREAK
#define HMM_BREAK 1
#endif

/* How many pieces of memory without gaps a heap consists of at most. */
#ifndef HMM_REGIONS
#if __STDC_HOSTED__
#define HMM_REGIONS 32
#else
#define HMM_REGIONS 4
#endif
#endif

/* A block and a region have less than 2^HMM_SIZE_BITS bytes. All other bits of a header are its checksum. */
#ifndef HMM_SIZE_BITS
#if UINTPTR_MAX > UINT32_MAX
#define HMM_SIZE_BITS 40
#else
#define HMM_SIZE_BITS 20
#endif
#endif

#endif
