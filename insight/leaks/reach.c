#include "leaks/reach.h"

#include <stdlib.h>
#include <string.h>

#include "support/support.h"

/* Bytes of a root to scan before the blocks that they lead to. */
#define REACH_PART ((uint64_t)1 << 20)

/* How many pointers ahead to prefetch, and how much: most blocks are not larger. */
#define AHEAD 16u
#define PREFETCH_LINES 4u
#define LINE ((size_t)64)

static void add_region(struct reach *reach, uint64_t low, uint64_t size) {
    reach->regions[reach->region_count++] = (struct reach_region){low, size, reach->bin_count};
    reach->bin_count += (size >> BIN_SHIFT) + 1;
}

static void find_bounds(struct reach *reach) {
    const struct blocks *blocks = reach->blocks;
    uint64_t high = blocks->base + blocks->window_size;
    reach->low = blocks->base;
    if (blocks->set_count != 0) {
        reach->low = blocks->window_size != 0 ? smaller(reach->low, blocks->set_low) : blocks->set_low;
        high = larger(high, blocks->set_high);
    }
    if (blocks->huge_high != blocks->huge_low) {
        reach->low = high != 0 ? smaller(reach->low, blocks->huge_low) : blocks->huge_low;
        high = larger(high, blocks->huge_high);
    }
    reach->span = high - reach->low;
}

void reach_start(struct reach *reach, const struct blocks *blocks, const struct image *image, uint64_t *unreached) {
    memset(reach, 0, sizeof *reach);
    reach->blocks = blocks;
    reach->image = image;
    reach->unreached = unreached;
    add_region(reach, blocks->base, blocks->window_size);
    for (size_t i = 0; i < blocks->set_count; i++) {
        add_region(reach, blocks->sets[i].low, blocks->sets[i].high - blocks->sets[i].low);
    }
    find_bounds(reach);
    reach->bins = make_zeroed(reach->bin_count, sizeof *reach->bins);
    reach->waiting = make_zeroed(reach->bin_count, sizeof *reach->waiting);
}

void reach_end(struct reach *reach) {
    while (reach->spare != NULL) {
        struct reach_chunk *next = reach->spare->next;
        free(reach->spare);
        reach->spare = next;
    }
    free(reach->bins);
    free(reach->waiting);
    free(reach->huge);
    free(reach->mangled);
}

/* --- Bins --------------------------------------------------------------------------------------------------------- */

/* For a bin without room. A bin's first chunk puts it into the queue. */
static void add_chunk(struct reach *reach, struct reach_bin *bin) {
    struct reach_chunk *chunk = reach->spare;
    if (chunk != NULL) {
        reach->spare = chunk->next;
    } else {
        chunk = make(sizeof *chunk);
    }
    if (bin->chunk == NULL) {
        reach->waiting[(reach->wait_first + reach->wait_count++) % reach->bin_count] = (uint64_t)(bin - reach->bins);
    }
    chunk->next = bin->chunk;
    *bin = (struct reach_bin){.chunk = chunk};
}

static inline void put(struct reach *reach, uint64_t number, uint64_t offset) {
    struct reach_bin *bin = &reach->bins[number];
    if (bin->chunk == NULL || bin->count == CHUNK_POINTERS) {
        add_chunk(reach, bin);
    }
    bin->chunk->offsets[bin->count++] = (uint32_t)offset;
}

static bool reach_block(struct reach *reach, const struct block *block) {
    if (!block_bit(reach->unreached, block->number)) {
        return false;
    }
    block_clear(reach->unreached, block->number);
    reach->reached_count++;
    reach->reached_bytes += block->size;
    return true;
}

/* An address that is not in the window. */
static void meet_elsewhere(struct reach *reach, uint64_t address) {
    struct block block;
    for (size_t i = 1; i < reach->region_count; i++) {
        const struct reach_region *region = &reach->regions[i];
        if (address - region->low < region->size) {
            const uint64_t offset = address - region->low;
            put(reach, region->first + (offset >> BIN_SHIFT), offset & ((1u << BIN_SHIFT) - 1));
            return;
        }
    }
    if (blocks_at(reach->blocks, address, &block) && reach_block(reach, &block)) {
        reach->huge = grow(reach->huge, reach->huge_count, sizeof *reach->huge);
        reach->huge[reach->huge_count++] = block;
    }
}

static inline void meet_address(struct reach *reach, uint64_t address) {
    const struct blocks *blocks = reach->blocks;
    const uint64_t offset = address - blocks->base;
    if (offset < blocks->window_size) {
        put(reach, offset >> BIN_SHIFT, offset & ((1u << BIN_SHIFT) - 1));
    } else if (address - blocks->set_low < blocks->set_high - blocks->set_low ||
               address - blocks->huge_low < blocks->huge_high - blocks->huge_low) {
        meet_elsewhere(reach, address);
    }
}

/* Out of line: few words are mangled pointers, and the loop over all is shorter without it. */
static __attribute__((noinline, cold)) void note_mangled(struct reach *reach, uint64_t address) {
    reach->mangled = grow(reach->mangled, reach->mangled_count, sizeof *reach->mangled);
    reach->mangled[reach->mangled_count++] = address;
}

