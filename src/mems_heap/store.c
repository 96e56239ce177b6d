#include "store.h"

#include <string.h>

#include "base/bits.h"
#include "base/broken.h"
#include "base/fault.h"
#include "os/os.h"

/* A region has a slot for each BYTES_PER_SLOT bytes; if blocks are smaller on average, it is full before its end. */
#define BYTES_PER_SLOT 16u

/* A region is worth emptying if gaps take a GAPS_MIN-th of it or more. */
#define GAPS_MIN 16u

/* A region with a single block gives back its end if that is at least END_MIN and half of it. */
#define END_MIN ((size_t)64 * 1024)

void store_init(struct store *store, size_t page_size, bool restless) {
    *store = (struct store){.page_size = page_size, .restless = restless};
    list_init(&store->regions);
    pool_init(&store->pool, round_up(sizeof(struct region), POOL_GRAIN));
}

static struct region *region_of(struct list *link) {
    return CONTAINER_OF(link, struct region, link);
}

static bool is_lone(const struct region *region) {
    return region->slots_max == 1;
}

static struct sub_node **slot_at(struct region *region, uint32_t slot) {
    return is_lone(region) ? &region->only : (struct sub_node **)(region->memory + region->mapped) - 1 - slot;
}

static size_t whole_pages(const struct store *store, size_t size) {
    return (size + store->page_size - 1) / store->page_size * store->page_size;
}

/* --- Regions come and go ----------------------------------------------------------------------------------------- */

static int make_region(struct store *store, size_t size, uint32_t slots, struct region **out) {
    size_t table = slots > 1 ? round_up(slots * sizeof(struct sub_node *), os_page_size()) : 0;
    void *memory;
    int error = pool_reserve(&store->pool, 1);
    if (error == 0) {
        error = os_map(size + table, OS_PAGE, &memory);
    }
    if (error == 0) {
        struct region *region = pool_take(&store->pool);
        *region = (struct region){.memory = memory, .size = size, .mapped = size + table, .slots_max = slots};
        list_init(&region->link);
        store->mapped_bytes += size;
        store->maps++;
        *out = region;
    }
    return error;
}

/* Its addresses are not used for a while, so that uses of old addresses fault. */
static int forbid(struct store *store, const struct region *region) {
    struct forbidden *oldest = &store->forbidden[store->forbidden_count % STORE_FORBIDDEN];
    int error = oldest->size > 0 ? os_unmap(oldest->start, oldest->size) : 0;
    if (error == 0) {
        *oldest = (struct forbidden){0};
        error = os_forbid(region->memory, region->mapped);
    }
    if (error == 0) {
        *oldest = (struct forbidden){region->memory, region->mapped};
        store->forbidden_count++;
    }
    return error;
}

static void unmap_forbidden(struct store *store) {
    for (size_t i = 0; i < STORE_FORBIDDEN; i++) {
        if (store->forbidden[i].size > 0) {
            (void)os_unmap(store->forbidden[i].start, store->forbidden[i].size);
        }
    }
}

/* False if the system refuses; then it stays. */
static bool unmap_region(struct store *store, struct region *region) {
    int error = store->restless ? forbid(store, region) : os_unmap(region->memory, region->mapped);
    if (error != 0) {
        return false;
    }
    store->mapped_bytes -= region->size;
    store->unmaps++;
    list_remove(&region->link);
    pool_give(&store->pool, region);
    return true;
}

static void reset(struct store *store, struct region *region) {
    store->used_bytes -= region->top;
    region->top = 0;
    region->slots = 0;
    region->stuck = false;
    region->given = false;
}

/* Of regions without blocks, one is kept for reuse; one that cannot be unmapped stays listed, for later. */
static void retire(struct store *store, struct region *region) {
    reset(store, region);
    if (store->leaving == region) {
        store->leaving = NULL;
    }
    if (store->spare == NULL && !is_lone(region)) {
        list_remove(&region->link);
        store->spare = region;
    } else if (!unmap_region(store, region)) {
        region->stuck = true;
    }
}

size_t store_drop_empty(struct store *store) {
    size_t before = store->mapped_bytes;
    if (store->spare != NULL && unmap_region(store, store->spare)) {
        store->spare = NULL;
    }
    for (struct list *link = store->regions.next; link != &store->regions;) {
        struct region *region = region_of(link);
        link = link->next;
        if (region->blocks == 0 && region != store->open) {
            (void)unmap_region(store, region);
        }
    }
    return before - store->mapped_bytes;
}

