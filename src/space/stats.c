/*
 * stats.c - a space in numbers.
 */
#include "space.h"

#include "base/bits.h"
#include "os/os.h"

void space_collect(const struct mems_space *space, struct mems_stats *stats) {
    *stats = (struct mems_stats){.page_size = space->page_size};
    if (space->state != SPACE_READY) {
        return;
    }
    const struct main_chain *chain = &space->chain;
    size_t addresses = chain->next - MAIN_CHAIN_START;
    stats->pages = chain->mapped_bytes / space->page_size;
    stats->main_nodes = chain->dict.count;
    stats->processes = space->processes;
    stats->holes = node_pool_used(&space->nodes.sub) - space->processes;
    stats->process_bytes = space->process_bytes;
    stats->hole_bytes = addresses - space->process_bytes;
    stats->reserved_bytes = addresses - chain->mapped_bytes;
    stats->metadata_bytes = round_up(sizeof *space, os_page_size()) + nodes_bytes(&space->nodes);
    stats->maps = chain->maps;
    stats->unmaps = chain->unmaps;
    stats->failures = space->failures;
}

void space_stats(const char *function, struct mems_space *space, struct mems_stats *stats) {
    if (!space_enter(function, space, NULL)) {
        *stats = (struct mems_stats){0};
        return;
    }
    space_collect(space, stats);
    space_leave(space);
}
