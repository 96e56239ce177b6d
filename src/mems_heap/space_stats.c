/* space_stats.c - a space in numbers. */
#include "space.h"

#include <errno.h>

#include "base/bits.h"
#include "complaint.h"
#include "os/os.h"

size_t space_metadata_bytes(const struct mems_space *space) {
    return round_up(sizeof *space, os_page_size()) + space->nodes.main.bytes + space->nodes.sub.bytes +
           dict_bytes(&space->dict) + store_bytes(&space->store);
}

void space_collect(const struct mems_space *space, struct mems_stats *stats) {
    *stats = (struct mems_stats){.page_size = space->page_size != 0 ? space->page_size : PAGE_SIZE};
    if (space->state != SPACE_READY) {
        return;
    }
    const struct main_chain *chain = &space->chain;
    const struct store *store = &space->store;
    size_t addresses = chain->next - MAIN_CHAIN_START;
    size_t mapped = space->movable ? store->mapped_bytes : chain->mapped_bytes;
    stats->pages = mapped / space->page_size;
    stats->main_nodes = chain->dict.count;
    stats->processes = space->processes;
    stats->holes = space->nodes.sub.used - space->processes;
    stats->process_bytes = space->process_bytes;
    stats->hole_bytes = addresses - space->process_bytes;
    stats->reserved_bytes = space->movable ? stats->hole_bytes : addresses - chain->mapped_bytes;
    stats->metadata_bytes = space_metadata_bytes(space);
    stats->maps = chain->maps + store->maps;
    stats->unmaps = chain->unmaps + store->unmaps;
    stats->failures = space->failures;
    stats->gap_bytes = store->mapped_bytes - store->live_bytes;
    stats->regions = store->pool.used;
    stats->pinned = space->pinned;
    stats->moved_blocks = store->moved_blocks;
    stats->moved_bytes = store->moved_bytes;
    stats->pieces = chain->pieces;
}

int space_stats(const char *function, struct mems_space *space, struct mems_stats *stats) {
    if (space_is_null(stats)) {
        complain(function, EINVAL, stats == NULL ? "stats is NULL" : "stats cannot be at address %u",
                 (uint64_t)(uintptr_t)stats);
        return EINVAL;
    }
    *stats = (struct mems_stats){0};
    if (!space_enter(function, space, NULL)) {
        return errno;
    }
    space_collect(space, stats);
    space_leave(space);
    return 0;
}
