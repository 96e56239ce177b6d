#include "move_pages.h"

#include "base/bits.h"
#include "engine/memory/huge.h"
#include "engine/memory/large.h"
#include "engine/memory/spans.h"
#include "engine/root/root.h"
#include "engine/tables/holding.h"
#include "os/os.h"

/* A move may split two mappings, of which the kernel allows a process some 65,000. */
#define MOVES_MAX 8192u

/* Whether the program has advised something for the block: that would move with its pages. */
static bool is_advised(const void *block) {
    return page_map_holds(block) ? large_advised(large_of(block)) : huge_advised(block);
}

/* To know whether the pages are one mapping, the system may map a page behind them for a moment. Where the window is
 * claimed, this may be a page of unmapped units, so nobody may claim units meanwhile: it would find them taken. */
static int move(void *from, void *to, size_t bytes, bool *lost) {
    const bool claims = window_is_claimed();
    if (claims) {
        lock_take(&spans.lock);
    }
    const int error = os_move_pages(from, to, round_up(bytes, OS_PAGE), lost);
    if (claims) {
        lock_give(&spans.lock);
    }
    return error;
}

bool move_pages(void *from, void *to, size_t bytes, bool *lost) {
    if (bytes < MOVE_PAGES_MIN || !page_map_holds(to) || is_advised(from) ||
        atomic_load_explicit(&mems_root.pages_moved, memory_order_relaxed) >= MOVES_MAX ||
        move(from, to, bytes, lost)) {
        return false;
    }
    atomic_fetch_add_explicit(&mems_root.pages_moved, 1, memory_order_relaxed);
    return true;
}

size_t with_headroom(size_t old_size, size_t size) {
    const bool gets = size > old_size && size - old_size <= old_size / 3 && !holding_limited() && !window_is_claimed();
    return gets ? size + size / 4 : size;
}
