#include "free_list.h"

#include "report.h"
#include "state.h"

/* How many blocks a search for pages to purge looks at; and how large these are at least. */
#define PURGE_PROBES 16
#define PURGE_BYTES ((size_t)64 << 10)

/* --- Bins ----------------------------------------------------------------------------------------------------- */

/* Larger blocks than the last level is for share the last bin. */
static inline unsigned bin_of(size_t size) {
    uintptr_t grains = size / BLOCK_ALIGN;
    if (grains < FREE_STEPS) {
        return (unsigned)grains;
    }
    /* The leading bit names the level; the FREE_STEP_BITS bits below it, the step. */
    unsigned shift = word_log2(grains) - FREE_STEP_BITS;
    unsigned bin = (shift + 1) * FREE_STEPS + (unsigned)(grains >> shift) - FREE_STEPS;
    return bin < FREE_BINS ? bin : FREE_BINS - 1;
}

static inline unsigned bin_above(const struct free_list *list, unsigned bin) {
    unsigned level = bin / FREE_STEPS;
    uint32_t steps = list->steps[level] & (~UINT32_C(1) << bin % FREE_STEPS);
    if (steps == 0) {
        uint32_t levels = list->levels & (~UINT32_C(1) << level);
        if (levels == 0) {
            return FREE_BINS;
        }
        level = word_lowest(levels);
        steps = list->steps[level];
    }
    return level * FREE_STEPS + word_lowest(steps);
}

unsigned hmm_bin_of(size_t size) {
    return bin_of(size);
}

unsigned hmm_bin_above(const struct HmmHeap *heap, unsigned bin) {
    return bin_above(&heap->free_list, bin);
}

static inline void bin_filled(struct free_list *list, unsigned bin) {
    unsigned level = bin / FREE_STEPS;
    list->steps[level] = (uint16_t)(list->steps[level] | 1u << bin % FREE_STEPS);
    list->levels |= UINT32_C(1) << level;
}

static inline void bin_emptied(struct free_list *list, unsigned bin) {
    unsigned level = bin / FREE_STEPS;
    list->steps[level] = (uint16_t)(list->steps[level] & ~(1u << bin % FREE_STEPS));
    if (list->steps[level] == 0) {
        list->levels &= ~(UINT32_C(1) << level);
    }
}

/* A block of this size is in a bin from now on; or it no longer is. */
static inline void count_in(struct free_list *list, size_t size) {
#if __STDC_HOSTED__
    struct hmm_row *row = &list->rows[word_log2(size / BLOCK_ALIGN)];
    row->blocks++;
    row->bytes += size;
#else
    (void)list, (void)size;
#endif
}

static inline void count_out(struct free_list *list, size_t size) {
#if __STDC_HOSTED__
    struct hmm_row *row = &list->rows[word_log2(size / BLOCK_ALIGN)];
    row->blocks--;
    row->bytes -= size;
#else
    (void)list, (void)size;
#endif
}

/* --- What is proved ------------------------------------------------------------------------------------------- */

static inline bool block_in_heap(struct HmmHeap *heap, const struct block *block) {
    return heap_contains(heap, block_payload(block));
}

static inline bool next_sound(struct HmmHeap *heap, struct block *block) {
    struct block *next = block->next;
    return next == heap_list_end(heap) || (block_in_heap(heap, next) && next->prev == block);
}

static inline bool prev_sound(struct HmmHeap *heap, struct block *block) {
    struct block *prev = block->prev;
    if (prev == heap_list_end(heap)) {
        return heap->free_list.heads[bin_of(block_size(block))] == block;
    }
    return block_in_heap(heap, prev) && prev->next == block;
}

/* What lies in a free block's own bytes beside the header agrees with the header, and with its neighbours in the list.
 */
static inline bool links_sound(struct HmmHeap *heap, struct block *block) {
    return block->grains == block_size(block) / BLOCK_ALIGN && next_sound(heap, block) && prev_sound(heap, block);
}

