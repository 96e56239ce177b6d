#include "size_class.h"

#include "base/bits.h"

struct size_class size_classes[SIZE_CLASSES + 1];

/* CLASS(class, before, size, last): serves requests of more than `before` and up to `size` bytes; the class `last` does
 * while their family is joined. Classes are 16 bytes apart up to 128, eight to a doubling up to 2 KiB. Above, they are
 * parts of a slab: 1/31 to 1/8 of a unit, 1/15 to 1/8 of two units, 1/15 to 1/4 of four, rounded down to a cache line
 * so that aligned requests fit. A few more have the sizes of common requests that would else waste much: 1040, slightly
 * above a kilobyte, and those of which a program's heap may mostly consist: 400 (jq), 4368 (sqlite3), 4800 and 11200
 * (gawk). From 64 bytes on, a family has the sizes between a power of two and about one and a half times that, or from
 * there to the next. */
/* clang-format off */
#define CLASSES \
    CLASS(0, 0, 16, 0) CLASS(1, 16, 32, 1) CLASS(2, 32, 48, 2) CLASS(3, 48, 64, 3) \
    CLASS(4, 64, 80, 5) CLASS(5, 80, 96, 5) CLASS(6, 96, 112, 7) CLASS(7, 112, 128, 7) \
    CLASS(8, 128, 144, 11) CLASS(9, 144, 160, 11) CLASS(10, 160, 176, 11) CLASS(11, 176, 192, 11) \
    CLASS(12, 192, 208, 15) CLASS(13, 208, 224, 15) CLASS(14, 224, 240, 15) CLASS(15, 240, 256, 15) \
    CLASS(16, 256, 288, 19) CLASS(17, 288, 320, 19) CLASS(18, 320, 352, 19) CLASS(19, 352, 384, 19) \
    CLASS(20, 384, 400, 24) CLASS(21, 400, 416, 24) CLASS(22, 416, 448, 24) CLASS(23, 448, 480, 24) \
    CLASS(24, 480, 512, 24) CLASS(25, 512, 576, 28) CLASS(26, 576, 640, 28) CLASS(27, 640, 704, 28) \
    CLASS(28, 704, 768, 28) CLASS(29, 768, 832, 32) CLASS(30, 832, 896, 32) CLASS(31, 896, 960, 32) \
    CLASS(32, 960, 1024, 32) CLASS(33, 1024, 1040, 37) CLASS(34, 1040, 1152, 37) CLASS(35, 1152, 1280, 37) \
    CLASS(36, 1280, 1408, 37) CLASS(37, 1408, 1536, 37) CLASS(38, 1536, 1664, 41) CLASS(39, 1664, 1792, 41) \
    CLASS(40, 1792, 1920, 41) CLASS(41, 1920, 2048, 41) CLASS(42, 2048, 2112, 52) CLASS(43, 2112, 2176, 52) \
    CLASS(44, 2176, 2240, 52) CLASS(45, 2240, 2304, 52) CLASS(46, 2304, 2368, 52) CLASS(47, 2368, 2496, 52) \
    CLASS(48, 2496, 2560, 52) CLASS(49, 2560, 2688, 52) CLASS(50, 2688, 2816, 52) CLASS(51, 2816, 2944, 52) \
    CLASS(52, 2944, 3072, 52) CLASS(53, 3072, 3264, 57) CLASS(54, 3264, 3392, 57) CLASS(55, 3392, 3584, 57) \
    CLASS(56, 3584, 3840, 57) CLASS(57, 3840, 4096, 57) CLASS(58, 4096, 4368, 63) CLASS(59, 4368, 4672, 63) \
    CLASS(60, 4672, 4800, 63) CLASS(61, 4800, 4992, 63) CLASS(62, 4992, 5440, 63) CLASS(63, 5440, 5952, 63) \
    CLASS(64, 5952, 6528, 66) CLASS(65, 6528, 7232, 66) CLASS(66, 7232, 8192, 66) CLASS(67, 8192, 8704, 72) \
    CLASS(68, 8704, 9344, 72) CLASS(69, 9344, 10048, 72) CLASS(70, 10048, 10880, 72) CLASS(71, 10880, 11200, 72) \
    CLASS(72, 11200, 11904, 72) CLASS(73, 11904, 13056, 75) CLASS(74, 13056, 14528, 75) CLASS(75, 14528, 16384, 75) \
    CLASS(76, 16384, 17472, 80) CLASS(77, 17472, 18688, 80) CLASS(78, 18688, 20160, 80) CLASS(79, 20160, 21824, 80) \
    CLASS(80, 21824, 23808, 80) CLASS(81, 23808, 26176, 83) CLASS(82, 26176, 29120, 83) CLASS(83, 29120, 32768, 83)
/* clang-format on */

#define CLASS(class, before, size, last) [(before) / GRANULE + 1 ...(size) / GRANULE] = (last),
_Atomic uint8_t size_class_of_granules[SMALL_MAX / GRANULE + 1] = {[0] = 0, CLASSES};
#undef CLASS

#define CLASS(class, before, size, last) [class] = (last),
static const uint8_t last_of_family[MEDIUM_CLASS] = {CLASSES};
#undef CLASS

