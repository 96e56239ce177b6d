#include "free_list.h"

#include "report.h"
#include "state.h"

/* How many blocks of its own bin a search looks at before it takes a larger one: a bound on the time of a hit. */
#define PROBES 4

/* The same for a search of blocks to purge; and how large these are at least, in grains. */
#define PURGE_PROBES 16
#define PURGE_GRAINS (((uint64_t)64 << 10) / BLOCK_ALIGN)

static inline bool node_in_heap(struct bins_node *node) {
    return heap_spans(block_payload(block_of_node(node)));
}

/* What lies in a free block's own bytes beside the header agrees with the header, and with its neighbours in the list.
 */
static inline bool node_sound(struct block *block) {
    struct bins_node *node = &block->node;
    struct bins_node *next = node->next;
    struct bins_node *prev = node->prev;
    return node->size == block_size(block) / BLOCK_ALIGN &&
           (next == NULL || (node_in_heap(next) && next->prev == node)) &&
           (prev == NULL || (node_in_heap(prev) && prev->next == node));
}

static inline bool tag_sound(const struct block *block) {
    return block->header == block_seal(block, block_size(block) | BLOCK_PREV_USED);
}

bool hmm_free_block_sound(struct block *block) {
    return tag_sound(block) && (block == hmm_heap.cut || node_sound(block));
}

/* As hmm_find_free_block, in the bins. */
static inline struct block *find_in_bins(size_t size) {
    uint64_t grains = size / BLOCK_ALIGN;
    unsigned level, step;
    bins_place(grains, &level, &step);
    struct bins_node *node = hmm_heap.free_list.heads[level][step];
    for (int probe = 0; probe < PROBES && node != NULL; probe++) {
        if (node->size >= grains) {
            return block_of_node(node);
        }
        struct bins_node *next = node->next;
        if (next != NULL && UNLIKELY(!node_in_heap(next))) {
            hmm_report_free_block(block_of_node(node));
        }
        node = next;
    }
    if (!bins_map_above(&hmm_heap.free_list.map, &level, &step)) {
        return NULL;
    }
    return block_of_node(hmm_heap.free_list.heads[level][step]);
}

struct block *hmm_find_free_block(size_t size) {
    struct block *found = find_in_bins(size);
    struct block *cut = hmm_heap.cut;
    bool better = cut != NULL && block_size(cut) >= size && (found == NULL || block_size(cut) < block_size(found));
    return better ? cut : found;
}

/* A free block is not sound: it, or the neighbour in the list that does not lead back to it. */
static struct block *damaged_block(struct block *block) {
    struct bins_node *node = &block->node;
    if (tag_sound(block) && node->next != NULL && node_in_heap(node->next) && node->next->prev != node) {
        return block_of_node(node->next);
    }
    if (tag_sound(block) && node->prev != NULL && node_in_heap(node->prev) && node->prev->next != node) {
        return block_of_node(node->prev);
    }
    return block;
}

void hmm_remove_from_freelist(struct block *block) {
    if (block == hmm_heap.cut) {
        if (UNLIKELY(!tag_sound(block))) {
            hmm_report_free_block(block);
        }
        hmm_heap.cut = NULL;
        return;
    }
    if (UNLIKELY(!hmm_free_block_sound(block))) {
        hmm_report_free_block(damaged_block(block));
    }
    bins_remove(&hmm_heap.free_list, &block->node);
}

/* Tells the block behind `block`, whose header has been proved, that its neighbour is free; or that it is used. */
static inline void tell_next(struct block *next, uint64_t prev_used) {
    block_set_tag(next, (block_tag(next) & ~BLOCK_PREV_USED) | prev_used);
}

static inline void prove_next(struct block *block, struct block *next) {
    if (UNLIKELY(!block_sound(next))) {
        hmm_report_next(block, next);
    }
}

/* The tags of a free block, at both of its ends. */
static inline void tag_free(struct block *block, size_t size) {
    block_set_tag(block, size | BLOCK_PREV_USED);
    *block_footer_before(block_after(block, size)) = size / BLOCK_ALIGN;
}

