#include "zeros.h"

#include <stdint.h>
#include <string.h>

#include "base/bits.h"
#include "os/os.h"

/* From this size on a block is left to the system: a table of which the program uses little costs little. */
#define SPARSE_MIN ((size_t)1 << 20)

/* If USED_QUARTERS / 4 or more of a block's pages were used, the next CREDIT blocks are made present. */
#define CREDIT 7u
#define USED_QUARTERS 3u

/* How many pages of a block are looked at. */
#define SAMPLES ((size_t)16)

bool zeros_make(struct zeros *zeros, void *block, size_t bytes, bool fresh) {
    size_t pages = round_up(bytes, OS_PAGE);
    bool sparse = bytes >= SPARSE_MIN;
    if (!fresh && !(sparse && os_purge_zeroes() && os_purge(block, pages) == 0)) {
        memset(block, 0, bytes);
    } else if (fresh && !sparse) {
        if (zeros == NULL || zeros->credit == 0) {
            return true;
        }
        zeros->credit--;
        os_populate(block, pages);
    }
    return false;
}

/*
 * A page that was never touched costs a fault to read, so it stops as soon as too many hold nothing. A page that the
 * program has used may begin with a zero, and count as untouched: then the next blocks stay untouched, which is the
 * cheaper mistake.
 */
void zeros_learn(struct zeros *zeros, const void *block, size_t bytes) {
    const size_t page = os_page_size();
    const size_t pages = (bytes + page - 1) / page;
    const size_t samples = pages < SAMPLES ? pages : SAMPLES;
    const size_t unused_most = samples / 4 * (4 - USED_QUARTERS);
    size_t unused = 0;
    for (size_t i = 0; i < samples && unused <= unused_most; i++) {
        uint64_t word;
        memcpy(&word, (const char *)block + pages * i / samples * page, sizeof word);
        unused += word == 0;
    }
    zeros->credit = unused <= unused_most ? CREDIT : 0;
}
