#include "huge.h"

#include "base/bits.h"
#include "base/list.h"
#include "engine/tables/holding.h"
#include "engine/tables/metadata.h"
#include "engine/tables/size_class.h"
#include "harden_guards.h"
#include "os/os.h"
#include "ranks.h"

struct huge_table huge_table = {.lock = LOCK_INIT(LOCK_HUGE)};

static size_t size_of(const struct range_node *node) {
    return node->last - node->start + 1;
}

static struct huge *huge_at(const void *block) {
    struct range_node *node = range_tree_find(&huge_table.live, (uintptr_t)block);
    return node != NULL && node->start == (uintptr_t)block ? CONTAINER_OF(node, struct huge, node) : NULL;
}

/* Takes the lock, and finds the live block that starts here. */
static struct huge *enter(const void *block) {
    lock_take(&huge_table.lock);
    return huge_at(block);
}

/* Tries again to unmap freed blocks that the system refused to unmap. Under the lock. */
static void unmap_stuck(void) {
    struct huge *huge;
    while ((huge = huge_table.stuck) != NULL && os_unmap((void *)huge->node.start, size_of(&huge->node)) == 0) {
        huge_table.stuck = huge->next;
        metadata_free(huge, sizeof *huge);
    }
}

/* A span's last unit may exceed its block by this part of the block, even where locked memory counts. */
#define UNLOCKED_SHARE 8u

static bool is_exact(void) {
    return atomic_load_explicit(&huge_table.exact, memory_order_relaxed);
}

void huge_be_exact(void) {
    atomic_store_explicit(&huge_table.exact, true, memory_order_relaxed);
}

bool huge_saves_locked(size_t size) {
    return is_exact() && round_up(size, UNIT) - size > size / UNLOCKED_SHARE;
}

/* The size of the mapping that a block needs. */
static size_t mapping_for(size_t requested) {
    const size_t step = is_exact() ? os_page_size() : UNIT;
    return huge_table.guard == 0 ? round_up(requested, step)
                                 : round_up(round_up(requested, OS_PAGE) + huge_table.guard, step);
}

static char *behind(const struct huge *huge) {
    return (char *)huge->node.start + round_up(huge->requested, OS_PAGE);
}

static void fence(struct huge *huge) {
    char *start = behind(huge);
    size_t size = huge->node.last + 1 - (uintptr_t)start;
    huge->fenced = huge_table.guard != 0 && size != 0 && guard_set(start, size);
}

static bool unfence(struct huge *huge) {
    char *start = behind(huge);
    if (huge->fenced && !guard_clear(start, huge->node.last + 1 - (uintptr_t)start)) {
        return false;
    }
    huge->fenced = false;
    return true;
}

void *huge_alloc(size_t size, size_t alignment) {
    struct huge *huge = metadata_alloc(sizeof *huge);
    void *start = NULL;
    const size_t requested = size;
    size = mapping_for(size);
    bool taken = huge != NULL && holding_take(size);
    if (taken && os_map(size, alignment > OS_PAGE ? alignment : OS_PAGE, &start) == 0) {
        huge->requested = requested;
        huge->sample = NULL;
        huge->advised = false;
        huge->reserved = false;
        huge->origin = HUGE_UNSEALED;
        lock_take(&huge_table.lock);
        unmap_stuck();
        range_tree_insert(&huge_table.live, &huge->node, (uintptr_t)start, (uintptr_t)start + size - 1);
        huge_table.bytes += size;
        fence(huge);
        lock_give(&huge_table.lock);
    } else if (huge != NULL) {
        holding_give(taken ? size : 0);
        metadata_free(huge, sizeof *huge);
    }
    return start;
}

static void forget(struct huge *huge) {
    range_tree_remove(&huge_table.live, &huge->node);
    huge_table.bytes -= size_of(&huge->node);
}

static void give_addresses(unsigned at) {
    const uintptr_t start = huge_table.freed[at].start;
    if (huge_table.reserved[at]) {
        os_unmap((void *)start, huge_table.freed[at].last - start + 1);
        huge_table.reserved[at] = false;
    }
}

void huge_give_addresses(void) {
    lock_take(&huge_table.lock);
    for (unsigned at = 0; at < HUGE_REMEMBERED; at++) {
        give_addresses(at);
    }
    lock_give(&huge_table.lock);
}

/* Remembers a freed block for reports. With guards, its addresses are kept meanwhile, and fault. */
static void remember(struct huge *huge) {
    const unsigned at = huge_table.freed_next;
    give_addresses(at);
    huge->reserved = huge_table.guard != 0 && os_forbid((void *)huge->node.start, size_of(&huge->node)) == 0;
    huge_table.freed[at].start = huge->node.start;
    huge_table.freed[at].last = huge->node.last;
    huge_table.reserved[at] = huge->reserved;
    huge_table.freed_next = (at + 1) % HUGE_REMEMBERED;
}

bool huge_free(void *block) {
    struct huge *huge = enter(block);
    if (huge != NULL) {
        forget(huge);
        (void)unfence(huge);
        remember(huge);
    }
    lock_give(&huge_table.lock);
    if (huge == NULL) {
        return false;
    }
    holding_give(size_of(&huge->node));
    if (huge->reserved || os_unmap(block, size_of(&huge->node)) == 0) {
        metadata_free(huge, sizeof *huge);
        return true;
    }
    os_purge(block, size_of(&huge->node));
    lock_take(&huge_table.lock);
    huge->next = huge_table.stuck;
    huge_table.stuck = huge;
    lock_give(&huge_table.lock);
    return true;
}

