/*
 * slab.h - a span cut into equal slots of one size class.
 *
 * The descriptor, out of band:
 *
 *   +------+------+-------+------+-------+------+--------------------------------------+
 *   | span | link | slots | free | used  | hint | bitmap: one bit a slot, set if free  |
 *   +------+------+-------+------+-------+------+--------------------------------------+
 *
 * A slot is in one of three states, told by two bits: *free* (its bit here is set: the slab may hand it out), *live*
 * (its bit in the live map is set: a user holds it), or neither, *cached*: in a magazine or bundle. (With
 * check=deferred what lies in a magazine counts as live.) Both set is never.
 *
 * The slots from `used` on were never handed out. The words of the bitmap that cover only such slots are not
 * initialised, and all of their slots are free: so a fresh slab costs nothing but its header.
 */
#ifndef MEMS_ENGINE_SLAB_H
#define MEMS_ENGINE_SLAB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bitmap.h"
#include "base/list.h"
#include "span.h"

/*
 * free = set bits of the initialised words + the slots past them; no word below `hint` has a set bit. Written by the
 * heap that owns the slab, or under the orphans' lock of its class; free, used, fresh and the bitmap are read by
 * statistics at any time (relaxed).
 */
struct slab {
    struct span span;
    struct list link; /* in the owner's list of its class, or among the class's orphans; the commons is in neither */
    uint16_t slots;
    _Atomic uint16_t free;
    _Atomic uint16_t used;
    uint16_t hint;      /* a word */
    _Atomic bool fresh; /* the span read as zero: slots from `used` on hold no memory */
    bitmap_word bitmap[];
};

static inline unsigned slab_free_slots(const struct slab *slab) {
    return atomic_load_explicit(&slab->free, memory_order_relaxed);
}

static inline unsigned slab_used(const struct slab *slab) {
    return atomic_load_explicit(&slab->used, memory_order_relaxed);
}

/* The slots that the initialised words of the bitmap cover. */
static inline unsigned slab_covered(const struct slab *slab) {
    unsigned covered = (unsigned)bitmap_words(slab_used(slab)) * BITMAP_WORD_BITS;
    return covered < slab->slots ? covered : slab->slots;
}

static inline bool slab_slot_free(const struct slab *slab, uint32_t slot) {
    return slot >= slab_covered(slab) || bitmap_test(slab->bitmap, slot);
}

static inline bool slab_empty(const struct slab *slab) {
    return slab_free_slots(slab) == slab->slots;
}

static inline unsigned slab_class(const struct slab *slab) {
    return entry_class(page_map_load(slab->span.first));
}

/* The slab of a block whose page map entry says that it lies in one. */
static inline struct slab *slab_of(const void *block) {
    return CONTAINER_OF(window.spans[window_unit(block)], struct slab, span);
}

/* A fresh slab of `owner` in no list; NULL when there is no memory. */
struct slab *slab_create(unsigned size_class, uint32_t owner);

/* Gives a slab that is empty and in no list back. */
void slab_destroy(struct slab *slab);

/*
 * Takes up to `count` free slots, lowest first, and stores their addresses at top[0], top[-1], ...: on a stack that
 * grows upwards the lowest address is then the first to be popped. Returns how many.
 */
unsigned slab_take(struct slab *slab, void **top, unsigned count);

/*
 * Gives back blocks[0], which is a block of this slab, and those after it that are too, up to `count`; returns how
 * many. With `prove`, each is first proved to be the start of a live block, and is live no more; a block that fails the
 * proof is a fault.
 */
size_t slab_give(struct slab *slab, void *const *blocks, size_t count, bool prove);

/* Recounts the free slots from the bitmap: for a slab whose owner was caught in mid-operation by fork. */
void slab_recount(struct slab *slab);

/* How many slots a user holds, by the live map. */
size_t slab_count_live(const struct slab *slab);

/* The invariants above. No other thread may change the slab. */
bool slab_valid(const struct slab *slab, const char **why);

#endif