#define CLASS(class, before, size, last) [class] = (size),
#define MEDIUM(place) [MEDIUM_CLASS + (place)] = MEDIUM_SIZE(place),
static const uint32_t class_sizes[SIZE_CLASSES] = {CLASSES MEDIUM(0) MEDIUM(1) MEDIUM(2) MEDIUM(3)};
#undef MEDIUM
#undef CLASS

_Static_assert(MEDIUM_CLASS + MEDIUM_CLASSES == EMPTY_CLASS && MEDIUM_SIZE(MEDIUM_CLASSES - 1) == MEDIUM_MAX,
               "the last class of medium blocks serves the largest");

bool size_class_tails_guarded;
uint32_t size_class_rooms[SIZE_CLASSES + 1];

/* Beyond a small magazine, only capacities that leave no slot of its memory unused. */
static uint16_t most_in_magazine(uint32_t size) {
    size_t capacity = max_size(MAGAZINE_BYTES / size, MAGAZINE_BUSY);
    for (size_t whole = MAGAZINE_MAX; whole >= MAGAZINE_SLOTS - 1; whole /= 2) {
        if (capacity >= whole) {
            return (uint16_t)whole;
        }
    }
    return (uint16_t)capacity;
}

/* Whether slots of this size fill a slab of `units` units: there are enough, and what is left at its end is less than a
 * cache line a slot, where slots are not small. */
static bool fills(size_t size, size_t units) {
    const size_t slots = units * UNIT / size;
    return slots >= SLAB_SLOTS_MIN && (size <= 2048 || units * UNIT - slots * size < slots * 64);
}

static struct size_class make(uint32_t size, unsigned guard_pages, size_t tail, bool cleared) {
    size_t units = 1;
    while (units < SLAB_UNITS_MAX && !fills(size, units)) {
        units *= 2;
    }
    const uint32_t stride = size + (guard_pages << GUARD_PAGE_SHIFT);
    return (struct size_class){
        .size = stride,
        .reciprocal = (uint32_t)(((UINT64_C(1) << RECIPROCAL_SHIFT) + stride - 1) / stride),
        .slots = (uint16_t)((units * UNIT - tail) / stride),
        .units = (uint8_t)units,
        .guard_pages = (uint8_t)guard_pages,
        .magazine = most_in_magazine(stride),
        .cleared = cleared ? (uint16_t)size : 0,
    };
}

COLD void size_class_start(bool guards, bool exact) {
    const uint32_t page = 1u << GUARD_PAGE_SHIFT;
    const size_t unguarded = exact ? GRANULE : 0;
    const size_t tail = guards ? page : unguarded;
    size_class_tails_guarded = guards;
    for (unsigned size_class = 0; size_class < EMPTY_CLASS; size_class++) {
        const uint32_t size = class_sizes[size_class];
        const bool at_page = size % page == 0;
        size_classes[size_class] = make(size, guards && at_page, tail, !exact && size <= SMALL_MAX);
    }
    size_classes[EMPTY_CLASS] = make(GRANULE, 0, 0, false);
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        const struct size_class *of = &size_classes[size_class];
        size_class_rooms[size_class] = of->size - of->guard_pages * page;
    }
    if (guards) {
        /* Other threads may read this now. They have no heap yet, so they take the slow path and look again. */
        atomic_store_explicit(&size_class_of_granules[0], EMPTY_CLASS, memory_order_relaxed);
    }
}

COLD unsigned size_class_joined_count(unsigned size_class) {
    unsigned count = 1;
    if (size_class != 0 && size_class < MEDIUM_CLASS && size_class_of(class_sizes[size_class - 1]) == size_class) {
        while (last_of_family[size_class - count] == size_class) {
            count++;
        }
    }
    return count;
}

/* The class before the last, which tells whether the family is joined, is set last. So the family still counts as
 * joined in a child whose fork lost the thread that was splitting it. */
static COLD void split_family(unsigned last) {
    for (unsigned size_class = last - size_class_joined_count(last) + 1; size_class < last; size_class++) {
        const unsigned end = class_sizes[size_class] / GRANULE;
        for (unsigned granules = class_sizes[size_class - 1] / GRANULE + 1; granules <= end; granules++) {
            atomic_store_explicit(&size_class_of_granules[granules], (uint8_t)size_class, memory_order_relaxed);
        }
    }
}

COLD void size_class_note_use(unsigned last, unsigned slots) {
    if (slots >= JOINED_SLOTS && (size_t)slots * class_sizes[last] >= JOINED_BYTES) {
        split_family(last);
    }
}

void size_class_split_all(void) {
    for (unsigned size_class = 0; size_class < MEDIUM_CLASS; size_class++) {
        split_family(size_class);
    }
}

unsigned size_class_of_aligned(size_t alignment, size_t size) {
    /* Slabs start at multiples of UNIT, so slots are aligned to every power of two that divides their size. */
    if (alignment > SMALL_MAX || size > SMALL_MAX) {
        return SIZE_CLASSES;
    }
    size_t rounded = round_up(size ? size : 1, alignment);
    if (rounded > SMALL_MAX) {
        return SIZE_CLASSES;
    }
    unsigned size_class = size_class_of(rounded);
    while (size_class < EMPTY_CLASS && size_classes[size_class].size % alignment != 0) {
        size_class++;
    }
    return size_class < EMPTY_CLASS ? size_class : SIZE_CLASSES;
}
