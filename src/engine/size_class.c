#include "size_class.h"

#include "base/bits.h"
#include "magazine.h"

/* The finest step, up to 128 bytes, is a granule; above, each doubling has this many classes. */
#define STEPS_PER_DOUBLING 8u
#define FINE_MAX 128u
#define SLOTS_MIN 8u

/* A magazine holds no more than this many bytes of blocks: what an idle thread may keep from the others. */
#define MAGAZINE_BYTES ((size_t)64 << 10)

_Static_assert(SIZE_CLASSES == FINE_MAX / GRANULE + (size_t)STEPS_PER_DOUBLING * 8,
               "128 bytes, doubled eight times, is 32 KiB");

struct size_class size_classes[SIZE_CLASSES];
/*
 * Class by class, the granules that it serves: RANGE(first, width, class) are first + 1 .. first + width. A doubling
 * that begins at 128 << d bytes has eight classes, each 1 << d granules wide.
 */
#define RANGE(first, width, class) [(first) + 1 ...(first) + (width)] = (class)
#define EIGHT(first, width, class)                                                                          \
    RANGE(first, width, class), RANGE((first) + (width), width, (class) + 1),                               \
        RANGE((first) + 2 * (width), width, (class) + 2), RANGE((first) + 3 * (width), width, (class) + 3), \
        RANGE((first) + 4 * (width), width, (class) + 4), RANGE((first) + 5 * (width), width, (class) + 5), \
        RANGE((first) + 6 * (width), width, (class) + 6), RANGE((first) + 7 * (width), width, (class) + 7)
#define DOUBLING(d) EIGHT(8 << (d), 1 << (d), 8 + 8 * (d))

const uint8_t size_class_of_granules[SMALL_MAX / GRANULE + 1] = {
    [0] = 0,     EIGHT(0, 1, 0), DOUBLING(0), DOUBLING(1), DOUBLING(2),
    DOUBLING(3), DOUBLING(4),    DOUBLING(5), DOUBLING(6), DOUBLING(7),
};

static uint32_t class_size(unsigned size_class) {
    if (size_class < FINE_MAX / GRANULE) {
        return (size_class + 1) * (uint32_t)GRANULE;
    }
    unsigned above = size_class - FINE_MAX / (uint32_t)GRANULE;
    uint32_t doubling = FINE_MAX << above / STEPS_PER_DOUBLING;
    return doubling + doubling / STEPS_PER_DOUBLING * (above % STEPS_PER_DOUBLING + 1);
}

static uint16_t most_in_magazine(uint32_t size) {
    size_t capacity = MAGAZINE_BYTES / size;
    return (uint16_t)(capacity < MAGAZINE_MAX ? capacity : MAGAZINE_MAX);
}

void size_class_start(void) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        uint32_t size = class_size(size_class);
        size_t units = (SLOTS_MIN * (size_t)size + UNIT - 1) / UNIT;
        size_classes[size_class] = (struct size_class){
            .size = size,
            .reciprocal = (uint32_t)(((UINT64_C(1) << RECIPROCAL_SHIFT) + size - 1) / size),
            .slots = (uint16_t)(units * UNIT / size),
            .units = (uint16_t)units,
            .magazine = most_in_magazine(size),
        };
    }
}

unsigned size_class_of_aligned(size_t alignment, size_t size) {
    /* Slabs start at multiples of UNIT, so a slot is as aligned as the class's size. */
    if (alignment > SMALL_MAX || size > SMALL_MAX) {
        return SIZE_CLASSES;
    }
    size_t rounded = round_up(size ? size : 1, alignment);
    if (rounded > SMALL_MAX) {
        return SIZE_CLASSES;
    }
    unsigned size_class = size_class_of(rounded);
    while (size_class < SIZE_CLASSES && size_classes[size_class].size % alignment != 0) {
        size_class++;
    }
    return size_class;
}