static bool meet_words(uint64_t address, const uint64_t *words, size_t count, void *context) {
    struct reach *reach = context;
    const uint64_t low = reach->low;
    const uint64_t span = reach->span;
    const uint64_t guard = reach->guard;
    (void)address;
    reach->words += count;
    for (const uint64_t *end = words + count; words < end; words++) {
        const uint64_t word = *words;
        if (reach_address(word) - low < span) {
            meet_address(reach, reach_address(word));
        }
        if (reach_unmangled(word, guard) - low < span && guard != 0) {
            note_mangled(reach, reach_unmangled(word, guard));
        }
    }
    return true;
}

/* --- Memory ------------------------------------------------------------------------------------------------------- */

/* The image's range that holds an address, or the next one, or NULL. */
static const struct image_range *range_from(const struct image *image, const struct image_range **hint,
                                            uint64_t address) {
    if (*hint == NULL || address - (*hint)->start >= (*hint)->end - (*hint)->start) {
        *hint = image_range_from(image, address);
    }
    return *hint;
}

bool reach_words(const struct image *image, const struct image_range **hint, uint64_t start, uint64_t end,
                 bool (*visit)(uint64_t address, const uint64_t *words, size_t count, void *context), void *context) {
    start = (start + 7) & ~UINT64_C(7);
    end &= ~UINT64_C(7);
    while (start < end) {
        const struct image_range *range = range_from(image, hint, start);
        if (range == NULL || range->start >= end) {
            break;
        }
        start = larger(start, range->start);
        for (const uint64_t stop = smaller(end, range->end); start < stop;) {
            const uint64_t offset = start & (image->page_size - 1);
            const uint64_t part = smaller(stop - start, image->page_size - offset);
            const char *page = image_page(image, range, start);
            if (page != NULL &&
                !visit(start, (const uint64_t *)(const void *)(page + offset), part / sizeof(uint64_t), context)) {
                return false;
            }
            start += part;
        }
    }
    return true;
}

void reach_meet_memory(struct reach *reach, uint64_t start, uint64_t end) {
    reach_words(reach->image, &reach->range, start, end, meet_words, reach);
}

/* --- Work --------------------------------------------------------------------------------------------------------- */

/* The address at which a bin begins. */
static uint64_t bin_start(const struct reach *reach, uint64_t bin) {
    size_t region = reach->region_count - 1;
    while (bin < reach->regions[region].first) {
        region--;
    }
    return reach->regions[region].low + ((bin - reach->regions[region].first) << BIN_SHIFT);
}

/* The memory behind a pointer, mostly a block's beginning. May reach beyond the page, which is harmless. */
static inline void prefetch(struct reach *reach, uint64_t address) {
    const struct image_range *range = range_from(reach->image, &reach->range, address);
    const char *page = range != NULL && range->start <= address ? image_page(reach->image, range, address) : NULL;
    if (page != NULL) {
        const char *at = page + (address & (reach->image->page_size - 1));
        for (unsigned i = 0; i < PREFETCH_LINES; i++) {
            __builtin_prefetch(at + i * LINE);
        }
    }
}

/* Examines the blocks that a bin's pointers lead to, including pointers that these add to the same bin. */
static void empty_bin(struct reach *reach, uint64_t number) {
    const uint64_t start = bin_start(reach, number);
    struct reach_bin *bin = &reach->bins[number];
    struct block block;
    while (bin->chunk != NULL) {
        struct reach_chunk *chunk = bin->chunk;
        if (bin->count == 0) {
            *bin = (struct reach_bin){chunk->next, CHUNK_POINTERS};
            chunk->next = reach->spare;
            reach->spare = chunk;
            continue;
        }
        const uint64_t count = --bin->count;
        prefetch(reach, start + chunk->offsets[count >= AHEAD ? count - AHEAD : 0]);
        if (blocks_at(reach->blocks, start + chunk->offsets[count], &block) && reach_block(reach, &block)) {
            reach_meet_memory(reach, block.start, block.start + block.size);
        }
    }
}

void reach_finish(struct reach *reach) {
    while (reach->wait_count != 0 || reach->huge_count != 0) {
        if (reach->huge_count != 0) {
            struct block block = reach->huge[--reach->huge_count];
            reach_meet_memory(reach, block.start, block.start + block.size);
            continue;
        }
        const uint64_t bin = reach->waiting[reach->wait_first];
        reach->wait_first = (reach->wait_first + 1) % reach->bin_count;
        reach->wait_count--;
        empty_bin(reach, bin);
    }
}

void reach_from_memory(struct reach *reach, uint64_t start, uint64_t end) {
    /* In parts, so that pointers do not pile up. */
    for (uint64_t part; start < end; start += part) {
        part = smaller(end - start, REACH_PART);
        reach_meet_memory(reach, start, start + part);
        reach_finish(reach);
    }
}

void reach_from_words(struct reach *reach, const uint64_t *words, size_t count) {
    meet_words(0, words, count, reach);
    reach_finish(reach);
}

void reach_from_block(struct reach *reach, uint64_t number) {
    struct block block = blocks_by_number(reach->blocks, number, NULL, NULL);
    reach_from_memory(reach, block.start, block.start + block.size);
}