static inline bool tag_sound(const struct block *block) {
    return block->header == block_seal(block, block_size(block) | BLOCK_PREV_USED);
}

bool hmm_free_block_sound(struct HmmHeap *heap, struct block *block) {
    return tag_sound(block) && (block == heap->cut || links_sound(heap, block));
}

/* A free block is not sound: it, or the neighbour in the list that does not lead back to it. */
static COLD _Noreturn void report_damaged(struct HmmHeap *heap, struct block *block) {
    struct block *blamed = block;
#if HMM_REPORTS
    if (tag_sound(block) && block->grains == block_size(block) / BLOCK_ALIGN) {
        if (!next_sound(heap, block) && block->next != NULL && block_in_heap(heap, block->next)) {
            blamed = block->next;
        } else if (!prev_sound(heap, block) && block->prev != NULL && block_in_heap(heap, block->prev)) {
            blamed = block->prev;
        }
    }
#endif
    hmm_report_free_block(heap, blamed);
}

static inline void prove_free(struct HmmHeap *heap, struct block *block) {
    if (UNLIKELY(!hmm_free_block_sound(heap, block))) {
        report_damaged(heap, block);
    }
}

/* The same of a block whose tag has been proved. */
static inline void prove_links(struct HmmHeap *heap, struct block *block) {
    if (UNLIKELY(block != heap->cut && !links_sound(heap, block))) {
        report_damaged(heap, block);
    }
}

static inline void prove_tag(struct HmmHeap *heap, struct block *block) {
    if (UNLIKELY(!tag_sound(block))) {
        hmm_report_free_block(heap, block);
    }
}

static inline void prove_next(struct HmmHeap *heap, struct block *block, struct block *next) {
    if (UNLIKELY(!block_sound(next))) {
        hmm_report_next(heap, block, next);
    }
}

/* The first block of a bin, before another one is put ahead of it. */
static inline void prove_head(struct HmmHeap *heap, unsigned bin) {
    struct block *head = heap->free_list.heads[bin];
    if (head != NULL && UNLIKELY(head->prev != heap_list_end(heap))) {
        hmm_report_free_block(heap, head);
    }
}

struct block *hmm_free_block_before(struct HmmHeap *heap, struct block *block) {
    uintptr_t grains = *block_footer_before(block);
    if (LIKELY(grains <= BLOCK_SIZE_MAX / BLOCK_ALIGN)) {
        struct block *prev = block_at((char *)block - grains * BLOCK_ALIGN);
        if (LIKELY(block_in_heap(heap, prev) && tag_sound(prev) && block_size(prev) == grains * BLOCK_ALIGN)) {
            return prev;
        }
    }
    hmm_report_previous(heap, block);
}

/* --- Lists, of what has been proved --------------------------------------------------------------------------- */

static inline void link_block(struct HmmHeap *heap, struct block *block, size_t size, unsigned bin) {
    struct block **head = &heap->free_list.heads[bin];
    count_in(&heap->free_list, size);
    block->prev = heap_list_end(heap);
    block->grains = size / BLOCK_ALIGN;
    if (*head == NULL) {
        block->next = heap_list_end(heap);
        bin_filled(&heap->free_list, bin);
    } else {
        block->next = *head;
        block->next->prev = block;
    }
    *head = block;
}

static inline void unlink_block(struct HmmHeap *heap, struct block *block, unsigned bin) {
    struct block *list_end = heap_list_end(heap);
    count_out(&heap->free_list, block_size(block));
    if (block->next != list_end) {
        block->next->prev = block->prev;
    }
    if (block->prev != list_end) {
        block->prev->next = block->next;
    } else if (block->next != list_end) {
        heap->free_list.heads[bin] = block->next;
    } else {
        heap->free_list.heads[bin] = NULL;
        bin_emptied(&heap->free_list, bin);
    }
}

