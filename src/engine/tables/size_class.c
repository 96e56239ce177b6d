#include "size_class.h"

#include "base/bits.h"

struct size_class size_classes[SIZE_CLASSES + 1];

/* CLASS(class, before, size): serves requests of more than `before` and up to `size` bytes. Classes are 16 bytes apart
 * up to 128, eight to a doubling up to 2 KiB. Above, they are parts of a slab: 1/31 to 1/8 of a unit, 1/15 to 1/8 of
 * two units, 1/15 to 1/4 of four, rounded down to a cache line so that aligned requests fit. A few more have the sizes
 * of common requests that would else waste much: 1040, slightly above a kilobyte, and those of which a program's heap
 * may mostly consist: 400 (jq), 4368 (sqlite3), 4800 and 11200 (gawk). */
/* clang-format off */
#define CLASSES \
    CLASS(0, 0, 16) CLASS(1, 16, 32) CLASS(2, 32, 48) CLASS(3, 48, 64) \
    CLASS(4, 64, 80) CLASS(5, 80, 96) CLASS(6, 96, 112) CLASS(7, 112, 128) \
    CLASS(8, 128, 144) CLASS(9, 144, 160) CLASS(10, 160, 176) CLASS(11, 176, 192) \
    CLASS(12, 192, 208) CLASS(13, 208, 224) CLASS(14, 224, 240) CLASS(15, 240, 256) \
    CLASS(16, 256, 288) CLASS(17, 288, 320) CLASS(18, 320, 352) CLASS(19, 352, 384) \
    CLASS(20, 384, 400) CLASS(21, 400, 416) CLASS(22, 416, 448) CLASS(23, 448, 480) \
    CLASS(24, 480, 512) CLASS(25, 512, 576) CLASS(26, 576, 640) CLASS(27, 640, 704) \
    CLASS(28, 704, 768) CLASS(29, 768, 832) CLASS(30, 832, 896) CLASS(31, 896, 960) \
    CLASS(32, 960, 1024) CLASS(33, 1024, 1040) CLASS(34, 1040, 1152) CLASS(35, 1152, 1280) \
    CLASS(36, 1280, 1408) CLASS(37, 1408, 1536) CLASS(38, 1536, 1664) CLASS(39, 1664, 1792) \
    CLASS(40, 1792, 1920) CLASS(41, 1920, 2048) CLASS(42, 2048, 2112) CLASS(43, 2112, 2176) \
    CLASS(44, 2176, 2240) CLASS(45, 2240, 2304) CLASS(46, 2304, 2368) CLASS(47, 2368, 2496) \
    CLASS(48, 2496, 2560) CLASS(49, 2560, 2688) CLASS(50, 2688, 2816) CLASS(51, 2816, 2944) \
    CLASS(52, 2944, 3072) CLASS(53, 3072, 3264) CLASS(54, 3264, 3392) CLASS(55, 3392, 3584) \
    CLASS(56, 3584, 3840) CLASS(57, 3840, 4096) CLASS(58, 4096, 4368) CLASS(59, 4368, 4672) \
    CLASS(60, 4672, 4800) CLASS(61, 4800, 4992) CLASS(62, 4992, 5440) CLASS(63, 5440, 5952) \
    CLASS(64, 5952, 6528) CLASS(65, 6528, 7232) CLASS(66, 7232, 8192) CLASS(67, 8192, 8704) \
    CLASS(68, 8704, 9344) CLASS(69, 9344, 10048) CLASS(70, 10048, 10880) CLASS(71, 10880, 11200) \
    CLASS(72, 11200, 11904) CLASS(73, 11904, 13056) CLASS(74, 13056, 14528) CLASS(75, 14528, 16384) \
    CLASS(76, 16384, 17472) CLASS(77, 17472, 18688) CLASS(78, 18688, 20160) CLASS(79, 20160, 21824) \
    CLASS(80, 21824, 23808) CLASS(81, 23808, 26176) CLASS(82, 26176, 29120) CLASS(83, 29120, 32768)
/* clang-format on */

#define CLASS(class, before, size) [(before) / GRANULE + 1 ...(size) / GRANULE] = (class),
uint8_t size_class_of_granules[SMALL_MAX / GRANULE + 1] = {[0] = 0, CLASSES};
#undef CLASS

#define CLASS(class, before, size) [class] = (size),
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

void size_class_start(bool guards, bool exact) {
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
        size_class_of_granules[0] = EMPTY_CLASS;
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
