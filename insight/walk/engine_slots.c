#include "walk/engine_slots.h"

#include <string.h>

#include "support/support.h"

/* count is at most 64. */
static uint64_t bits_of(const uint64_t *words, uint64_t first, unsigned count) {
    uint64_t bits = words[first / 64] >> first % 64;
    if (first % 64 != 0 && first % 64 + count > 64) {
        bits |= words[first / 64 + 1] << (64 - first % 64);
    }
    return count < 64 ? bits & (((uint64_t)1 << count) - 1) : bits;
}

/* Without a processor instruction, the compiler's own function takes twice as long. */
static inline unsigned ones(uint64_t bits) {
    bits -= bits >> 1 & UINT64_C(0x5555555555555555);
    bits = (bits & UINT64_C(0x3333333333333333)) + (bits >> 2 & UINT64_C(0x3333333333333333));
    bits = (bits + (bits >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return (unsigned)(bits * UINT64_C(0x0101010101010101) >> 56);
}

static unsigned count_bits(const uint64_t *words, uint64_t first, uint64_t count) {
    unsigned sum = 0;
    for (uint64_t at = 0; at < count; at += 64) {
        sum += ones(bits_of(words, first + at, (unsigned)smaller(count - at, 64)));
    }
    return sum;
}

/* In whole words: each byte counts its own, for 31 words before it might overflow. */
static uint64_t count_words(const uint64_t *words, size_t count) {
    uint64_t sum = 0;
    while (count != 0) {
        const size_t part = count < 31 ? count : 31;
        uint64_t bytes = 0;
        for (size_t i = 0; i < part; i++) {
            uint64_t bits = words[i];
            bits -= bits >> 1 & UINT64_C(0x5555555555555555);
            bits = (bits & UINT64_C(0x3333333333333333)) + (bits >> 2 & UINT64_C(0x3333333333333333));
            bytes += (bits + (bits >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
        }
        bytes = (bytes & UINT64_C(0x00ff00ff00ff00ff)) + (bytes >> 8 & UINT64_C(0x00ff00ff00ff00ff));
        sum += bytes * UINT64_C(0x0001000100010001) >> 48;
        words += part;
        count -= part;
    }
    return sum;
}

static bool bit(const uint64_t *words, uint64_t at) {
    return words[at / 64] >> at % 64 & 1;
}

/* No bit behind the last slot is set. */
unsigned engine_slots_free(const struct engine_walk *walk) {
    return (unsigned)count_words(walk->free, (walk->span.slots + 63) / 64);
}

enum engine_state engine_slot_state(const struct engine_walk *walk, unsigned slot) {
    const struct engine *engine = walk->engine;
    uint64_t granule = slot * engine->classes[walk->span.size_class].size / engine->granule;
    if (bit(walk->free, slot)) {
        return STATE_FREE;
    }
    if (!bit(walk->live, granule)) {
        return STATE_CACHED;
    }
    return bit(walk->remote, granule) ? STATE_REMOTE : STATE_LIVE;
}

/* Slots from .. to - 1, whose granules are from * step .. */
static void count_slots(const struct engine_walk *walk, uint64_t from, uint64_t to, uint64_t slots[STATES]) {
    const struct engine *engine = walk->engine;
    uint64_t size = engine->classes[walk->span.size_class].size;
    uint64_t first = from * size / engine->granule;
    uint64_t last = to * size / engine->granule;
    uint64_t live = 0;
    uint64_t remote = 0;
    memset(slots, 0, STATES * sizeof *slots);
    for (uint64_t at = first; at < last; at += 64) {
        unsigned count = (unsigned)smaller(last - at, 64);
        uint64_t bits = bits_of(walk->live, at, count);
        uint64_t freed = bits_of(walk->remote, at, count);
        live += ones(bits & ~freed);
        remote += ones(bits & freed);
    }
    slots[STATE_FREE] = count_bits(walk->free, from, to - from);
    slots[STATE_LIVE] = smaller(live, to - from - slots[STATE_FREE]);
    if (walk->span.unsettled && remote != 0) {
        /* Some remotely freed slots are free already. */
        remote = 0;
        for (uint64_t slot = from; slot < to; slot++) {
            remote += engine_slot_state(walk, (unsigned)slot) == STATE_REMOTE;
        }
    }
    uint64_t rest = to - from - slots[STATE_FREE] - slots[STATE_LIVE];
    slots[STATE_REMOTE] = smaller(remote, rest);
    slots[STATE_CACHED] = rest - slots[STATE_REMOTE];
}

void engine_slab_states(const struct engine_walk *walk, uint64_t slots[STATES]) {
    const struct engine *engine = walk->engine;
    if (walk->has_remote) {
        count_slots(walk, 0, walk->span.slots, slots);
        return;
    }
    const size_t words = walk->span.units * engine->unit / engine->granule / 64;
    slots[STATE_FREE] = engine_slots_free(walk);
    slots[STATE_REMOTE] = 0;
    slots[STATE_LIVE] = smaller(count_words(walk->live, words), walk->span.slots - slots[STATE_FREE]);
    slots[STATE_CACHED] = walk->span.slots - slots[STATE_FREE] - slots[STATE_LIVE];
}

bool engine_page_free(const struct engine_walk *walk, uint64_t offset, uint64_t end) {
    const uint32_t size = (uint32_t)walk->engine->classes[walk->span.size_class].size;
    const uint32_t to = ((uint32_t)end + size - 1) / size;
    for (uint32_t slot = (uint32_t)offset / size; slot < to; slot += 64) {
        const unsigned count = to - slot < 64 ? to - slot : 64;
        if (bits_of(walk->free, slot, count) != UINT64_MAX >> (64 - count)) {
            return false;
        }
    }
    return true;
}

void engine_page_states(const struct engine_walk *walk, uint64_t offset, uint64_t page_size, uint64_t bytes[STATES]) {
    const uint64_t size = walk->engine->classes[walk->span.size_class].size;
    const uint64_t end = smaller(offset + page_size, walk->span.slots * size);
    memset(bytes, 0, STATES * sizeof *bytes);
    if (offset >= end) {
        return;
    }
    uint64_t from = (offset + size - 1) / size; /* the first slot that begins on the page */
    uint64_t to = end / size;                   /* the first that does not end on it */
    if (offset % size != 0) {
        bytes[engine_slot_state(walk, (unsigned)(offset / size))] += smaller(from * size, end) - offset;
    }
    if (to > from) {
        uint64_t slots[STATES];
        count_slots(walk, from, to, slots);
        for (unsigned state = 0; state < STATES; state++) {
            bytes[state] += slots[state] * size;
        }
    }
    if (to >= from && to * size < end) {
        bytes[engine_slot_state(walk, (unsigned)to)] += end - to * size;
    }
}