/* Gives `block` the place of `old` in its bin. */
static inline void move_links(struct HmmHeap *heap, struct block *old, struct block *block, size_t size, unsigned bin) {
    struct block *next = old->next;
    struct block *prev = old->prev;
    block->next = next;
    block->prev = prev;
    block->grains = size / BLOCK_ALIGN;
    if (next != heap_list_end(heap)) {
        next->prev = block;
    }
    if (prev != heap_list_end(heap)) {
        prev->next = block;
    } else {
        heap->free_list.heads[bin] = block;
    }
}

/* --- Free and used -------------------------------------------------------------------------------------------- */

/* Tells the block behind, whose header has been proved, that its neighbour is free; or that it is used. */
static inline void tell_next(struct block *next, uintptr_t prev_used) {
    block_set_tag(next, (block_tag(next) & ~BLOCK_PREV_USED) | prev_used);
}

/* The tags of a free block, at both of its ends. */
static inline void tag_free(struct block *block, size_t size) {
    block_set_tag(block, size | BLOCK_PREV_USED);
    *block_footer_before(block_after(block, size)) = size / BLOCK_ALIGN;
}

/* Memory was taken that ends before the free block, if that is one, at `rest`. */
static inline void note_taken(struct HmmHeap *heap, const struct block *rest) {
    if (SYSTEM_MAY_ZERO) {
        uintptr_t touched = (uintptr_t)rest + sizeof *rest;
        heap->touched_before = heap->touched;
        heap->touched = touched > heap->touched ? touched : heap->touched;
    }
    size_t taken = heap->room - heap->free_bytes;
    heap->most = taken > heap->most ? taken : heap->most;
}

/* `block`, with a sound header behind its `size` bytes, becomes one of the list; `bin` is that of its size. */
static void insert_block(struct HmmHeap *heap, struct block *block, size_t size) {
    unsigned bin = bin_of(size);
    prove_head(heap, bin);
    link_block(heap, block, size, bin);
    tag_free(block, size);
    heap->purged = false;
    heap->free_blocks++;
    heap->free_bytes += size;
}

void hmm_insert_free_block(struct HmmHeap *heap, struct block *block, size_t size) {
    struct block *next = block_after(block, size);
    prove_next(heap, block, next);
    insert_block(heap, block, size);
    tell_next(next, 0);
}

/* Takes a free block that has been proved out of the list. */
static void remove_block(struct HmmHeap *heap, struct block *block) {
    size_t size = block_size(block);
    if (block == heap->cut) {
        heap->cut = NULL;
    } else {
        unlink_block(heap, block, bin_of(size));
    }
    heap->free_blocks--;
    heap->free_bytes -= size;
}

void hmm_remove_from_freelist(struct HmmHeap *heap, struct block *block) {
    prove_free(heap, block);
    remove_block(heap, block);
}

/*
 * A free block of the list that has been proved becomes another one, which has it as a part or is a part of it. When
 * the bin is the same, the new block takes the old one's place; and so it does when the old one is being cut.
 */
static void replace_block(struct HmmHeap *heap, struct block *old, struct block *block, size_t size) {
    size_t was = block_size(old);
    if (old == heap->cut) {
        heap->cut = block;
    } else {
        unsigned from = bin_of(was);
        unsigned to = bin_of(size);
        if (from == to) {
            count_out(&heap->free_list, was);
            count_in(&heap->free_list, size);
        }
        if (from == to && old == block) {
            block->grains = size / BLOCK_ALIGN;
        } else if (from == to) {
            move_links(heap, old, block, size, to);
        } else {
            prove_head(heap, to);
            unlink_block(heap, old, from);
            link_block(heap, block, size, to);
        }
    }
    if (old != block) {
        block_forget(old);
    }
    tag_free(block, size);
    heap->free_bytes += size - was;
    heap->purged = false;
}

