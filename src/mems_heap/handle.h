/*
 * handle.h - handles: virtual addresses with a space's number and a generation above them.
 *
 *   | generation: 11 bits | number of the space: 5 bits | virtual address: 48 bits |
 *
 * In a space with generations, a handle names the space and the block's generation, so it is recognised as stale after
 * the block has been freed, even if another block has its address, unless the place, or one merged with it, has been
 * used 2^11 times since. Offsets are added as to an address. A space without generations has number 0: its handles are
 * plain addresses.
 */
#pragma once

#include "dict.h"

#define HANDLE_NUMBER_BITS 5u
#define HANDLE_GENERATION_BITS LEAF_GENERATION_BITS
#define HANDLE_NUMBERS (1u << HANDLE_NUMBER_BITS)
#define HANDLE_GENERATIONS (1u << HANDLE_GENERATION_BITS)
#define HANDLE_ADDRESS_LAST (((uintptr_t)1 << DICT_ADDRESS_BITS) - 1)

_Static_assert(DICT_ADDRESS_BITS + HANDLE_NUMBER_BITS + HANDLE_GENERATION_BITS == 64, "a handle fills a word");

static inline uintptr_t handle_address(uintptr_t handle) {
    return handle & HANDLE_ADDRESS_LAST;
}

static inline uint32_t handle_number(uintptr_t handle) {
    return (uint32_t)(handle >> DICT_ADDRESS_BITS) % HANDLE_NUMBERS;
}

/* Of the block that a handle names, in the form of leaf_tag_of. */
static inline uint16_t handle_tag(uintptr_t handle) {
    return (uint16_t)(handle >> (DICT_ADDRESS_BITS + HANDLE_NUMBER_BITS) | LEAF_TAG_ALIVE);
}

/* Whether a handle has this space's number and this block's generation, whatever its address. */
static inline bool handle_fits(uintptr_t handle, uint32_t number, uint32_t tag) {
    return handle_number(handle) == number && leaf_tag_of(tag, number != 0) == handle_tag(handle);
}

/* The handle of a block. */
static inline void *handle_of(const struct sub_node *node, uint32_t number) {
    uintptr_t above = 0;
    if (number != 0) {
        above = (uintptr_t)(sub_node_generation(node) % HANDLE_GENERATIONS) << HANDLE_NUMBER_BITS | number;
    }
    return (void *)(above << DICT_ADDRESS_BITS | node->start);
}
