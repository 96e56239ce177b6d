#include "canary.h"

#include "base/bits.h"
#include "os/os.h"

struct canaries canaries = {.multiplier = CANARY_MULTIPLIER, .bits = CANARY_BITS};

void canary_start(void) {
    canaries.secret = (os_random() & CANARY_BITS) | UINT64_C(0x8080808080808080);
}

const unsigned char canary_masks[sizeof(canary_pair) + CANARY_MAX] = {
    [sizeof(canary_pair)... sizeof(canary_pair) + CANARY_MAX - 1] = 0xff,
};

/* The canary in the pairs before the last one, down to that in which the block ends. Two at a time: most slacks need no
 * more, so the loop's end is easy to predict. The second one may hold no canary, or lie before the block;
 * then its mask is empty. */
static size_t less_a_pair(size_t slack) {
    return slack < sizeof(canary_pair) ? 0 : slack - sizeof(canary_pair);
}

ALWAYS_INLINE void write_pair(canary_pair *at, uint64_t canary, size_t slack) {
    const canary_pair mask = canary_mask(slack);
    *at = (*at & ~mask) | ((canary_pair){canary, canary} & mask);
}

void canary_write_long(void *block, size_t size, size_t room) {
    const uint64_t canary = canary_of(block);
    canary_pair *at = (canary_pair *)((char *)block + room) - 1;
    size_t slack = room - size - sizeof *at;
    while (slack != 0) {
        at -= 2;
        write_pair(at + 1, canary, slack);
        slack = less_a_pair(slack);
        write_pair((char *)at < (char *)block ? block : at, canary, slack);
        slack = less_a_pair(slack);
    }
}

RACY_INLINE uint64_t wrong_in_pair(const canary_word *at, uint64_t canary, size_t slack) {
    return ((at[1] ^ canary) & canary_mask_of_word(slack, true)) |
           ((at[0] ^ canary) & canary_mask_of_word(slack, false));
}

RACY_READER bool canary_intact_long(const void *block, size_t size, size_t room) {
    const uint64_t canary = canary_of(block);
    const canary_word *at = (const canary_word *)((const char *)block + room) - 2;
    size_t slack = room - size - sizeof(canary_pair);
    uint64_t wrong = 0;
    while (slack != 0) {
        at -= 4;
        wrong |= wrong_in_pair(at + 2, canary, slack);
        slack = less_a_pair(slack);
        wrong |= wrong_in_pair((const char *)at < (const char *)block ? block : at, canary, slack);
        slack = less_a_pair(slack);
    }
    return wrong == 0;
}

static void add(struct damage *damage, size_t at) {
    if (damage->count == 0) {
        damage->first = at;
    }
    damage->last = at;
    damage->count++;
}

RACY_READER struct damage canary_damage(const void *block, size_t size, size_t room) {
    const uint64_t canary = canary_of(block);
    const unsigned char *bytes = block;
    struct damage damage = {0};
    for (size_t at = size; at < room; at++) {
        if (bytes[at] != ((const unsigned char *)&canary)[at % CANARY_WORD]) {
            add(&damage, at);
        }
    }
    return damage;
}

/* The last eight pairs, then eight at a time, which may overlap those. */
void zero_write_long(void *start, size_t bytes) {
    const canary_pair zero = {0, 0};
    canary_pair *last = (canary_pair *)((char *)start + bytes) - 8;
    last[0] = last[1] = last[2] = last[3] = last[4] = last[5] = last[6] = last[7] = zero;
    for (canary_pair *at = start; at < last; at += 8) {
        at[0] = at[1] = at[2] = at[3] = at[4] = at[5] = at[6] = at[7] = zero;
        CANARY_KEEP_LOOP();
    }
}

RACY_INLINE canary_pair any_of_eight(const canary_pair *at) {
    return ((at[0] | at[1]) | (at[2] | at[3])) | ((at[4] | at[5]) | (at[6] | at[7]));
}

RACY_READER bool zero_intact_long(const void *start, size_t bytes) {
    const canary_pair *last = (const canary_pair *)((const char *)start + bytes) - 8;
    canary_pair any = any_of_eight(last);
    for (const canary_pair *at = start; at < last; at += 8) {
        any |= any_of_eight(at);
    }
    return (any[0] | any[1]) == 0;
}

RACY_READER struct damage zero_damage(const void *start, size_t bytes) {
    const unsigned char *memory = start;
    struct damage damage = {0};
    for (size_t at = 0; at < bytes; at++) {
        if (memory[at] != 0) {
            add(&damage, at);
        }
    }
    return damage;
}