/* Everything that is read is proved first. */
struct block *hmm_merge_blocks(struct HmmHeap *heap, struct block *block) {
    size_t size = block_size(block);
    struct block *next = block_after(block, size);
    struct block *whole = block;
    prove_next(heap, block, next);
    bool next_free = (next->header & BLOCK_USED) == 0;
    bool prev_free = (block->header & BLOCK_PREV_USED) == 0;
    if (next_free) {
        prove_links(heap, next);
        size += block_size(next);
    }
    if (prev_free) {
        whole = hmm_free_block_before(heap, block);
        prove_links(heap, whole);
        size += block_size(whole);
    }

    if (!next_free) {
        tell_next(next, 0);
    }
    if (prev_free) {
        *block_footer_before(block) = 0;
        block_forget(block);
        heap->blocks--;
    }
    if (next_free) {
        heap->blocks--;
        if (!prev_free) {
            replace_block(heap, next, block, size);
        } else if (next == heap->cut) { /* what merges with the block being cut is being cut */
            remove_block(heap, whole);
            replace_block(heap, next, whole, size);
        } else {
            remove_block(heap, next);
            block_forget(next);
            replace_block(heap, whole, whole, size);
        }
    } else if (prev_free) {
        replace_block(heap, whole, whole, size);
    } else {
        insert_block(heap, block, size);
    }
    return whole;
}

void hmm_split_block(struct HmmHeap *heap, struct block *block, struct block *listed, size_t have, size_t need) {
    uintptr_t state = BLOCK_USED | (block_tag(block) & BLOCK_PREV_USED);
    prove_free(heap, listed);
    struct block *rest = block_after(block, need);
    if (have - need < BLOCK_MIN) {
        need = have;
        rest = block_after(block, have);
        prove_next(heap, block, rest);
        remove_block(heap, listed);
        tell_next(rest, BLOCK_PREV_USED);
        if (listed != block) {
            block_forget(listed);
            heap->blocks--;
        }
    } else {
        replace_block(heap, listed, rest, have - need);
        heap->blocks += listed == block;
    }
    block_set_tag(block, need | state);
    note_taken(heap, rest);
}

/* --- Finding and cutting -------------------------------------------------------------------------------------- */

/* The first that is large enough of the next blocks of a bin, from *place on, which moves on. One that seems too small
 * may be damaged. */
static inline struct block *probe(struct HmmHeap *heap, struct block **place, size_t size, unsigned probes) {
    for (struct block *block = *place; block != NULL; block = *place) {
        if (block->grains >= size / BLOCK_ALIGN) {
            return block;
        }
        struct block *next = block->next;
        bool last = next == heap_list_end(heap);
        if (UNLIKELY(block->grains != block_size(block) / BLOCK_ALIGN || (!last && !block_in_heap(heap, next)))) {
            hmm_report_free_block(heap, block);
        }
        *place = last ? NULL : next;
        if (--probes == 0) {
            break;
        }
    }
    return NULL;
}

struct block *hmm_find_free_block(struct HmmHeap *heap, size_t size) {
    unsigned bin = bin_of(size);
    struct block *place = heap->free_list.heads[bin];
    struct block *found = probe(heap, &place, size, FREE_PROBES);
    if (found == NULL) {
        bin = bin_above(&heap->free_list, bin);
        found = bin < FREE_BINS ? heap->free_list.heads[bin] : probe(heap, &place, size, FREE_PROBES_LAST);
    }
    struct block *cut = heap->cut;
    bool better = cut != NULL && block_size(cut) >= size && (found == NULL || block_size(cut) < block_size(found));
    return better ? cut : found;
}

/* Whether the bins may have a block of this size or more. */
static inline bool bins_reach(const struct HmmHeap *heap, unsigned bin) {
    return heap->free_list.levels >> bin / FREE_STEPS != 0;
}

/* Cuts a used block off the block being cut, whose tag has been proved. */
static struct block *cut_off(struct HmmHeap *heap, struct block *cut, size_t have, size_t size) {
    heap->cut = block_after(cut, size);
    tag_free(heap->cut, have - size);
    block_set_tag(cut, size | BLOCK_USED | BLOCK_PREV_USED);
    heap->blocks++;
    heap->free_bytes -= size;
    note_taken(heap, heap->cut);
    return cut;
}

