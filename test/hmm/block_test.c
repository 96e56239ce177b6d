/*
 * block_test.c - headers of blocks: what they store, and that no damage to them goes unnoticed.
 */
#include "support/test.h"

#include <string.h>

#include "hmm/block.h"
#include "hmm/heap_state.h"
#include "support/random.h"

/* Memory as in the heap: a block's header at 8 mod 16. */
static _Alignas(16) unsigned char memory[4096];

static struct block *block_in_memory(size_t grain) {
    return block_of(memory + BLOCK_ALIGN * grain);
}

static void a_block_is_no_larger_than_its_request_needs(void) {
    assert_int_equal(block_size_for(0), BLOCK_MIN);
    assert_int_equal(block_size_for(24), BLOCK_MIN);
    assert_int_equal(block_size_for(25), 48);
    for (size_t request = 0; request < 5000; request++) {
        size_t size = block_size_for(request);
        assert_int_equal(size % BLOCK_ALIGN, 0);
        assert_in_range(size - BLOCK_HEADER, request, request + (request < 24 ? 24 : 15));
    }
}

static void a_tag_is_read_back(void) {
    struct block *block = block_in_memory(1);
    for (uint64_t size = BLOCK_MIN; size <= BLOCK_SIZE_MAX; size = size * 3 / 2 / BLOCK_ALIGN * BLOCK_ALIGN) {
        for (uint64_t states = 0; states <= BLOCK_STATE; states++) {
            block_set_tag(block, size | states);
            assert_true(block_sound(block));
            assert_int_equal(block_size(block), size);
            assert_int_equal(block_tag(block), size | states);
        }
    }
}

static void every_flipped_bit_is_seen(void) {
    struct random random = random_start();
    for (int i = 0; i < 1000; i++) {
        hmm_block_secret = (uintptr_t)random_next(&random) | 1;
        struct block *block = block_in_memory(1 + random_below(&random, 200));
        block_set_tag(block, round_down((size_t)random_magnitude(&random, 40), BLOCK_ALIGN) | BLOCK_USED);
        for (unsigned bit = 0; bit < 64; bit++) {
            block->header ^= UINT64_C(1) << bit;
            assert_false(block_sound(block));
            block->header ^= UINT64_C(1) << bit;
        }
        assert_true(block_sound(block));
    }
}

/* Words that a program may have written there: zeros, text, pointers, small numbers, and another block's header. */
static void other_data_does_not_pass_for_a_header(void) {
    struct random random = random_start();
    size_t passed = 0;
    for (int i = 0; i < 100000; i++) {
        hmm_block_secret = (uintptr_t)random_next(&random) | 1;
        struct block *block = block_in_memory(1 + random_below(&random, 100));
        struct block *other = block_in_memory(101 + random_below(&random, 100));
        memset(block, i, BLOCK_MIN);
        passed += block_sound(block);
        block->header = (uintptr_t)block_payload(other);
        passed += block_sound(block);
        block->header = random_magnitude(&random, 32);
        passed += block_sound(block);
        block_set_tag(other, round_down((size_t)random_magnitude(&random, 20), BLOCK_ALIGN) | BLOCK_USED);
        block->header = other->header;
        passed += block_sound(block);
        block_forget(block);
        passed += block_sound(block) && block_size(block) != 0;
    }
    assert_in_range(passed, 0, 2); /* one in 2^24 is expected */
}

/*
 * Somebody who reads a header at another address, or an older one at the same address, and knows how address and size
 * differ, cannot forge one.
 */
static void other_headers_do_not_tell_how_to_forge_one(void) {
    struct random random = random_start();
    size_t passed = 0;
    for (int i = 0; i < 100000; i++) {
        hmm_block_secret = (uintptr_t)random_next(&random) | 1;
        uintptr_t difference = BLOCK_ALIGN << random_below(&random, 6);
        uintptr_t more = BLOCK_ALIGN << random_below(&random, 6);
        struct block *block = block_in_memory(64);
        struct block *other = block_of((char *)block_payload(block) + difference);
        uintptr_t tag = 1024 | BLOCK_USED | BLOCK_PREV_USED;
        block->header = (block_seal(other, tag) & ~BLOCK_TAG) | (tag ^ difference);
        passed += block_sound(block);
        block->header = (block_seal(other, tag) & ~BLOCK_TAG) | (tag - difference);
        passed += block_sound(block);
        block->header = (block_seal(block, tag) & ~BLOCK_TAG) | (tag + difference);
        passed += block_sound(block);
        block->header = (block_seal(block, tag) & ~BLOCK_TAG) | (tag ^ difference ^ more ^ 8192);
        passed += block_sound(block);
    }
    assert_in_range(passed, 0, 4); /* one in 2^20 or less is expected */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(a_block_is_no_larger_than_its_request_needs),
        PLAIN(a_tag_is_read_back),
        PLAIN(every_flipped_bit_is_seen),
        PLAIN(other_headers_do_not_tell_how_to_forge_one),
        PLAIN(other_data_does_not_pass_for_a_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
