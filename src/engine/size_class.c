#include "size_class.h"

#include "base/bits.h"
#include "magazine.h"

#define SLOTS_MIN 8u

/* A magazine holds no more than this many bytes of blocks: what an idle thread may keep from the others. */
#define MAGAZINE_BYTES ((size_t)64 << 10)

struct size_class size_classes[SIZE_CLASSES];

/*
 * CLASS(class, before, size): the class serves requests of more than `before` and up to `size` bytes. 16 bytes apart up
 * to 128, eight to a doubling up to 2 KiB; from there on the parts of a slab: 1/31 to 1/8 of a unit, 1/15 to 1/8 of two
 * units, 1/15 to 1/8 of four, each rounded down to a granule, so that a slab ends with less than a slot's granules to
 * spare.
 */
/* clang-format off */
#define CLASSES \
    CLASS(0, 0, 16) CLASS(1, 16, 32) CLASS(2, 32, 48) CLASS(3, 48, 64) \
    CLASS(4, 64, 80) CLASS(5, 80, 96) CLASS(6, 96, 112) CLASS(7, 112, 128) \
    CLASS(8, 128, 144) CLASS(9, 144, 160) CLASS(10, 160, 176) CLASS(11, 176, 192) \
    CLASS(12, 192, 208) CLASS(13, 208, 224) CLASS(14, 224, 240) CLASS(15, 240, 256) \
    CLASS(16, 256, 288) CLASS(17, 288, 320) CLASS(18, 320, 352) CLASS(19, 352, 384) \
    CLASS(20, 384, 416) CLASS(21, 416, 448) CLASS(22, 448, 480) CLASS(23, 480, 512) \
    CLASS(24, 512, 576) CLASS(25, 576, 640) CLASS(26, 640, 704) CLASS(27, 704, 768) \
    CLASS(28, 768, 832) CLASS(29, 832, 896) CLASS(30, 896, 960) CLASS(31, 960, 1024) \
    CLASS(32, 1024, 1152) CLASS(33, 1152, 1280) CLASS(34, 1280, 1408) CLASS(35, 1408, 1536) \
    CLASS(36, 1536, 1664) CLASS(37, 1664, 1792) CLASS(38, 1792, 1920) CLASS(39, 1920, 2048) \
    CLASS(40, 2048, 2112) CLASS(41, 2112, 2176) CLASS(42, 2176, 2256) CLASS(43, 2256, 2336) \
    CLASS(44, 2336, 2416) CLASS(45, 2416, 2512) CLASS(46, 2512, 2608) CLASS(47, 2608, 2720) \
    CLASS(48, 2720, 2848) CLASS(49, 2848, 2976) CLASS(50, 2976, 3120) CLASS(51, 3120, 3264) \
    CLASS(52, 3264, 3440) CLASS(53, 3440, 3632) CLASS(54, 3632, 3840) CLASS(55, 3840, 4096) \
    CLASS(56, 4096, 4368) CLASS(57, 4368, 4672) CLASS(58, 4672, 5040) CLASS(59, 5040, 5456) \
    CLASS(60, 5456, 5952) CLASS(61, 5952, 6544) CLASS(62, 6544, 7280) CLASS(63, 7280, 8192) \
    CLASS(64, 8192, 8736) CLASS(65, 8736, 9360) CLASS(66, 9360, 10080) CLASS(67, 10080, 10912) \
    CLASS(68, 10912, 11904) CLASS(69, 11904, 13104) CLASS(70, 13104, 14560) CLASS(71, 14560, 16384) \
    CLASS(72, 16384, 17472) CLASS(73, 17472, 18720) CLASS(74, 18720, 20160) CLASS(75, 20160, 21840) \
    CLASS(76, 21840, 23824) CLASS(77, 23824, 26208) CLASS(78, 26208, 29120) CLASS(79, 29120, 32768)
/* clang-format on */

#define CLASS(class, before, size) [(before) / GRANULE + 1 ...(size) / GRANULE] = (class),
const uint8_t size_class_of_granules[SMALL_MAX / GRANULE + 1] = {[0] = 0, CLASSES};
#undef CLASS

#define CLASS(class, before, size) [class] = (size),
static const uint16_t class_sizes[SIZE_CLASSES] = {CLASSES};
#undef CLASS

static uint16_t most_in_magazine(uint32_t size) {
    size_t capacity = MAGAZINE_BYTES / size;
    return (uint16_t)(capacity < MAGAZINE_MAX ? capacity : MAGAZINE_MAX);
}

void size_class_start(void) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        uint32_t size = class_sizes[size_class];
        size_t units = 1;
        while (units * UNIT < SLOTS_MIN * (size_t)size) {
            units *= 2;
        }
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