/* Resizes the mapping. A shorter one stays in place, and needs no memory. */
static bool remap(void *block, size_t before, size_t size, void **moved) {
    if (size > before) {
        return os_resize_map(block, before, size, true, moved) == 0;
    }
    *moved = block;
    return size == before || os_unmap((char *)block + size, before - size) == 0;
}

bool huge_resize(void *block, size_t size, void **resized) {
    const size_t requested = size;
    size = mapping_for(size);
    void *moved = NULL;
    /* The lock is held throughout, because once the pages have moved, their old addresses may become another
     * block's. */
    struct huge *huge = enter(block);
    const size_t before = huge != NULL ? size_of(&huge->node) : 0;
    const size_t more = size > before ? size - before : 0;
    const bool taken = huge != NULL && holding_take(more);
    if (taken && unfence(huge) && remap(block, before, size, &moved)) {
        holding_give(size < before ? before - size : 0);
        forget(huge);
        range_tree_insert(&huge_table.live, &huge->node, (uintptr_t)moved, (uintptr_t)moved + size - 1);
        huge_table.bytes += size;
        huge->requested = requested;
        huge->origin = HUGE_UNSEALED;
        fence(huge);
    } else {
        holding_give(taken ? more : 0);
        moved = NULL;
        if (huge != NULL && !huge->fenced) {
            fence(huge);
        }
    }
    lock_give(&huge_table.lock);
    *resized = moved;
    return huge != NULL;
}

struct sample *huge_keep_sample(const void *block, struct sample *sample) {
    struct sample *before = NULL;
    struct huge *huge = enter(block);
    if (huge != NULL) {
        before = huge->sample;
        huge->sample = sample;
    }
    lock_give(&huge_table.lock);
    return before;
}

size_t huge_requested(const void *block) {
    const struct huge *huge = enter(block);
    size_t requested = huge != NULL ? huge->requested : 0;
    lock_give(&huge_table.lock);
    return requested;
}

void huge_note_advice(const void *start, size_t size) {
    const uintptr_t first = (uintptr_t)start;
    lock_take(&huge_table.lock);
    struct range_node *node = range_tree_floor(&huge_table.live, first);
    node = node != NULL && node->last >= first ? node : range_tree_first(&huge_table.live);
    for (; node != NULL && node->start < first + size; node = range_tree_next(node)) {
        CONTAINER_OF(node, struct huge, node)->advised |= node->last >= first;
    }
    lock_give(&huge_table.lock);
}

unsigned huge_origin(const void *block) {
    const struct huge *huge = enter(block);
    unsigned origin = huge != NULL ? huge->origin : 0;
    lock_give(&huge_table.lock);
    return origin;
}

void huge_set_origin(const void *block, unsigned origin) {
    struct huge *huge = enter(block);
    if (huge != NULL) {
        huge->origin = origin;
    }
    lock_give(&huge_table.lock);
}

bool huge_advised(const void *block) {
    const struct huge *huge = enter(block);
    bool advised = huge != NULL && huge->advised;
    lock_give(&huge_table.lock);
    return advised;
}

#define HUGE_LOOKED_AT 64u

void *huge_find_broken(bool (*intact)(const void *start, size_t size), size_t *size) {
    void *broken = NULL;
    lock_take(&huge_table.lock);
    const struct range_node *node = range_tree_first(&huge_table.live);
    for (unsigned i = 0; node != NULL && broken == NULL && i < HUGE_LOOKED_AT; i++, node = range_tree_next(node)) {
        const struct huge *huge = CONTAINER_OF(node, struct huge, node);
        if (huge->origin != HUGE_UNSEALED && !intact((const void *)node->start, huge->requested)) {
            broken = (void *)node->start;
            *size = huge->requested;
        }
    }
    lock_give(&huge_table.lock);
    return broken;
}

bool huge_find(const void *address, uintptr_t *start, size_t *size) {
    lock_take(&huge_table.lock);
    const struct range_node *node = range_tree_find(&huge_table.live, (uintptr_t)address);
    if (node != NULL) {
        *start = node->start;
        *size = round_up(CONTAINER_OF(node, struct huge, node)->requested, OS_PAGE);
    }
    lock_give(&huge_table.lock);
    return node != NULL;
}

uintptr_t huge_end(const void *block) {
    const struct huge *huge = enter(block);
    const uintptr_t end = huge != NULL ? huge->node.last + 1 : 0;
    lock_give(&huge_table.lock);
    return end;
}

bool huge_find_freed(const void *address, uintptr_t *start, size_t *size) {
    bool found = false;
    lock_take(&huge_table.lock);
    /* The latest first, because addresses are reused. */
    for (unsigned i = 1; i <= HUGE_REMEMBERED && !found; i++) {
        unsigned at = (huge_table.freed_next + HUGE_REMEMBERED - i) % HUGE_REMEMBERED;
        *start = huge_table.freed[at].start;
        *size = huge_table.freed[at].last - *start + 1;
        found = *start && (uintptr_t)address - *start < *size;
    }
    lock_give(&huge_table.lock);
    return found;
}
