/*
 * size_class.h - the sizes of slots: which class serves a request, and how a slab of it is laid out.
 *
 * Classes are 16 bytes apart up to 128, then at least eight to each doubling up to SMALL_MAX, so that no block wastes
 * more than an eighth of its size and a cache line (but for what an alignment beyond that asks). Those above 2 KiB are
 * equal parts of a slab, rounded down to a cache line, so that little is wasted at its end. A slab has at least eight
 * slots, so its span has the units, a power of two, that this needs.
 */
#ifndef MEMS_ENGINE_SIZE_CLASS_H
#define MEMS_ENGINE_SIZE_CLASS_H

#include <stddef.h>
#include <stdint.h>

#define UNIT_SHIFT 16u
#define UNIT ((size_t)1 << UNIT_SHIFT)

#define GRANULE_SHIFT 4u
#define GRANULE ((size_t)1 << GRANULE_SHIFT)

#define SMALL_MAX ((size_t)32768)
#define SIZE_CLASSES 81u

/* Slots that a slab has at least, and units that it therefore has at most. */
#define SLAB_SLOTS_MIN 8u
#define SLAB_UNITS_MAX (SLAB_SLOTS_MIN * SMALL_MAX / UNIT)

/* With this shift the reciprocals are exact for every offset within a slab, and the smallest size's still has 32 bits.
 */
#define RECIPROCAL_SHIFT 35u

/* What never changes about a class. slot = offset * reciprocal >> RECIPROCAL_SHIFT for every offset within a slab. */
struct size_class {
    uint32_t size;       /* bytes of a slot */
    uint32_t reciprocal; /* 2^RECIPROCAL_SHIFT / size, rounded up */
    uint16_t slots;      /* of a slab */
    uint16_t units;      /* of its span */
    uint16_t magazine;   /* the most pointers that a magazine of this class holds */
};

extern struct size_class size_classes[SIZE_CLASSES];

/* The class of each request, by its size in granules, rounded up. */
extern const uint8_t size_class_of_granules[SMALL_MAX / GRANULE + 1];

/* Fills in size_classes. Not thread-safe: part of the engine's start. */
void size_class_start(void);

/* size is at most SMALL_MAX; 0 is served as 1. */
static inline unsigned size_class_of(size_t size) {
    return size_class_of_granules[(size + (GRANULE - 1)) >> GRANULE_SHIFT];
}

/* The smallest class that holds `size` bytes and whose every slot is aligned to `alignment`; SIZE_CLASSES if none is.
 */
unsigned size_class_of_aligned(size_t alignment, size_t size);

static inline uint32_t size_class_slot(unsigned size_class, size_t offset) {
    return (uint32_t)((uint64_t)offset * size_classes[size_class].reciprocal >> RECIPROCAL_SHIFT);
}

#endif
