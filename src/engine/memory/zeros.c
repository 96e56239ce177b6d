#include "zeros.h"

#include <string.h>

#include "base/bits.h"
#include "os/os.h"

/*
 * When HABIT blocks in a row were used, and after each further one, the next AHEAD blocks are made present. If used and
 * unused blocks of one size come at random, in whatever ratio, this makes at most a sixth more present than is used.
 */
#define HABIT 4u
#define AHEAD 3u

/* A block counts as used if USED_QUARTERS / 4 or more of the sampled pages were used. */
#define USED_QUARTERS 3u

/* How many pages of a block are sampled, and how many empty ones are enough to decide if they come first. */
#define SAMPLES ((size_t)16)
#define UNUSED_AT_ONCE ((size_t)3)

/* Used memory of up to this many bytes is always cleared: that takes no longer than a system call and a few page
 * faults. */
#define CLEARED_MAX ((size_t)128 << 10)

/*
 * Whether most of a block's pages hold data. Reading a page that was never touched costs a fault, so the search stops
 * as soon as too many are empty. A used page that begins with a zero counts as untouched: that is the cheaper mistake.
 */
static bool seems_used(const void *block, size_t bytes) {
    const size_t page = os_page_size();
    const size_t pages = (bytes + page - 1) / page;
    const size_t samples = pages < SAMPLES ? pages : SAMPLES;
    const size_t apart = pages / samples;
    const size_t unused_most = samples / 4 * (4 - USED_QUARTERS);
    size_t used = 0;
    size_t unused = 0;
    while (used + unused < samples && unused <= unused_most && (used != 0 || unused < UNUSED_AT_ONCE)) {
        /* Unevenly spaced, or a program that uses every other page might appear to use all. */
        size_t i = used + unused;
        size_t at = apart * i + 5 * i % apart;
        uint64_t word;
        memcpy(&word, (const char *)block + at * page, sizeof word);
        used += word != 0;
        unused += word == 0;
    }
    return used + unused == samples && unused <= unused_most;
}

/* Makes a fresh block present if the program is expected to use it. */
static bool leave_untouched(struct zeros *zeros, void *block, size_t bytes) {
    if (bytes >= ZEROS_SPARSE_MIN || zeros == NULL) {
        return false;
    }
    uint32_t *credit = &zeros->sizes[floor_log2(bytes) - ZEROS_SHIFT].credit;
    if (*credit < bytes) {
        return true;
    }
    *credit -= (uint32_t)bytes;
    os_populate(block, bytes);
    return false;
}

/* Whether a block that holds what its last user left is cleared in place. */
static bool is_to_be_cleared(const void *block, size_t bytes) {
    return bytes <= CLEARED_MAX || seems_used(block, bytes);
}

bool zeros_make(struct zeros *zeros, void *block, size_t bytes, enum zeros_memory memory) {
    if (memory != ZEROS_FRESH && ((memory == ZEROS_USED && is_to_be_cleared(block, bytes)) || !os_purge_zeroes() ||
                                  os_purge(block, bytes) != 0)) {
        memset(block, 0, bytes);
        return false;
    }
    return leave_untouched(zeros, block, bytes);
}

void zeros_learn(struct zeros *zeros, const void *block, size_t bytes) {
    const unsigned size = floor_log2(bytes) - ZEROS_SHIFT;
    if (!seems_used(block, bytes)) {
        zeros->sizes[size].streak = 0;
        zeros->sizes[size].credit = 0;
    } else if (++zeros->sizes[size].streak >= HABIT) {
        zeros->sizes[size].streak = HABIT;
        zeros->sizes[size].credit = AHEAD * (uint32_t)bytes;
    }
}
