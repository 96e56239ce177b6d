/*
 * live_map.h - where live blocks start: two bits for each granule of the window.
 *
 *   word of 1 KiB of the window:   | live: 64 bits | remote: 64 bits |
 *
 *   live  remote
 *    0      0     not the start of a block in a user's hands
 *    1      0     a live block
 *    1      1     a block that a thread other than its slab's heap has freed
 *    0      1     never: a block was freed twice at the same moment, by its heap's thread and by another one
 *
 * The address of the bits follows from the pointer alone: checking a free needs no descriptor and no division. No word
 * belongs to two spans.
 *
 * Live bits have one writer, who needs no atomic operation: the thread of the heap that owns the slab, or the holder of
 * the class's lock for an abandoned slab. All others free by setting the remote bit with a fetch_or. The writer
 * *settles* such a slot: it clears live, then remote. So a second free, which looks at remote and then at live, finds
 * remote set or live clear.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "window.h"

#define LIVE_WORD_BITS 64u
#define LIVE_WORD_BYTES (LIVE_WORD_BITS * GRANULE) /* bytes of the window per word */

struct live_word {
    _Atomic uint64_t live;
    _Atomic uint64_t remote;
};

_Static_assert(sizeof(struct live_word) * (UNIT / GRANULE / LIVE_WORD_BITS) == LIVE_MAP_BYTES, "two bits a granule");

/* Counted from the window's base. */
static inline size_t live_granule(const void *block) {
    return ((uintptr_t)block - window.base) >> GRANULE_SHIFT;
}

static inline struct live_word *live_word_of(const void *block) {
    return &window.live_map[live_granule(block) / LIVE_WORD_BITS];
}

static inline uint64_t live_bit_of(const void *block) {
    return UINT64_C(1) << live_granule(block) % LIVE_WORD_BITS;
}

static inline struct live_word *live_words_of_unit(size_t unit) {
    return &window.live_map[unit * (UNIT / GRANULE / LIVE_WORD_BITS)];
}

/* Acquire, and remote before live: pairs with the release of live_settle. In the opposite order, a freed block that is
 * being settled could show its old live bit and its new remote bit. A simultaneous free is the program's mistake. */
static inline bool live_test(const void *block) {
    const struct live_word *word = live_word_of(block);
    uint64_t remote = atomic_load_explicit(&word->remote, memory_order_acquire);
    uint64_t live = atomic_load_explicit(&word->live, memory_order_relaxed);
    return (live & ~remote & live_bit_of(block)) != 0;
}

/* Freed by another thread, and not settled. */
static inline bool live_freed_remotely(const void *block) {
    return (atomic_load_explicit(&live_word_of(block)->remote, memory_order_relaxed) & live_bit_of(block)) != 0;
}

/* Also true if the block was freed remotely. */
static inline bool live_bit_is_set(const void *block) {
    return (atomic_load_explicit(&live_word_of(block)->live, memory_order_relaxed) & live_bit_of(block)) != 0;
}

/* For the slab's writer. */
static inline void live_set(const void *block) {
    struct live_word *word = live_word_of(block);
    uint64_t live = atomic_load_explicit(&word->live, memory_order_relaxed);
    atomic_store_explicit(&word->live, live | live_bit_of(block), memory_order_relaxed);
}

/* For the slab's writer; false, with nothing changed, if the block was not live. */
bool live_end(const void *block);

/* For any other thread; false if the block was not live. */
static inline bool live_end_remotely(const void *block) {
    struct live_word *word = live_word_of(block);
    uint64_t bit = live_bit_of(block);
    /* Left alone, so that the report finds it so. */
    if (!live_test(block)) {
        return false;
    }
    /* seq_cst: together with the load of the unit's link in remote_free, pairs with a collector that clears the link
     * and then reads this word. The release part lets the slot's next user see what this one did. The live bit is not
     * read again: from here on the slot may be collected, settled and handed out. */
    return (atomic_fetch_or_explicit(&word->remote, bit, memory_order_seq_cst) & bit) == 0;
}

/* For the lock's holder who is not the writer: makes a remotely freed block live; false: it is none. */
bool live_take_over(const void *block);

/* Live blocks of these units. */
size_t live_count(size_t first, size_t units);

/* Set bits of these units, live and remote. */
size_t live_count_bits(size_t first, size_t units);

/* The unit's first block whose remote bit is set, live or not, or NULL. seq_cst: see remote.c. */
void *live_find_remote(size_t unit);

/* For the slab's writer: clears `bits` in both halves. */
void live_settle(struct live_word *word, uint64_t bits);

/* A block found not to be live below the front, where that cannot be reported: with check=deferred, or freed twice at
 * the same moment. It is not reused, and the front reports it once it holds no lock. */
extern _Atomic(void *) live_suspect_block; /* NULL: none */

static inline void live_suspect(void *block) {
    atomic_store_explicit(&live_suspect_block, block, memory_order_relaxed);
}
