/*
 * size_class.h - which class serves a request, and how its slabs are laid out.
 *
 * Classes are 16 bytes apart up to 128, then at least eight to a doubling up to SMALL_MAX, so a block wastes at most an
 * eighth of its size and a cache line (or more where an alignment requires it, or while the family is joined). Those
 * above 2 KiB are equal parts of a slab, rounded down to a cache line, so little is wasted at its end, except a few
 * sizes that common programs ask for. A slab has at least eight slots, in the smallest power of two of units that they
 * fill, or in the largest slab.
 *
 * A few more classes, beyond SMALL_MAX, are for *medium* blocks, which malloc gives in a process with one thread. Their
 * slabs have four to seven slots. Other blocks beyond SMALL_MAX are large: calloc wants memory that reads as zero,
 * realloc a block that grows in place, the hardened modes a guard, and several threads share what they cache.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#define UNIT_SHIFT 16u
#define UNIT ((size_t)1 << UNIT_SHIFT)

#define GRANULE_SHIFT 4u
#define GRANULE ((size_t)1 << GRANULE_SHIFT)

#define SMALL_MAX ((size_t)32768)
#define MEDIUM_MAX ((size_t)65536)
#define SIZE_CLASSES 89u

/* Medium classes are 1/7, 1/6, 1/5 and 1/4 of a slab. */
#define MEDIUM_CLASS 84u
#define MEDIUM_CLASSES 4u

/* The classes up to 256 bytes, which are multiples of GRANULE. Their slabs are single units. */
#define SHORT_CLASSES 16u

/* Neighbouring classes are a *family*. It is *joined*, so its last class serves all its sizes, until a slab of that
 * class has handed out this many bytes and slots; then it is *split* for good. Otherwise each thread that needs few
 * blocks of many sizes would pay a page, a magazine and a slab for each class. A joined slot is at most 1.5 times as
 * long as the request, so more than half of it is used, as realloc and sized frees expect (realloc_keeps_from). With
 * more bytes or slots, the slots' unused ends, and slots that no size of the family takes after the split, would cost
 * more than the classes do: each thread may have as many. */
#define JOINED_BYTES ((size_t)8 << 10)
#define JOINED_SLOTS 8u

/* For zero-size blocks with harden=light and full: its slots fault when touched. */
#define EMPTY_CLASS (SIZE_CLASSES - 1)

/* Determines the most units of any slab of small blocks. */
#define SLAB_SLOTS_MIN 8u
#define SLAB_UNITS_MAX (SLAB_SLOTS_MIN * SMALL_MAX / UNIT)

/* Makes reciprocals exact for each offset within a slab; the smallest size's fits in 32 bits. */
#define RECIPROCAL_SHIFT 35u

#define GUARD_PAGE_SHIFT 12u

/* The slots of a small magazine, and the most blocks of any (magazine.h). */
#define MAGAZINE_SLOTS 64u
#define MAGAZINE_MAX 255u

/* The most bytes of blocks in a magazine, which an idle thread may keep from others; a busy one has up to MAGAZINE_BUSY
 * blocks of any class. */
#define MAGAZINE_BYTES ((size_t)64 << 10)
#define MAGAZINE_BUSY 8u

/* For every offset within a slab, slot = offset * reciprocal >> RECIPROCAL_SHIFT. */
struct size_class {
    uint32_t size;       /* bytes of a slot */
    uint32_t reciprocal; /* 2^RECIPROCAL_SHIFT / size, rounded up */
    uint16_t slots;      /* of a slab */
    uint8_t units;       /* of its span */
    uint8_t guard_pages; /* at each slot's end (harden_guards.h) */
    uint16_t magazine;   /* the most pointers in a magazine */
    uint16_t cleared;    /* bytes that calloc clears; 0 for medium blocks */
};

/* The extra zero-size class is for UNIT_SAMPLES. */
extern HIDDEN struct size_class size_classes[SIZE_CLASSES + 1];

/* A slot without its guard. */
extern HIDDEN uint32_t size_class_rooms[SIZE_CLASSES + 1];

/* By the request's size in granules, rounded up. An entry changes at most once, when a family is split (relaxed: either
 * class will do). */
extern _Atomic uint8_t size_class_of_granules[SMALL_MAX / GRANULE + 1];

/* Fills in size_classes. `guards`: zero-size blocks have a separate class, and a guard ends each slab and each slot
 * whose size is a multiple of a page. `exact`: blocks have exact sizes (harden.h), and a slab has fewer slots than
 * granules, so the record behind those of its slots is no block's. */
void size_class_start(bool guards, bool exact);

/* The number of classes whose sizes the class serves: more than one if it is the last of a joined family. */
unsigned size_class_joined_count(unsigned size_class);

/* A slab of the class has handed out its first `slots` slots. If these are enough, splits the family whose last class
 * it is. */
void size_class_note_use(unsigned last, unsigned slots);

/* For hardened heaps, whose blocks have exact sizes. Splits all families. */
void size_class_split_all(void);

extern bool size_class_tails_guarded;

/* size is at most SMALL_MAX; 0 is served as 1. */
static inline unsigned size_class_of(size_t size) {
    return atomic_load_explicit(&size_class_of_granules[(size + (GRANULE - 1)) >> GRANULE_SHIFT], memory_order_relaxed);
}

/* By its place among the medium classes. */
#define MEDIUM_SIZE(place) (SLAB_UNITS_MAX * UNIT / (7 - (place)) / 64 * 64)

/* size is above SMALL_MAX and at most MEDIUM_MAX. */
static inline unsigned size_class_of_medium(size_t size) {
    return MEDIUM_CLASS + (size > MEDIUM_SIZE(0)) + (size > MEDIUM_SIZE(1)) + (size > MEDIUM_SIZE(2));
}

static inline size_t size_class_room(unsigned size_class) {
    return size_class_rooms[size_class];
}

/* For one of the first SHORT_CLASSES. */
static inline size_t size_class_room_short(size_t size_class) {
    return size_class * GRANULE + GRANULE;
}

/* The smallest class with room for `size` whose slots are all aligned, or the last of its family; SIZE_CLASSES if there
 * is none. */
unsigned size_class_of_aligned(size_t alignment, size_t size);

static inline uint32_t size_class_slot(size_t size_class, size_t offset) {
    return (uint32_t)((uint64_t)offset * size_classes[size_class].reciprocal >> RECIPROCAL_SHIFT);
}
