#include "parcel.h"

#include "heap.h"
#include "metadata.h"
#include "ranks.h"
#include "slab.h"

/* A parcel is sent when it is full, or when its blocks are worth waiting no longer. */
#define PARCEL_BYTES ((size_t)256 << 10)

struct parcel_pool parcel_pool = {.lock = LOCK_INIT(LOCK_PARCELS)};

static struct parcel *pool_take(uint32_t owner) {
    lock_take(&parcel_pool.lock);
    struct parcel *parcel = parcel_pool.free;
    if (parcel != NULL) {
        parcel_pool.free = parcel->next;
        parcel_pool.count--;
    }
    lock_give(&parcel_pool.lock);
    if (parcel == NULL) {
        parcel = metadata_alloc_urgent(sizeof *parcel);
    }
    if (parcel != NULL) {
        parcel->owner = owner;
        parcel->count = 0;
        parcel->bytes = 0;
    }
    return parcel;
}

static void pool_give(struct parcel *parcel) {
    lock_take(&parcel_pool.lock);
    parcel->next = parcel_pool.free;
    parcel_pool.free = parcel;
    parcel_pool.count++;
    lock_give(&parcel_pool.lock);
}

/* Pushes a parcel onto its owner's inbox. False when that is closed: its slabs are orphans or have been adopted. */
static bool send(struct parcel *parcel) {
    struct heap *heap = atomic_load_explicit(&window.heaps[parcel->owner], memory_order_acquire);
    /* Acquire, for PARCEL_CLOSED: pairs with the exchange of inbox_close, so that routing anew sees the new owners. */
    struct parcel *head = atomic_load_explicit(&heap->inbox, memory_order_acquire);
    do {
        if (head == PARCEL_CLOSED) {
            return false;
        }
        parcel->next = head;
        /* Release: pairs with the exchanges of inbox_drain and inbox_close. */
    } while (!atomic_compare_exchange_weak_explicit(&heap->inbox, &head, parcel, memory_order_release,
                                                    memory_order_acquire));
    return true;
}

static bool is_mine(const struct heap *heap, const void *block) {
    return heap != NULL && entry_owner(page_map_load(window_unit(block))) == heap->owner;
}

/* Gives the blocks of a parcel to the slabs of `heap` where they are its own, and routes the others on. */
static void unpack(struct heap *heap, struct parcel *parcel) {
    for (uint32_t first = 0; first < parcel->count;) {
        uint32_t end = first;
        while (end < parcel->count && is_mine(heap, parcel->blocks[end])) {
            end++;
        }
        if (end > first) {
            heap_give(heap, &parcel->blocks[first], end - first, true);
        }
        if (end < parcel->count) {
            heap_route(heap, parcel->blocks[end++]);
        }
        first = end;
    }
    pool_give(parcel);
}

static void unpack_all(struct heap *heap, struct parcel *parcel) {
    while (parcel != NULL) {
        struct parcel *next = parcel->next;
        unpack(heap, parcel);
        parcel = next;
    }
}

/* Sends the parcel in a slot of an outbox; where its owner's inbox is closed its blocks are routed anew for `heap`. */
static void dispatch(struct heap *heap, struct parcel **slot) {
    struct parcel *parcel = *slot;
    *slot = NULL;
    if (!send(parcel)) {
        unpack(heap, parcel);
    }
}

bool outbox_add(struct heap *heap, uint32_t owner, void *block, size_t size) {
    struct parcel **slot = &heap->outbox.parcels[owner % OUTBOX_SLOTS];
    if (*slot != NULL && (*slot)->owner != owner) {
        dispatch(heap, slot);
    }
    if (*slot == NULL) {
        *slot = pool_take(owner);
    }
    struct parcel *parcel = *slot;
    /* No memory for a parcel; or routing what was in the slot has begun another owner's. */
    if (parcel == NULL || parcel->owner != owner) {
        return parcel_send_one(owner, block);
    }
    parcel->blocks[parcel->count++] = block;
    parcel->bytes += size;
    if (parcel->count == PARCEL_BLOCKS || parcel->bytes >= PARCEL_BYTES) {
        dispatch(heap, slot);
    }
    return true;
}

void outbox_send_all(struct heap *heap) {
    for (unsigned i = 0; i < OUTBOX_SLOTS; i++) {
        /* Without a heap, so that what has to be routed anew does not end up in the outbox again. */
        if (heap->outbox.parcels[i] != NULL) {
            dispatch(NULL, &heap->outbox.parcels[i]);
        }
    }
}

bool parcel_send_one(uint32_t owner, void *block) {
    struct parcel *parcel = pool_take(owner);
    if (parcel == NULL) {
        return true; /* not even the headroom is left: the block stays out of use */
    }
    parcel->blocks[parcel->count++] = block;
    if (send(parcel)) {
        return true;
    }
    pool_give(parcel);
    return false;
}

void inbox_drain(struct heap *heap) {
    /* Nearly always empty: a look is cheaper than an exchange. */
    if (atomic_load_explicit(&heap->inbox, memory_order_relaxed) == NULL) {
        return;
    }
    /* Acquire: pairs with the release of send. */
    unpack_all(heap, atomic_exchange_explicit(&heap->inbox, NULL, memory_order_acquire));
}

void inbox_close(struct heap *heap) {
    /* Acquire, for what was sent; release, so that whoever finds it closed sees whose the slabs have become. */
    unpack_all(NULL, atomic_exchange_explicit(&heap->inbox, PARCEL_CLOSED, memory_order_acq_rel));
}
