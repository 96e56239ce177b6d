#include "zeros.h"

#include <string.h>

#include "base/bits.h"
#include "os/os.h"

/* From this size on a block is left to the system: a table of which the program uses little costs little. */
#define SPARSE_MIN ((size_t)1 << 20)

/* For a block that is seen to be used, in so many quarters of its pages or more, so many come present. */
#define CREDIT 7u
#define USED_QUARTERS 3u

/* Whether the program seems to use all of its blocks; if not, or not known, this one will tell. */
static bool uses_all(struct zeros *zeros, void *block, size_t bytes) {
    if (zeros->credit) {
        zeros->credit--;
        return true;
    }
    bool used = zeros->watched != NULL && os_present(zeros->watched, zeros->bytes) >= zeros->bytes / 4 * USED_QUARTERS;
    zeros->credit = used ? CREDIT - 1 : 0;
    zeros->watched = used ? NULL : block;
    zeros->bytes = bytes;
    return used;
}

void *zeros_make(struct zeros *zeros, void *block, size_t bytes, bool fresh) {
    size_t pages = round_up(bytes, OS_PAGE);
    bool sparse = bytes >= SPARSE_MIN;
    if (!fresh && !(sparse && os_purge_zeroes() && os_purge(block, pages) == 0)) {
        memset(block, 0, bytes);
    } else if (fresh && zeros != NULL && !sparse && uses_all(zeros, block, bytes)) {
        os_populate(block, pages);
    }
    return block;
}