static int open_region(struct store *store) {
    struct region *region = store->spare;
    if (region == NULL) {
        size_t size = whole_pages(store, STORE_REGION);
        size_t slots = size / BYTES_PER_SLOT < UINT32_MAX ? size / BYTES_PER_SLOT : UINT32_MAX;
        int error = make_region(store, size, (uint32_t)slots, &region);
        if (error != 0) {
            return error;
        }
    }
    store->spare = NULL;
    list_push_back(&store->regions, &region->link);
    store->open = region;
    return 0;
}

/* --- Blocks come and go ------------------------------------------------------------------------------------------ */

static bool is_large(const struct store *store, size_t size) {
    return store->restless || size > STORE_LARGE;
}

static bool has_room(const struct region *region, size_t size) {
    return region != NULL && region->slots < region->slots_max && size <= region->size - region->top;
}

int store_reserve(struct store *store, size_t size, size_t headroom) {
    if (is_large(store, size)) {
        return make_region(store, whole_pages(store, size + headroom), 1, &store->next);
    }
    return has_room(store->open, size) ? 0 : open_region(store);
}

struct place {
    struct region *region;
    char *physical;
    uint32_t slot;
};

/* The block must be reserved. */
static struct place take_place(struct store *store, struct sub_node *node, size_t size) {
    struct region *region = store->open;
    if (is_large(store, size)) {
        region = store->next;
        store->next = NULL;
        list_push_back(&store->regions, &region->link);
    }
    ASSERT(has_room(region, size));
    struct place place = {region, region->memory + region->top, region->slots++};
    *slot_at(region, place.slot) = node;
    region->top += size;
    store->used_bytes += size;
    region->live += size;
    region->blocks++;
    store->live_bytes += size;
    return place;
}

/* Used memory is no longer known to be zero. */
static void soil(struct region *region) {
    region->clean = region->top > region->clean ? region->top : region->clean;
}

bool store_place(struct store *store, struct sub_node *node, size_t size) {
    struct place place = take_place(store, node, size);
    bool zero = (size_t)(place.physical - place.region->memory) >= place.region->clean;
    PUBLISH(node->physical, place.physical);
    node->region = place.region;
    node->slot = place.slot;
    soil(place.region);
    return zero;
}

static void leave_place(struct store *store, struct place place, size_t size) {
    struct region *region = place.region;
    size_t start = (size_t)(place.physical - region->memory);
    *slot_at(region, place.slot) = NULL;
    region->live -= size;
    region->blocks--;
    store->live_bytes -= size;
    if (start + size == region->top && place.slot + 1 == region->slots) {
        region->top = start;
        store->used_bytes -= size;
        region->slots--;
    }
    if (region->blocks == 0 && region != store->open) {
        retire(store, region);
    } else if (region->blocks == 0) {
        reset(store, region);
    }
}

static struct place place_of(const struct sub_node *node) {
    return (struct place){node->region, node->physical, node->slot};
}

void store_leave(struct store *store, struct sub_node *node, size_t size) {
    leave_place(store, place_of(node), size);
}

/* Unmaps the region's end, if that is long. */
static void cut_end(struct store *store, struct region *region) {
    size_t needed = whole_pages(store, region->top);
    size_t end = region->size - needed;
    if (end >= END_MIN && end >= region->size / 2 && os_unmap(region->memory + needed, end) == 0) {
        region->size = region->mapped = needed;
        region->clean = region->clean < needed ? region->clean : needed;
        store->mapped_bytes -= end;
        store->unmaps++;
    }
}

bool store_resize(struct store *store, struct sub_node *node, size_t old, size_t size) {
    struct region *region = node->region;
    size_t start = (size_t)(node->physical - region->memory);
    bool last = start + old == region->top;
    if (size > old && (!last || size > region->size - start)) {
        return false;
    }
    region->live += size - old;
    store->live_bytes += size - old;
    if (last) {
        region->top = start + size;
        store->used_bytes += size - old;
        soil(region);
    }
    if (is_lone(region) && size < old) {
        cut_end(store, region);
    }
    return true;
}

/* --- Moving ------------------------------------------------------------------------------------------------------ */

/* The block is neither pinned nor being copied. 0, or an error with nothing changed. */
static int move_block(struct store *store, struct dict *dict, struct sub_node *node) {
    size_t size = sub_node_size(node);
    int error = store_reserve(store, size, 0);
    if (error != 0) {
        return error;
    }
    struct place old = place_of(node);
    struct place place = take_place(store, node, size);
    soil(place.region);
    memcpy(place.physical, old.physical, size);
    dict_move(dict, node, place.physical);
    node->region = place.region;
    node->slot = place.slot;
    leave_place(store, old, size);
    store->moved_blocks++;
    store->moved_bytes += size;
    return 0;
}

/* The region with the most gaps between its blocks, if any is worth emptying. Space behind its top has no memory or no
 * slots, so it does not count. */
