#include "zeros.h"

#include <string.h>

#include "base/bits.h"
#include "os/os.h"

/*
 * When HABIT blocks in a row were used, and after each further one, the next AHEAD are made present. Of users and non-
 * users of one size that come at random, whatever their shares, this makes at most a sixth more present than is used.
 */
#define HABIT 4u
#define AHEAD 3u

/* A block was used if USED_QUARTERS / 4 or more of the pages that are looked at were. */
#define USED_QUARTERS 3u

/* How many pages of a block are looked at, and how many that hold nothing suffice if they are the first ones. */
#define SAMPLES ((size_t)16)
#define UNUSED_AT_ONCE ((size_t)3)

/*
 * Whether most of a block's pages hold something. A page that was never touched costs a fault to read, so it stops as
 * soon as too many hold nothing. A page that has been used may begin with a zero, and count as untouched: that is the
 * cheaper mistake.
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
        /* Not equally far apart, or a program that uses every other page might seem to use them all. */
        size_t i = used + unused;
        size_t at = apart * i + 5 * i % apart;
        uint64_t word;
        memcpy(&word, (const char *)block + at * page, sizeof word);
        used += word != 0;
        unused += word == 0;
    }
    return used + unused == samples && unused <= unused_most;
}

/* A fresh block: present if the program is expected to use it. */
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

bool zeros_make(struct zeros *zeros, void *block, size_t bytes, enum zeros_memory memory) {
    if (memory != ZEROS_FRESH &&
        ((memory == ZEROS_USED && seems_used(block, bytes)) || !os_purge_zeroes() || os_purge(block, bytes) != 0)) {
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