struct block *hmm_cut_block(struct HmmHeap *heap, size_t size) {
    unsigned bin = bin_of(size);
    if (bin < 2 * FREE_STEPS) { /* each is of one size */
        struct block *exact = heap->free_list.heads[bin];
        if (exact != NULL) {
            hmm_split_block(heap, exact, exact, size, size);
            return exact;
        }
    }
    struct block *cut = heap->cut;
    if (UNLIKELY(cut == NULL)) {
        return NULL;
    }
    size_t have = block_size(cut);
    if (have < size + BLOCK_MIN || (block_after(cut, have) == heap->end && bins_reach(heap, bin))) {
        return NULL;
    }
    prove_tag(heap, cut);
    return cut_off(heap, cut, have, size);
}

struct block *hmm_cut_from(struct HmmHeap *heap, struct block *block, size_t size) {
    prove_free(heap, block);
    size_t have = block_size(block);
    if (block != heap->cut) {
        hmm_cut_end(heap);
        unlink_block(heap, block, bin_of(have));
    }
    return cut_off(heap, block, have, size);
}

void hmm_cut_end(struct HmmHeap *heap) {
    struct block *block = heap->cut;
    if (block != NULL) {
        size_t size = block_size(block);
        unsigned bin = bin_of(size);
        prove_tag(heap, block);
        prove_head(heap, bin);
        link_block(heap, block, size, bin);
        heap->cut = NULL;
    }
}

/* --- Pages ---------------------------------------------------------------------------------------------------- */

#if HMM_BREAK

/* Gives back the pages that lie between a free block's links and its footer; returns their bytes. */
static size_t purge_block(struct HmmHeap *heap, struct block *block) {
    struct program_break *brk = &heap->brk;
    prove_free(heap, block);
    struct block *next = block_next(block);
    char *start = (char *)block;
    size_t skip = round_up((uintptr_t)(start + sizeof *block), brk->grain) - (uintptr_t)start;
    size_t end = round_down((uintptr_t)block_footer_before(next), brk->grain) - (uintptr_t)start;
    return skip < end && brk->purge(brk, start + skip, end - skip) ? end - skip : 0;
}

void hmm_purge_freelist(struct HmmHeap *heap, size_t bytes) {
    size_t done = 0;
    unsigned probes = 0;
    if (heap->brk.purge == NULL) {
        return;
    }
    hmm_cut_end(heap); /* it may be the largest */
    unsigned least = bin_of(PURGE_BYTES);
    for (unsigned bin = FREE_BINS; bin-- > least;) {
        struct block *block = heap->free_list.heads[bin];
        for (; block != NULL && block != heap_list_end(heap) && probes < PURGE_PROBES && done < bytes; probes++) {
            done += block_next(block) != heap->end ? purge_block(heap, block) : 0;
            block = block->next;
        }
    }
}

size_t hmm_purge_all(struct HmmHeap *heap) {
    size_t done = 0;
    if (heap->brk.purge == NULL || heap->purged) {
        return 0;
    }
    heap->purged = true;
    hmm_cut_end(heap);
    for (unsigned bin = bin_of(heap->brk.grain); bin < FREE_BINS; bin++) {
        struct block *block = heap->free_list.heads[bin];
        for (; block != NULL && block != heap_list_end(heap); block = block->next) {
            done += purge_block(heap, block);
        }
    }
    return done;
}

#endif

size_t hmm_largest_free(const struct HmmHeap *heap, unsigned probes) {
    const struct free_list *list = &heap->free_list;
    size_t largest = heap->cut != NULL ? block_size(heap->cut) : 0;
    if (list->levels == 0) {
        return largest;
    }
    unsigned level = word_log2(list->levels);
    const struct block *block = list->heads[level * FREE_STEPS + word_log2(list->steps[level])];
    for (; probes > 0 && block != (const void *)heap; probes--, block = block->next) {
        largest = block_size(block) > largest ? block_size(block) : largest;
    }
    return largest;
}
