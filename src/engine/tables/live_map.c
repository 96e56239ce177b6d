#include "live_map.h"

#include "base/bits.h"

_Atomic(void *) live_suspect_block;

#define UNIT_WORDS (UNIT / GRANULE / LIVE_WORD_BITS)

bool live_end(const void *block) {
    struct live_word *word = live_word_of(block);
    if (!live_test(block)) {
        return false;
    }
    uint64_t live = atomic_load_explicit(&word->live, memory_order_relaxed);
    atomic_store_explicit(&word->live, live & ~live_bit_of(block), memory_order_relaxed);
    return true;
}

void live_settle(struct live_word *word, uint64_t bits) {
    uint64_t live = atomic_load_explicit(&word->live, memory_order_relaxed);
    atomic_store_explicit(&word->live, live & ~bits, memory_order_relaxed);
    /* Release: live_end_remotely (acquire) must not find remote clear and live still set. */
    atomic_fetch_and_explicit(&word->remote, ~bits, memory_order_release);
}

bool live_take_over(const void *block) {
    struct live_word *word = live_word_of(block);
    uint64_t bit = live_bit_of(block);
    /* Acquire: what the block's last user did precedes what the next one does. */
    return (atomic_load_explicit(&word->remote, memory_order_acquire) & bit) != 0 &&
           (atomic_fetch_and_explicit(&word->remote, ~bit, memory_order_acq_rel) & bit) != 0;
}

size_t live_count(size_t first, size_t units) {
    const struct live_word *word = live_words_of_unit(first);
    const struct live_word *end = word + units * UNIT_WORDS;
    size_t count = 0;
    for (; word < end; word++) {
        uint64_t live = atomic_load_explicit(&word->live, memory_order_relaxed);
        count += count_bits(live & ~atomic_load_explicit(&word->remote, memory_order_relaxed));
    }
    return count;
}

size_t live_count_bits(size_t first, size_t units) {
    const struct live_word *word = live_words_of_unit(first);
    const struct live_word *end = word + units * UNIT_WORDS;
    size_t count = 0;
    for (; word < end; word++) {
        count += count_bits_of_two(atomic_load_explicit(&word->live, memory_order_relaxed),
                                   atomic_load_explicit(&word->remote, memory_order_relaxed));
    }
    return count;
}

void *live_find_remote(size_t unit) {
    struct live_word *word = live_words_of_unit(unit);
    for (size_t i = 0; i < UNIT_WORDS; i++) {
        uint64_t remote = atomic_load_explicit(&word[i].remote, memory_order_seq_cst);
        if (remote != 0) {
            return (char *)window_address(unit) + i * LIVE_WORD_BYTES + lowest_bit(remote) * GRANULE;
        }
    }
    return NULL;
}
