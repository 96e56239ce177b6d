#include "remote.h"

#include "base/fault.h"
#include "engine/slabs/abandoned.h"
#include "engine/slabs/slab.h"

/* How many units are sorted at a time; and how many times in a row while looking for one of a class. */
#define SORTED_UNITS 64u
#define SORTS 16u

static _Atomic uint32_t *link_of(size_t unit) {
    return &window.inbox_links[unit];
}

/* Pushes a unit whose link is set onto the heap's inbox. False when the inbox is closed. */
static bool push(struct heap *heap, size_t unit) {
    /* Acquire, for INBOX_CLOSED: pairs with the exchange in inbox_close, so that the slabs' new state is visible. */
    uint32_t head = atomic_load_explicit(&heap->inbox, memory_order_acquire);
    do {
        if (head == INBOX_CLOSED) {
            return false;
        }
        /* Relaxed: the push below publishes it. */
        atomic_store_explicit(link_of(unit), LINK_SET | head, memory_order_relaxed);
        /* Release: pairs with the exchanges in take_all and inbox_close. */
    } while (!atomic_compare_exchange_weak_explicit(&heap->inbox, &head, (uint32_t)unit + 1, memory_order_release,
                                                    memory_order_acquire));
    return true;
}

/* Sets the link of a unit. False if another thread has set it, which will push the unit. seq_cst: see
 * live_end_remotely. */
static bool claim(size_t unit) {
    uint32_t clear = 0;
    return atomic_compare_exchange_strong_explicit(link_of(unit), &clear, LINK_SET, memory_order_seq_cst,
                                                   memory_order_seq_cst);
}

/* For a unit of no slab, all of whose frees have been collected: clears its link. If a block there is freed after all,
 * the unit is a slab's again, and the freeing thread may have found the link set and relied on us. Then the link is set
 * again: false. */
static bool let_go(size_t unit) {
    atomic_store_explicit(link_of(unit), 0, memory_order_seq_cst);
    return live_find_remote(unit) == NULL || !claim(unit);
}

/* Whether a unit that let_go kept belongs to a slab. If not, two threads freed its block at the same moment. */
static bool is_slab_again(size_t unit) {
    bool is_slab = entry_is_slab(page_map_acquire(unit));
    if (UNLIKELY(!is_slab)) {
        live_suspect(live_find_remote(unit));
    }
    return is_slab;
}

/* Sends a unit whose link is set, and which is in no inbox, to the heap that owns it now. */
static void route(size_t unit) {
    bool routed = false;
    while (!routed) {
        uint32_t entry = page_map_acquire(unit);
        if (!entry_is_slab(entry)) {
            routed = let_go(unit) || !is_slab_again(unit);
        } else if (entry_heap(entry) == HEAP_ABANDONED) {
            routed = abandoned_collect(unit);
        } else {
            routed = push(heap_of(entry_heap(entry)), unit);
        }
    }
}

void remote_announce(size_t unit) {
    if (claim(unit)) {
        route(unit);
    }
}

/* Takes all units out of the inbox, unless it is closed. Returns the newest + 1, or 0. */
static uint32_t take_all(struct heap *heap) {
    uint32_t head = atomic_load_explicit(&heap->inbox, memory_order_relaxed);
    do {
        if (head == INBOX_CLOSED) {
            return 0;
        }
        /* Acquire: pairs with the release of push. */
    } while (head != 0 && !atomic_compare_exchange_weak_explicit(&heap->inbox, &head, 0, memory_order_acquire,
                                                                 memory_order_relaxed));
    return head;
}

/* Relaxed: a unit that has left the inbox is under the heap's lock. */
static uint32_t next_of(uint32_t number) {
    return atomic_load_explicit(link_of(number - 1), memory_order_relaxed) & ~LINK_SET;
}

static void set_next(uint32_t number, uint32_t next) {
    atomic_store_explicit(link_of(number - 1), LINK_SET | next, memory_order_relaxed);
}

/* Pops the first unit of a stack. */
static size_t pop(uint32_t *stack) {
    size_t unit = *stack - 1;
    *stack = next_of(*stack);
    return unit;
}

/* Appends a unit to the ring of a class. */
static void ring_add(struct heap *heap, unsigned size_class, size_t unit) {
    uint32_t *ring = &heap->classes[size_class].ring;
    uint32_t first = (uint32_t)unit + 1;
    if (*ring != 0) {
        first = next_of(*ring);
        set_next(*ring, (uint32_t)unit + 1);
    }
    *ring = (uint32_t)unit + 1;
    set_next(*ring, first);
    heap->waiting++;
}