static bool choose_leaving(struct store *store) {
    struct region *found = NULL;
    for (struct list *link = store->regions.next; link != &store->regions; link = link->next) {
        struct region *region = region_of(link);
        size_t gaps = region->top - region->live;
        if (region != store->open && !region->stuck && !is_lone(region) && gaps >= region->size / GAPS_MIN &&
            (found == NULL || gaps > found->top - found->live)) {
            found = region;
        }
    }
    store->leaving = found;
    store->next_slot = 0;
    return found != NULL;
}

static bool is_fixed(const struct sub_node *node) {
    return node->pins > 0 || node->copies > 0;
}

size_t store_evacuate(struct store *store, struct dict *dict, size_t limit, size_t *freed) {
    size_t moved = 0, before = store->mapped_bytes;
    while (moved < limit && (store->leaving != NULL || choose_leaving(store))) {
        struct region *region = store->leaving;
        if (store->next_slot >= region->slots) { /* what remains is pinned */
            region->stuck = true;
            store->leaving = NULL;
            continue;
        }
        struct sub_node *node = *slot_at(region, store->next_slot++);
        if (node == NULL || is_fixed(node)) {
            continue;
        }
        size_t size = sub_node_size(node);
        if (move_block(store, dict, node) != 0) {
            store->next_slot--;
            break;
        }
        moved += size;
    }
    *freed = before > store->mapped_bytes ? before - store->mapped_bytes : 0;
    return moved;
}

void store_given(struct store *store, struct sub_node *node) {
    if (store->restless) {
        node->region->given = true;
        store->given = true;
    }
}

void store_stir(struct store *store, struct dict *dict) {
    if (!store->given) {
        return;
    }
    store->given = false;
    struct list *last = store->regions.prev; /* blocks were just moved to those behind it */
    struct list *link = store->regions.next;
    for (bool more = link != &store->regions; more;) {
        struct region *region = region_of(link);
        more = link != last;
        link = link->next;
        if (region->given && is_fixed(region->only)) {
            store->given = true; /* when it is unpinned */
        } else if (region->given) {
            (void)move_block(store, dict, region->only);
        }
    }
}

void store_replace(struct sub_node *from, struct sub_node *to) {
    if (from->region != NULL) {
        *slot_at(from->region, from->slot) = to;
    }
}

void store_unpinned(struct sub_node *node) {
    if (node->region != NULL) {
        node->region->stuck = false;
    }
}

/* --- The end ----------------------------------------------------------------------------------------------------- */

size_t store_bytes(const struct store *store) {
    size_t slots = 0;
    for (const struct list *link = store->regions.next; link != &store->regions; link = link->next) {
        const struct region *region = CONTAINER_OF(link, struct region, link);
        slots += is_lone(region) ? 0 : region->slots * sizeof(struct sub_node *);
    }
    return store->pool.bytes + slots;
}

size_t store_finish(struct store *store) {
    (void)store_drop_empty(store);
    unmap_forbidden(store);
    store->restless = false;
    for (struct list *link = store->regions.next; link != &store->regions;) {
        struct region *region = region_of(link);
        link = link->next;
        (void)unmap_region(store, region);
    }
    size_t refused = store->mapped_bytes;
    pool_finish(&store->pool);
    store_init(store, store->page_size, false);
    return refused;
}

static const char *region_flaw(struct region *region, size_t *live) {
    size_t blocks = 0, bytes = 0;
    const char *end = region->memory;
    for (uint32_t slot = 0; slot < region->slots; slot++) {
        const struct sub_node *node = *slot_at(region, slot);
        if (node != NULL) {
            if (node->region != region || node->slot != slot || node->physical < end) {
                return "store: a slot's block is out of order";
            }
            end = node->physical + sub_node_size(node);
            blocks++;
            bytes += sub_node_size(node);
        }
    }
    if (blocks != region->blocks || bytes != region->live || end > region->memory + region->top ||
        region->top > region->size || region->clean > region->size || region->top > region->clean) {
        return "store: the number of a region's blocks is wrong";
    }
    *live += bytes;
    return NULL;
}

bool store_valid(const struct store *store, const char **why) {
    size_t live = 0, used = 0, mapped = store->spare != NULL ? store->spare->size : 0;
    const char *flaw = store->next != NULL ? "store: a reserved region is unused" : NULL;
    for (struct list *link = store->regions.next; flaw == NULL && link != &store->regions; link = link->next) {
        struct region *region = region_of(link);
        flaw = region_flaw(region, &live);
        mapped += region->size;
        used += region->top;
    }
    if (flaw == NULL && (live != store->live_bytes || used != store->used_bytes || mapped != store->mapped_bytes)) {
        flaw = "store: the number of regions is wrong";
    }
    return flaw == NULL || broken(why, flaw);
}
