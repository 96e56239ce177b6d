/* config.h - compile-time configuration, by -D. */
#pragma once

#include <stdint.h>

#define WORD_BITS ((unsigned)sizeof(uintptr_t) * 8)

/* The most bytes in each quick list. 0: no lists; a block is merged at once, in a few hundred instructions. */
#ifndef HMM_QUICK_BYTES
#if __STDC_HOSTED__
#define HMM_QUICK_BYTES 4096
#else
#define HMM_QUICK_BYTES 0
#endif
#endif

/* The most cached blocks that a call merges, unless it would otherwise fail. */
#ifndef HMM_FLUSH_BLOCKS
#define HMM_FLUSH_BLOCKS 32
#endif

/* 0: smaller code; fault reports name only the operation. */
#ifndef HMM_REPORTS
#define HMM_REPORTS 1
#endif

/* 0: no memory but what the program adds; HmmUseBuffer and the break are left out. */
#ifndef HMM_BREAK
#define HMM_BREAK 1
#endif

/* The most pieces of contiguous memory in a heap. */
#ifndef HMM_REGIONS
#if __STDC_HOSTED__
#define HMM_REGIONS 32
#else
#define HMM_REGIONS 4
#endif
#endif

/* Blocks and regions are smaller than 2^HMM_SIZE_BITS bytes. A header's other bits are its checksum. */
#ifndef HMM_SIZE_BITS
#if UINTPTR_MAX > UINT32_MAX
#define HMM_SIZE_BITS 40
#else
#define HMM_SIZE_BITS 20
#endif
#endif
