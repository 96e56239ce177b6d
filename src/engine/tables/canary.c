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

/* From the last pair but one down to that in which the block ends. */
void canary_write_long(void *block, size_t size, size_t room) {
    const uint64_t canary = canary_of(block);
    canary_pair *at = (canary_pair *)((char *)block + room) - 1;
    for (size_t slack = room - size - sizeof *at; slack != 0; slack -= min_size(slack, sizeof *at)) {
        const canary_pair mask = canary_mask(slack);
        at--;
        *at = (*at & ~mask) | ((canary_pair){canary, canary} & mask);
    }
}

RACY_READER bool canary_intact_long(const void *block, size_t size, size_t room) {
    const uint64_t canary = canary_of(block);
    const canary_word *at = (const canary_word *)((const char *)block + room) - 2;
    uint64_t wrong = 0;
    for (size_t slack = room - size - sizeof(canary_pair); slack != 0; slack -= min_size(slack, sizeof(canary_pair))) {
        at -= 2;
        wrong |= (at[1] ^ canary) & canary_mask_of_word(slack, true);
        wrong |= (at[0] ^ canary) & canary_mask_of_word(slack, false);
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

/* Eight pairs at a time, then four, then the last four, which may overlap those. */
void zero_write_long(void *start, size_t bytes) {
    const canary_pair zero = {0, 0};
    canary_pair *at = start;
    canary_pair *end = (canary_pair *)((char *)start + bytes);
    for (; end - at >= 8; at += 8) {
        at[0] = at[1] = at[2] = at[3] = at[4] = at[5] = at[6] = at[7] = zero;
        CANARY_KEEP_LOOP();
    }
    if (end - at >= 4) {
        at[0] = at[1] = at[2] = at[3] = zero;
    }
    end[-1] = end[-2] = end[-3] = end[-4] = zero;
}

RACY_READER bool zero_intact_long(const void *start, size_t bytes) {
    const canary_pair *at = start;
    const canary_pair *end = (const canary_pair *)((const char *)start + bytes);
    canary_pair any = (end[-1] | end[-2]) | (end[-3] | end[-4]);
    for (; end - at >= 8; at += 8) {
        any |= ((at[0] | at[1]) | (at[2] | at[3])) | ((at[4] | at[5]) | (at[6] | at[7]));
    }
    if (end - at >= 4) {
        any |= (at[0] | at[1]) | (at[2] | at[3]);
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
