/*
 * canary.h - bytes that reveal stray writes: behind a block's last byte, and in blocks that nobody holds.
 *
 * With harden=full, the rest of a block's slot or last page is filled with a repeated value of 8 bytes. It depends on a
 * secret of the process and on the block's address, so one block's canary is useless for another. Each byte is between
 * 0x80 and 0xbf, because overflows mostly write zeros, text, or 0xff.
 *
 * A free slot reads as zero. Rooms start at a multiple of 16, and their sizes are multiples of 16.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* May alias memory of any type. */
typedef uint64_t __attribute__((may_alias)) canary_word;
typedef uint64_t __attribute__((vector_size(16), may_alias)) canary_pair;

#define CANARY_WORD sizeof(canary_word)

/* Keeps the compiler from replacing a loop by a call of libc. */
#define CANARY_KEEP_LOOP() __asm__ __volatile__("" ::: "memory")

/* The bits that vary; of the others, the highest of each byte is set. */
#define CANARY_BITS UINT64_C(0x3f3f3f3f3f3f3f3f)

/* Rooms up to this size are cleared and checked without a loop: in pairs from both ends, which may overlap. */
#define CANARY_INLINE_MAX ((size_t)256)

/* What canary_of computes with; readers from outside use it too. The multiplier is splitmix64's. */
struct canaries {
    uint64_t secret; /* set at the start */
    uint64_t multiplier;
    uint64_t bits;
};
#define CANARY_MULTIPLIER UINT64_C(0xbf58476d1ce4e5b9)
extern HIDDEN struct canaries canaries;

/* Chooses the secret. */
void canary_start(void);

/* Each byte is one of the secret's with some of its lower 6 bits inverted. The constants are in memory, beside the
 * secret: immediate values take more instructions. */
ALWAYS_INLINE uint64_t canary_of(const void *block) {
    return canaries.secret ^ ((uintptr_t)block * canaries.multiplier & canaries.bits);
}

/* The slack, from a block's end to its room's, is less than this. */
#define CANARY_MAX ((size_t)4096)

/* 16 bytes of zeros, then CANARY_MAX of ones. */
extern HIDDEN const unsigned char canary_masks[sizeof(canary_pair) + CANARY_MAX];

/* The bytes of a room's last pair (or of one of its last two words) that do not belong to its block. */
ALWAYS_INLINE canary_pair canary_mask(size_t slack) {
    typedef canary_pair __attribute__((aligned(1))) anywhere;
    return *(const anywhere *)(canary_masks + slack);
}

ALWAYS_INLINE uint64_t canary_mask_of_word(size_t slack, bool last) {
    typedef canary_word __attribute__((aligned(1))) anywhere;
    return *(const anywhere *)(canary_masks + (last ? CANARY_WORD : 0) + slack);
}

/* The canary before a room's last pair, for a longer slack. Checked by words, as in canary_intact_short. */
void canary_write_long(void *block, size_t size, size_t room);
bool canary_intact_long(const void *block, size_t size, size_t room);

/* Fills block[size .. room - 1]. canary_write_slot is for rooms whose last pair may be overwritten. */
ALWAYS_INLINE void canary_write_slot(void *block, size_t size, size_t room) {
    const uint64_t canary = canary_of(block);
    const canary_pair mask = canary_mask(room - size);
    canary_pair *last = (canary_pair *)((char *)block + room) - 1;
    *last = (*last & ~mask) | ((canary_pair){canary, canary} & mask);
    if (UNLIKELY(room - size > sizeof *last)) {
        canary_write_long(block, size, room);
    }
}

/* For a slot that reads as zero, with a slack of at most a pair. */
ALWAYS_INLINE void canary_write_zero_short(void *block, size_t slack, size_t room) {
    const uint64_t canary = canary_of(block);
    ((canary_pair *)((char *)block + room))[-1] = (canary_pair){canary, canary} & canary_mask(slack);
}

ALWAYS_INLINE void canary_write_zero(void *block, size_t size, size_t room) {
    canary_write_zero_short(block, room - size, room);
    if (UNLIKELY(room - size > sizeof(canary_pair))) {
        canary_write_long(block, size, room);
    }
}

ALWAYS_INLINE void canary_write(void *block, size_t size, size_t room) {
    if (size != room) {
        canary_write_slot(block, size, room);
    }
}

/* By words, as most programs write them: a pair that two stores have written is slow to load. */
RACY_INLINE bool canary_intact_short(const void *block, size_t slack, size_t room) {
    const uint64_t canary = canary_of(block);
    const canary_word *end = (const canary_word *)((const char *)block + room);
    return LIKELY((((end[-1] ^ canary) & canary_mask_of_word(slack, true)) |
                   ((end[-2] ^ canary) & canary_mask_of_word(slack, false))) == 0);
}

