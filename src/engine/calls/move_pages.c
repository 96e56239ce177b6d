#include "move_pages.h"

#include "base/bits.h"
#include "engine/memory/huge.h"
#include "engine/memory/large.h"
#include "engine/root/root.h"
#include "engine/tables/holding.h"
#include "os/os.h"

/* A move may split two mappings, of which the kernel allows a process some 65,000. */
#define MOVES_MAX 8192u

/* Whether the program has advised something for the block: that would move with its pages. */
static bool is_advised(const void *block) {
    return page_map_holds(block) ? large_advised(large_of(block)) : huge_advised(block);
}

bool move_pages(void *from, void *to, size_t bytes, bool *lost) {
    if (bytes < MOVE_PAGES_MIN || !page_map_holds(to) || is_advised(from) ||
        atomic_load_explicit(&mems_root.pages_moved, memory_order_relaxed) >= MOVES_MAX ||
        os_move_pages(from, to, round_up(bytes, OS_PAGE), lost)) {
        return false;
    }
    atomic_fetch_add_explicit(&mems_root.pages_moved, 1, memory_order_relaxed);
    return true;
}

size_t with_headroom(size_t old_size, size_t size) {
    const bool gets = size > old_size && size - old_size <= old_size / 3 && !holding_limited() && !window_is_claimed();
    return gets ? size + size / 4 : size;
}