void hmm_insert_free_block(struct block *block, size_t size) {
    struct block *next = block_after(block, size);
    prove_next(block, next);
    tell_next(next, 0);
    bins_insert(&hmm_heap.free_list, &block->node, size / BLOCK_ALIGN);
    tag_free(block, size);
}

/* Whether two sizes certainly have one bin. Small sizes have a bin each; of larger ones the leading bits name it. */
static inline bool same_bin(uint64_t grains, uint64_t other) {
    return grains >= UINT64_C(2) * BINS_STEPS && (grains ^ other) >> (floor_log2(grains) - BINS_STEP_BITS) == 0;
}

/* Gives `block` the place of `old` in its bin. */
static inline void replace_node(struct block *old, struct block *block, uint64_t grains) {
    struct bins_node node = {.next = old->node.next, .prev = old->node.prev, .size = grains};
    block->node = node;
    if (node.next != NULL) {
        node.next->prev = &block->node;
    }
    if (node.prev != NULL) {
        node.prev->next = &block->node;
    } else {
        unsigned level, step;
        bins_place(grains, &level, &step);
        hmm_heap.free_list.heads[level][step] = &block->node;
    }
}

/*
 * A free block of the list becomes another one, which has it as a part or is a part of it. When the bin is the same,
 * the new block takes the old one's place; and so it does when the old one is being cut.
 */
static void replace_free_block(struct block *old, struct block *block, size_t size) {
    uint64_t grains = size / BLOCK_ALIGN;
    if (old == hmm_heap.cut) {
        hmm_heap.cut = block;
        tag_free(block, size);
        return;
    }
    bool stays = same_bin(block_size(old) / BLOCK_ALIGN, grains);
    if (stays && old == block) {
        block->node.size = grains;
    } else {
        if (UNLIKELY(!node_sound(old))) {
            hmm_report_free_block(damaged_block(old));
        }
        if (stays) {
            replace_node(old, block, grains);
        } else {
            bins_remove(&hmm_heap.free_list, &old->node);
            bins_insert(&hmm_heap.free_list, &block->node, grains);
        }
    }
    tag_free(block, size);
}

struct block *hmm_free_block_before(struct block *block) {
    uint64_t grains = *block_footer_before(block);
    if (LIKELY(grains <= hmm_heap.grains + 1)) { /* one block may be all there is */
        struct block *prev = block_at((char *)block - grains * BLOCK_ALIGN);
        if (LIKELY(heap_spans(block_payload(prev)) && tag_sound(prev) && block_size(prev) == grains * BLOCK_ALIGN)) {
            return prev;
        }
    }
    hmm_report_previous(block);
}

struct block *hmm_merge_blocks(struct block *block) {
    size_t size = block_size(block);
    struct block *whole = block;
    struct block *listed = NULL; /* the neighbour whose place in the list the whole will take */
    struct block *next = block_after(block, size);
    prove_next(block, next);
    if ((next->header & BLOCK_USED) == 0) {
        size += block_size(next);
        listed = next;
    } else {
        tell_next(next, 0);
    }
    if ((block->header & BLOCK_PREV_USED) == 0) {
        whole = hmm_free_block_before(block);
        size += block_size(whole);
        if (listed == NULL) {
            listed = whole;
        } else if (listed == hmm_heap.cut) { /* what merges with the block being cut is being cut */
            hmm_remove_from_freelist(whole);
        } else {
            hmm_remove_from_freelist(listed);
            listed = whole;
        }
        block_forget(block);
    }
    if (listed != NULL) {
        replace_free_block(listed, whole, size);
    } else {
        bins_insert(&hmm_heap.free_list, &whole->node, size / BLOCK_ALIGN);
        tag_free(whole, size);
    }
    return whole;
}