/* The same for any slack. */
RACY_INLINE bool canary_intact(const void *block, size_t size, size_t room) {
    return canary_intact_short(block, room - size, room) &&
           (LIKELY(room - size <= sizeof(canary_pair)) || canary_intact_long(block, size, room));
}

/* Checks the last bytes, which an overflow from either side changes. */
RACY_INLINE bool canary_end_intact(const void *block, size_t slack, size_t room) {
    const canary_word *last = (const canary_word *)((const char *)block + room) - 1;
    return LIKELY(((*last ^ canary_of(block)) & canary_mask_of_word(slack, true)) == 0);
}

/* A block's changed bytes: `count` of them, from `first` to `last`, counted from its start; 0: none. */
struct damage {
    size_t first;
    size_t last;
    size_t count;
};
struct damage canary_damage(const void *block, size_t size, size_t room);

/* Clear memory; check that it reads as zero, and find the bytes that do not. Without libc's functions, whose names may
 * lead to a library that checks writes to blocks. The first two are for more than CANARY_INLINE_MAX bytes. */
void zero_write_long(void *start, size_t bytes);
bool zero_intact_long(const void *start, size_t bytes);
struct damage zero_damage(const void *start, size_t bytes);

/* Rooms up to CANARY_INLINE_MAX are groups of four pairs, which overlap in all but the longest. Here and below, a
 * single branch depends on the length, for less than four pairs: programs mix sizes, so further ones would often be
 * mispredicted, which takes longer than clearing a pair twice. */
struct canary_groups {
    size_t second;
    size_t third;
    size_t last;
};

/* The offsets of the groups behind the first one, given that of the last pair. */
ALWAYS_INLINE struct canary_groups canary_groups(size_t to) {
    const size_t last = to - 3 * sizeof(canary_pair);
    return (struct canary_groups){
        .second = last < 4 * sizeof(canary_pair) ? last : 4 * sizeof(canary_pair),
        .third = last < 8 * sizeof(canary_pair) ? last : 8 * sizeof(canary_pair),
        .last = last,
    };
}

ALWAYS_INLINE void zero_write_group(void *start, size_t offset) {
    canary_pair *at = (canary_pair *)((char *)start + offset);
    at[0] = at[1] = at[2] = at[3] = (canary_pair){0, 0};
}

RACY_INLINE canary_pair canary_group_or(const void *start, size_t offset) {
    const canary_pair *at = (const canary_pair *)((const char *)start + offset);
    return (at[0] | at[1]) | (at[2] | at[3]);
}

/* For at most CANARY_INLINE_MAX bytes: the last pair of them is `to` bytes from the start. */
ALWAYS_INLINE void zero_write_short(void *start, size_t to) {
    char *first = start;
    if (to > 3 * sizeof(canary_pair)) {
        const struct canary_groups groups = canary_groups(to);
        zero_write_group(first, 0);
        zero_write_group(first, groups.second);
        zero_write_group(first, groups.third);
        zero_write_group(first, groups.last);
    } else {
        const size_t by = to < sizeof(canary_pair) ? to : sizeof(canary_pair);
        *(canary_pair *)first = *(canary_pair *)(first + by) = (canary_pair){0, 0};
        *(canary_pair *)(first + to - by) = *(canary_pair *)(first + to) = (canary_pair){0, 0};
    }
}

ALWAYS_INLINE void zero_write(void *start, size_t bytes) {
    if (UNLIKELY(bytes > CANARY_INLINE_MAX)) {
        zero_write_long(start, bytes);
    } else {
        zero_write_short(start, bytes - sizeof(canary_pair));
    }
}

RACY_INLINE bool zero_intact(const void *start, size_t bytes) {
    if (UNLIKELY(bytes > CANARY_INLINE_MAX)) {
        return zero_intact_long(start, bytes);
    }
    const char *first = start;
    const size_t to = bytes - sizeof(canary_pair);
    canary_pair any;
    if (to > 3 * sizeof(canary_pair)) {
        const struct canary_groups groups = canary_groups(to);
        any = (canary_group_or(first, 0) | canary_group_or(first, groups.second)) |
              (canary_group_or(first, groups.third) | canary_group_or(first, groups.last));
    } else {
        const size_t by = to < sizeof(canary_pair) ? to : sizeof(canary_pair);
        any = (*(const canary_pair *)first | *(const canary_pair *)(first + by)) |
              (*(const canary_pair *)(first + to - by) | *(const canary_pair *)(first + to));
    }
    return (any[0] | any[1]) == 0;
}