/* Takes the first unit of the ring of a class, which is not empty. */
static size_t ring_take(struct heap *heap, unsigned size_class) {
    uint32_t *ring = &heap->classes[size_class].ring;
    uint32_t first = next_of(*ring);
    heap->waiting--;
    if (first == *ring) {
        *ring = 0;
    } else {
        set_next(*ring, next_of(first));
    }
    return first - 1;
}

/* Sorts some units of the inbox by class, the oldest first. False if there were none. They remain the heap's while they
 * wait: a slab with a link set is not destroyed, and the inbox is closed when its thread ends. */
static bool sort(struct heap *heap) {
    size_t units[SORTED_UNITS];
    size_t count = 0;
    if (heap->backlog == 0) {
        heap->backlog = take_all(heap);
    }
    while (heap->backlog != 0 && count < SORTED_UNITS) {
        units[count++] = pop(&heap->backlog);
    }
    for (size_t i = count; i != 0; i--) {
        uint32_t entry = page_map_load(units[i - 1]);
        if (entry_is_slab(entry) && entry_heap(entry) == heap->id) {
            ring_add(heap, entry_class(entry), units[i - 1]);
        } else {
            route(units[i - 1]);
        }
    }
    return count != 0;
}

static void collect_first(struct heap *heap, unsigned size_class, bool writer) {
    size_t unit = ring_take(heap, size_class);
    /* seq_cst, before the remote bits are read: partner of remote_free. */
    atomic_store_explicit(link_of(unit), 0, memory_order_seq_cst);
    heap_collect_unit(heap, unit, writer);
}

bool inbox_collect_class(struct heap *heap, unsigned size_class) {
    ASSERT(lock_held(&heap->lock));
    const uint32_t *ring = &heap->classes[size_class].ring;
    unsigned sorts = 0;
    while (*ring == 0 && sorts < SORTS && sort(heap)) {
        sorts++;
    }
    if (*ring == 0) {
        return false;
    }
    collect_first(heap, size_class, true);
    return true;
}

bool inbox_collect(struct heap *heap, size_t units, bool writer) {
    ASSERT(lock_held(&heap->lock));
    do {
        for (unsigned size_class = 0; size_class < SIZE_CLASSES && heap->waiting != 0; size_class++) {
            for (; heap->classes[size_class].ring != 0; units--) {
                if (units == 0) {
                    return true;
                }
                collect_first(heap, size_class, writer);
            }
        }
    } while (sort(heap));
    return false;
}

void inbox_close(struct heap *heap) {
    ASSERT(lock_held(&heap->lock));
    /* Acquire, for the units that were pushed. Release: whoever finds it closed sees that the slabs are abandoned. */
    uint32_t chain = atomic_exchange_explicit(&heap->inbox, INBOX_CLOSED, memory_order_acq_rel);
    while (chain != 0 && chain != INBOX_CLOSED) {
        route(pop(&chain));
    }
    while (heap->backlog != 0) {
        route(pop(&heap->backlog));
    }
    for (unsigned size_class = 0; size_class < SIZE_CLASSES && heap->waiting != 0; size_class++) {
        while (heap->classes[size_class].ring != 0) {
            route(ring_take(heap, size_class));
        }
    }
}

void inboxes_clear(void) {
    for (size_t unit = 0; unit < spans.top; unit++) {
        atomic_store_explicit(link_of(unit), 0, memory_order_relaxed);
    }
    for (uint32_t id = 1; id <= heaps_made(); id++) {
        struct heap *heap = heap_of(id);
        if (heap_is_bare(heap)) {
            continue;
        }
        heap->backlog = 0;
        heap->waiting = 0;
        for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
            heap->classes[size_class].ring = 0;
        }
        if (atomic_load_explicit(&heap->inbox, memory_order_relaxed) != INBOX_CLOSED) {
            atomic_store_explicit(&heap->inbox, 0, memory_order_relaxed);
        }
    }
}

void inboxes_refill(void) {
    for (size_t unit = 0; unit < spans.top; unit++) {
        if (entry_is_slab(page_map_load(unit)) && live_find_remote(unit) != NULL && claim(unit)) {
            route(unit);
        }
    }
}