void hmm_split_block(struct block *block, struct block *listed, size_t have, size_t need) {
    uint64_t state = BLOCK_USED | (block_tag(block) & BLOCK_PREV_USED);
    if (UNLIKELY(!tag_sound(listed))) {
        hmm_report_free_block(listed);
    }
    if (have - need < BLOCK_MIN) {
        struct block *next = block_after(block, have);
        prove_next(block, next);
        hmm_remove_from_freelist(listed);
        tell_next(next, BLOCK_PREV_USED);
        need = have;
    } else {
        replace_free_block(listed, block_after(block, need), have - need);
    }
    block_set_tag(block, need | state);
}

/* Whether the bins may have a block of so many grains or more. */
static inline bool bins_reach(uint64_t grains) {
    unsigned level, step;
    bins_place(grains, &level, &step);
    return hmm_heap.free_list.map.levels >> level != 0;
}

struct block *hmm_cut_block(size_t size) {
    uint64_t grains = size / BLOCK_ALIGN;
    if (grains < UINT64_C(2) * BINS_STEPS) {
        struct bins_node *exact = hmm_heap.free_list.heads[grains / BINS_STEPS][grains % BINS_STEPS];
        if (exact != NULL) {
            struct block *block = block_of_node(exact);
            hmm_split_block(block, block, size, size);
            return block;
        }
    }
    struct block *cut = hmm_heap.cut;
    if (UNLIKELY(cut == NULL)) {
        return NULL;
    }
    if (UNLIKELY(!tag_sound(cut))) {
        hmm_report_free_block(cut);
    }
    size_t have = block_size(cut);
    if (have < size + BLOCK_MIN || (block_after(cut, have) == hmm_heap.end && bins_reach(grains))) {
        return NULL;
    }
    hmm_heap.cut = block_after(cut, size);
    tag_free(hmm_heap.cut, have - size);
    block_set_tag(cut, size | BLOCK_USED | BLOCK_PREV_USED);
    return cut;
}

void hmm_cut_from(struct block *block) {
    if (block != hmm_heap.cut) {
        hmm_remove_from_freelist(block);
        hmm_cut_end();
        hmm_heap.cut = block;
    }
}

void hmm_cut_end(void) {
    struct block *block = hmm_heap.cut;
    if (block != NULL) {
        hmm_remove_from_freelist(block);
        bins_insert(&hmm_heap.free_list, &block->node, block_size(block) / BLOCK_ALIGN);
    }
}

/* Gives back the pages that lie between a free block's links and its footer; returns their bytes. The last block has
 * mostly been untouched since the break was raised, and is the break's to give back. */
static size_t purge_block(struct block *block) {
    struct program_break *brk = &hmm_heap.brk;
    if (UNLIKELY(!hmm_free_block_sound(block))) {
        hmm_report_free_block(damaged_block(block));
    }
    struct block *next = block_next(block);
    char *payload = block_payload(block);
    size_t skip = round_up((uintptr_t)(payload + sizeof block->node), brk->grain) - (uintptr_t)payload;
    size_t end = round_down((uintptr_t)block_footer_before(next), brk->grain) - (uintptr_t)payload;
    return next != hmm_heap.end && skip < end && brk->purge(brk, payload + skip, end - skip) ? end - skip : 0;
}

void hmm_purge_freelist(size_t bytes) {
    const struct bins *bins = &hmm_heap.free_list;
    size_t done = 0;
    unsigned probes = 0;
    unsigned least, step;
    bins_place(PURGE_GRAINS, &least, &step);
    if (hmm_heap.brk.purge == NULL) {
        return;
    }
    hmm_cut_end(); /* it may be the largest */
    for (unsigned bin = BINS_LEVELS * BINS_STEPS; bin-- > least * BINS_STEPS;) {
        struct bins_node *node = bins->heads[bin / BINS_STEPS][bin % BINS_STEPS];
        for (; node != NULL && probes < PURGE_PROBES && done < bytes; node = node->next, probes++) {
            done += purge_block(block_of_node(node));
        }
    }
}
