/* space_compact.c - compaction: moves the blocks of a movable space together, and the nodes of any space. Blocks come
 * first, region by region, then nodes, chunk by chunk (pool.h), with the lock free between steps.
 * This file decides when and how much; store_evacuate decides which blocks. */
#include "space_compact.h"

#include "os/os.h"

/* Moved in one step, under the lock. */
#define STEP_BYTES ((size_t)128 * 1024)

/* The cost of moving a node or a leaf: its neighbours, and everything that points to it, must be visited. */
#define NODE_BYTES ((size_t)1024)

/* If gaps exceed 1/GAPS_MAX of the live bytes, and GAPS_MIN, each new block makes us move AHEAD times its size. With
 * gaps that large, moving two bytes gains at least one, so the gaps do not grow. */
#define GAPS_MAX 2u
#define GAPS_MIN (4 * STORE_REGION)
#define AHEAD 4u

/* The list that a HOLE is in. */
static struct hole_list *list_of(struct mems_space *space, const struct sub_node *hole) {
    bool reserved = !space->movable && !main_node_has_memory(main_chain_find(&space->chain, hole->start));
    return reserved ? &space->reserved : &space->holes;
}

static void move_sub_node(void *from, void *to, void *context) {
    struct mems_space *space = context;
    struct sub_node *old = from;
    struct sub_node *new = to;
    bool hole = sub_node_kind(old) == SEGMENT_HOLE;
    sub_chain_replace(old, new);
    if (hole) {
        hole_list_replace(list_of(space, old), old, new);
    } else {
        store_replace(old, new);
        dict_replace(&space->dict, old, new);
    }
}

/* Moves at most `limit` nodes and leaves; returns how many. */
static size_t gather_nodes(struct mems_space *space, size_t limit) {
    size_t moved = pool_gather(&space->nodes.sub, limit, move_sub_node, space);
    for (unsigned kind = 0; kind < LEAF_KINDS && moved < limit; kind++) {
        moved += dict_gather(&space->dict, kind, limit - moved);
    }
    return moved;
}

/* Returns the bytes moved or given back; 0: nothing to gain. */
static size_t step(struct mems_space *space, size_t limit, size_t *freed) {
    size_t before = space_metadata_bytes(space);
    size_t moved = space->movable ? store_evacuate(&space->store, &space->dict, limit, freed) : 0;
    if (moved + *freed == 0) {
        *freed = store_drop_empty(&space->store);
        moved = gather_nodes(space, limit / NODE_BYTES + 1) * NODE_BYTES;
    }
    size_t after = space_metadata_bytes(space);
    *freed += before > after ? before - after : 0;
    return moved;
}

size_t space_compact_all(struct mems_space *space) {
    size_t sum = 0, freed = 0;
    while (step(space, STEP_BYTES, &freed) + freed > 0) {
        sum += freed;
        freed = 0;
    }
    return sum;
}

void space_compact_ahead(struct mems_space *space, size_t size) {
    struct store *store = &space->store;
    size_t gaps = store->used_bytes - store->live_bytes, freed;
    if (space->restless) {
        store_stir(store, &space->dict);
    } else if (gaps > GAPS_MIN + store->hopeless && gaps > store->live_bytes / GAPS_MAX) {
        size_t limit = AHEAD * (size < STORE_REGION ? size : STORE_REGION);
        bool moved = store_evacuate(store, &space->dict, limit, &freed) > 0;
        store->hopeless = moved ? 0 : gaps; /* pinned, or not worth it: not to be searched again for each block */
    } else if (gaps < store->hopeless) {
        store->hopeless = gaps;
    }
}

/* Bytes moved, and bytes given back. */
struct progress {
    size_t moved;
    size_t freed;
};

/* Until `budget` bytes have been moved, or until `end` (0: no end). */
static struct progress compact(const char *function, struct mems_space *space, size_t budget, uint64_t end) {
    struct progress sum = {0};
    bool more = true;
    while (more && sum.moved < budget && (end == 0 || sum.moved + sum.freed == 0 || os_fine_us() < end)) {
        if (!space_enter(function, space, NULL)) {
            break;
        }
        size_t moved = 0, freed = 0, left = budget - sum.moved;
        if (space->state == SPACE_READY) {
            space_compact_ahead(space, 0);
            moved = step(space, left < STEP_BYTES ? left : STEP_BYTES, &freed);
        }
        space_leave(space);
        sum.moved += moved;
        sum.freed += freed;
        more = moved + freed > 0;
    }
    return sum;
}

size_t space_compact(const char *function, struct mems_space *space, size_t budget) {
    struct progress done = compact(function, space, budget != 0 ? budget : SIZE_MAX, 0);
    return done.moved + done.freed;
}

size_t space_compact_for(const char *function, struct mems_space *space, unsigned microseconds) {
    struct progress done = compact(function, space, SIZE_MAX, os_fine_us() + microseconds);
    return done.moved + done.freed;
}

size_t space_compact_to_trim(const char *function, struct mems_space *space) {
    return compact(function, space, SIZE_MAX, 0).freed;
}
