/* Kosaraju's algorithm finds the strongly connected components of the leaked blocks: the block that a depth-first
 * search leaves last is in a component to which no other leads. So one block of each such component becomes a leak, and
 * everything that it leads to is below it. */
#include "leaks/leaked.h"

#include <stdlib.h>
#include <string.h>

#include "leaks/reach.h"
#include "support/sorted.h"
#include "support/support.h"

/* --- The order in which a depth-first search leaves blocks -------------------------------------------------------- */

/* A block that the search is in, and its words that remain. */
struct frame {
    uint64_t number;
    uint64_t at;
    uint64_t end;
};

struct search {
    const struct blocks *blocks;
    const struct image *image;
    const struct image_range *range;
    uint64_t *unvisited;
    struct frame *frames;
    size_t depth;
    uint64_t *order; /* numbers of the blocks that it has left */
    size_t left;
};

static void enter(struct search *search, struct block block) {
    block_clear(search->unvisited, block.number);
    search->frames = grow(search->frames, search->depth, sizeof *search->frames);
    search->frames[search->depth++] = (struct frame){block.number, block.start, block.start + block.size};
}

/* Enters the first unvisited block that the words lead to; returns false, which ends the visit. */
static bool descend(uint64_t address, const uint64_t *words, size_t count, void *context) {
    struct search *search = context;
    for (size_t i = 0; i < count; i++) {
        struct block block;
        if (blocks_at(search->blocks, reach_address(words[i]), &block) && block_bit(search->unvisited, block.number)) {
            search->frames[search->depth - 1].at = address + (i + 1) * sizeof *words;
            enter(search, block);
            return false;
        }
    }
    return true;
}

static void search_from(struct search *search, uint64_t number) {
    enter(search, blocks_by_number(search->blocks, number, NULL, NULL));
    while (search->depth != 0) {
        const struct frame top = search->frames[search->depth - 1];
        if (reach_words(search->image, &search->range, top.at, top.end, descend, search)) {
            search->order[search->left++] = top.number;
            search->depth--;
        }
    }
}

static uint64_t count_set(const struct blocks *blocks, const uint64_t *bits) {
    uint64_t sum = 0;
    for (uint64_t word = 0; word <= blocks->numbers / 64; word++) {
        sum += (unsigned)__builtin_popcountll(bits[word]);
    }
    return sum;
}

static uint64_t *copy_bits(const struct blocks *blocks, const uint64_t *bits) {
    return memcpy(blocks_bits(blocks), bits, (blocks->numbers / 64 + 1) * sizeof *bits);
}

static void search_all(struct search *search, const uint64_t *bits) {
    search->unvisited = copy_bits(search->blocks, bits);
    search->order = make(count_set(search->blocks, bits) * sizeof *search->order);
    for (uint64_t number = 0;
         (number = blocks_next(search->blocks, search->unvisited, number)) < search->blocks->numbers; number++) {
        search_from(search, number);
    }
    free(search->frames);
    free(search->unvisited);
}

/* --- Blocks that others lead to ----------------------------------------------------------------------------------- */

struct pointed {
    const struct blocks *blocks;
    uint64_t *bits; /* by number: another block leads to it */
    uint64_t from;  /* the block that is looked at */
};

static bool meet_words(uint64_t address, const uint64_t *words, size_t count, void *context) {
    struct pointed *pointed = context;
    (void)address;
    for (size_t i = 0; i < count; i++) {
        struct block block;
        if (blocks_at(pointed->blocks, reach_address(words[i]), &block) && block.number != pointed->from) {
            block_set(pointed->bits, block.number);
        }
    }
    return true;
}

/* Those of `bits` that no other one leads to. The caller frees the answer. */
static uint64_t *find_first(const struct blocks *blocks, const struct image *image, const uint64_t *bits) {
    struct pointed pointed = {.blocks = blocks, .bits = blocks_bits(blocks)};
    const struct image_range *range = NULL;
    for (uint64_t number = 0; (number = blocks_next(blocks, bits, number)) < blocks->numbers; number++) {
        struct block block = blocks_by_number(blocks, number, NULL, NULL);
        pointed.from = number;
        reach_words(image, &range, block.start, block.start + block.size, meet_words, &pointed);
    }
    for (uint64_t word = 0; word <= blocks->numbers / 64; word++) {
        pointed.bits[word] = bits[word] & ~pointed.bits[word];
    }
    return pointed.bits;
}

/* --- Leaks -------------------------------------------------------------------------------------------------------- */

static int by_address(const void *a, const void *b) {
    const struct leak *left = a;
    const struct leak *right = b;
    return left->block.start < right->block.start ? -1 : left->block.start > right->block.start;
}

static void add_leak(struct leaked *leaked, struct reach *reach, uint64_t number, bool is_cycle) {
    struct leak leak = {.is_cycle = is_cycle};
    leak.block = blocks_by_number(reach->blocks, number, &leak.kind, &leak.born_s);
    block_clear(reach->unreached, number);
    reach->reached_count = reach->reached_bytes = 0;
    reach_from_block(reach, number);
    leak.below_count = reach->reached_count;
    leak.below_bytes = reach->reached_bytes;
    leaked->leaks = grow(leaked->leaks, leaked->count, sizeof *leaked->leaks);
    leaked->leaks[leaked->count++] = leak;
    leaked->bytes += leak.block.size;
    leaked->below_count += leak.below_count;
    leaked->below_bytes += leak.below_bytes;
}

/* If nothing led to a block: one of each component to which no other leads. */
static void add_cycles(struct leaked *leaked, struct reach *reach) {
    struct search search = {.blocks = reach->blocks, .image = reach->image};
    search_all(&search, reach->unreached);
    while (search.left != 0) {
        const uint64_t number = search.order[--search.left];
        if (block_bit(reach->unreached, number)) {
            add_leak(leaked, reach, number, true);
        }
    }
    free(search.order);
}

void leaked_find(struct leaked *leaked, const struct blocks *blocks, const struct image *image, const uint64_t *bits) {
    struct reach reach;
    uint64_t *first = find_first(blocks, image, bits);
    *leaked = (struct leaked){0};
    reach_start(&reach, blocks, image, copy_bits(blocks, bits));
    for (uint64_t number = 0; (number = blocks_next(blocks, first, number)) < blocks->numbers; number++) {
        add_leak(leaked, &reach, number, false);
    }
    free(first);
    add_cycles(leaked, &reach);
    sort_by(leaked->leaks, leaked->count, sizeof *leaked->leaks, by_address);
    free(reach.unreached);
    reach_end(&reach);
}

void leaked_free(struct leaked *leaked) {
    free(leaked->leaks);
}
