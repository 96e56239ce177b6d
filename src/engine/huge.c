#include "huge.h"

#include "base/bits.h"
#include "base/list.h"
#include "holding.h"
#include "metadata.h"
#include "os/os.h"
#include "ranks.h"
#include "size_class.h"

struct huge_table huge_table = {.lock = LOCK_INIT(LOCK_HUGE)};

static size_t size_of(const struct range_node *node) {
    return node->last - node->start + 1;
}

static struct huge *huge_at(const void *block) {
    struct range_node *node = range_tree_find(&huge_table.live, (uintptr_t)block);
    return node != NULL && node->start == (uintptr_t)block ? CONTAINER_OF(node, struct huge, node) : NULL;
}

/* Tries again to unmap what could not be unmapped when it was freed. Under the lock. */
static void unmap_stuck(void) {
    struct huge *huge;
    while ((huge = huge_table.stuck) != NULL && os_unmap((void *)huge->node.start, size_of(&huge->node)) == 0) {
        huge_table.stuck = huge->next;
        metadata_free(huge, sizeof *huge);
    }
}

void *huge_alloc(size_t size, size_t alignment) {
    struct huge *huge = metadata_alloc(sizeof *huge);
    void *start = NULL;
    const size_t requested = size;
    size = round_up(size, UNIT);
    bool taken = huge != NULL && holding_take(size);
    if (taken && os_map(size, alignment > OS_PAGE ? alignment : OS_PAGE, &start) == 0) {
        huge->requested = requested;
        lock_take(&huge_table.lock);
        unmap_stuck();
        range_tree_insert(&huge_table.live, &huge->node, (uintptr_t)start, (uintptr_t)start + size - 1);
        huge_table.bytes += size;
        lock_give(&huge_table.lock);
    } else if (huge != NULL) {
        holding_give(taken ? size : 0);
        metadata_free(huge, sizeof *huge);
    }
    return start;
}

/* Takes a block out of the table. Under the lock. */
static void forget(struct huge *huge) {
    range_tree_remove(&huge_table.live, &huge->node);
    huge_table.bytes -= size_of(&huge->node);
}

bool huge_free(void *block) {
    lock_take(&huge_table.lock);
    struct huge *huge = huge_at(block);
    if (huge != NULL) {
        forget(huge);
        huge_table.freed[huge_table.freed_next].start = huge->node.start;
        huge_table.freed[huge_table.freed_next].last = huge->node.last;
        huge_table.freed_next = (huge_table.freed_next + 1) % HUGE_REMEMBERED;
    }
    lock_give(&huge_table.lock);
    if (huge == NULL) {
        return false;
    }
    holding_give(size_of(&huge->node));
    if (os_unmap(block, size_of(&huge->node)) == 0) {
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

/* The mapping at another size. A shorter one stays where it is, and takes no memory to make. */
static bool remap(void *block, size_t before, size_t size, void **moved) {
    if (size > before) {
        return os_resize_map(block, before, size, true, moved) == 0;
    }
    *moved = block;
    return size == before || os_unmap((char *)block + size, before - size) == 0;
}

bool huge_resize(void *block, size_t size, void **resized) {
    const size_t requested = size;
    size = round_up(size, UNIT);
    void *moved = NULL;
    /* Under the lock throughout: once the kernel has moved the pages, their old addresses may be another block's. */
    lock_take(&huge_table.lock);
    struct huge *huge = huge_at(block);
    const size_t before = huge != NULL ? size_of(&huge->node) : 0;
    const size_t more = size > before ? size - before : 0;
    const bool taken = huge != NULL && holding_take(more);
    if (taken && remap(block, before, size, &moved)) {
        holding_give(size < before ? before - size : 0);
        forget(huge);
        range_tree_insert(&huge_table.live, &huge->node, (uintptr_t)moved, (uintptr_t)moved + size - 1);
        huge_table.bytes += size;
        huge->requested = requested;
    } else {
        holding_give(taken ? more : 0);
        moved = NULL;
    }
    lock_give(&huge_table.lock);
    *resized = moved;
    return huge != NULL;
}

size_t huge_requested(const void *block) {
    lock_take(&huge_table.lock);
    const struct huge *huge = huge_at(block);
    size_t requested = huge != NULL ? huge->requested : 0;
    lock_give(&huge_table.lock);
    return requested;
}

bool huge_find(const void *address, uintptr_t *start, size_t *size) {
    lock_take(&huge_table.lock);
    const struct range_node *node = range_tree_find(&huge_table.live, (uintptr_t)address);
    if (node != NULL) {
        *start = node->start;
        *size = size_of(node);
    }
    lock_give(&huge_table.lock);
    return node != NULL;
}

bool huge_find_freed(const void *address, uintptr_t *start, size_t *size) {
    bool found = false;
    lock_take(&huge_table.lock);
    /* The latest first: addresses are used again. */
    for (unsigned i = 1; i <= HUGE_REMEMBERED && !found; i++) {
        unsigned at = (huge_table.freed_next + HUGE_REMEMBERED - i) % HUGE_REMEMBERED;
        *start = huge_table.freed[at].start;
        *size = huge_table.freed[at].last - *start + 1;
        found = *start && (uintptr_t)address - *start < *size;
    }
    lock_give(&huge_table.lock);
    return found;
}
