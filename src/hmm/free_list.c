#include "free_list.h"

#include "heap_state.h"
#include "hmm_report.h"

/* Shared parts are copied into each call, unless the code should be small. */
#ifdef __OPTIMIZE_SIZE__
#define FAST_INLINE static
#define FAST_NOINLINE inline
#else
#define FAST_INLINE ALWAYS_INLINE
#define FAST_NOINLINE NOINLINE
#endif

/* --- What is proved ------------------------------------------------------------------------------------------- */

static inline bool next_sound(struct HmmHeap *heap, struct block *block) {
    struct block *next = block->next;
    return next == heap_list_end(heap) || (heap_holds(heap, next) && next->prev == block);
}

static inline bool prev_sound(struct HmmHeap *heap, struct block *block, unsigned bin) {
    struct block *prev = block->prev;
    if (prev == heap_list_end(heap)) {
        return heap->free_list.heads[bin] == block;
    }
    return heap_holds(heap, prev) && prev->next == block;
}

/* A free block's own bytes agree with its header, and with its neighbours in the list. `bin` is its size's. */
static inline bool links_sound(struct HmmHeap *heap, struct block *block, unsigned bin) {
    return block->grains == block_size(block) / BLOCK_ALIGN && next_sound(heap, block) && prev_sound(heap, block, bin);
}

/* The bin of the block being cut. */
#define NO_BIN FREE_BINS
static inline unsigned bin_with(const struct HmmHeap *heap, const struct block *block) {
    return block != heap->cut ? bin_of(block_size(block)) : NO_BIN;
}

static inline bool tag_fits(const struct block *block, struct block_key key) {
    return block->header == key_seal(block, key, block_size(block) | BLOCK_PREV_USED);
}

static inline bool tag_sound(const struct block *block) {
    return tag_fits(block, block_key(block));
}

bool hmm_free_block_sound(struct HmmHeap *heap, struct block *block) {
    unsigned bin = bin_with(heap, block);
    return tag_sound(block) && (bin == NO_BIN || links_sound(heap, block, bin));
}

/* Of this free block, or of a neighbour in the list that does not link back to it. */
static COLD _Noreturn void report_damaged(struct HmmHeap *heap, struct block *block) {
    struct block *blamed = block;
#if HMM_REPORTS
    if (tag_sound(block) && block->grains == block_size(block) / BLOCK_ALIGN) {
        if (!next_sound(heap, block) && block->next != NULL && heap_holds(heap, block->next)) {
            blamed = block->next;
        } else if (!prev_sound(heap, block, bin_of(block_size(block))) && block->prev != NULL &&
                   heap_holds(heap, block->prev)) {
            blamed = block->prev;
        }
    }
#endif
    hmm_report_free_block(heap, blamed);
}

void hmm_prove_free_block(struct HmmHeap *heap, struct block *block) {
    if (UNLIKELY(!hmm_free_block_sound(heap, block))) {
        report_damaged(heap, block);
    }
}

/* The block's tag has been proved. Returns its bin. */
static inline unsigned prove_links(struct HmmHeap *heap, struct block *block) {
    unsigned bin = bin_with(heap, block);
    if (UNLIKELY(bin != NO_BIN && !links_sound(heap, block, bin))) {
        report_damaged(heap, block);
    }
    return bin;
}

static inline struct block_key prove_tag(struct HmmHeap *heap, struct block *block) {
    struct block_key key = block_key(block);
    if (UNLIKELY(!tag_fits(block, key))) {
        hmm_report_free_block(heap, block);
    }
    return key;
}

static inline struct block_key prove_next(struct HmmHeap *heap, struct block *block, struct block *next) {
    struct block_key key = block_key(next);
    if (UNLIKELY(!block_fits(next, key))) {
        hmm_report_next(heap, block, next);
    }
    return key;
}

/* Proves and returns the first block of a bin, before another is put ahead of it. NULL: the bin is empty. */
static inline struct block *prove_head(struct HmmHeap *heap, unsigned bin) {
    struct block *head = heap->free_list.heads[bin];
    if (head != NULL && UNLIKELY(head->prev != heap_list_end(heap))) {
        hmm_report_free_block(heap, head);
    }
    return head;
}

static inline unsigned prove_free(struct HmmHeap *heap, struct block *block, struct block_key *key) {
    *key = prove_tag(heap, block);
    return prove_links(heap, block);
}

/* The free block before `block`, and its key. */
static inline struct block *prove_before(struct HmmHeap *heap, struct block *block, struct block_key *key) {
    uintptr_t grains = *block_footer_before(block);
    if (LIKELY(grains <= BLOCK_SIZE_MAX / BLOCK_ALIGN)) {
        struct block *prev = block_at((char *)block - grains * BLOCK_ALIGN);
        *key = block_key(prev);
        if (LIKELY(heap_holds(heap, prev) &&
                   prev->header == key_seal(prev, *key, grains * BLOCK_ALIGN | BLOCK_PREV_USED))) {
            return prev;
        }
    }
    hmm_report_previous(heap, block);
}

struct block *hmm_free_block_before(struct HmmHeap *heap, struct block *block) {
    struct block_key key;
    return prove_before(heap, block, &key);
}

/* --- Lists, once proved ------------------------------------------------------------------------------------- */

/* `head` is what prove_head has returned. */
static inline void link_block(struct HmmHeap *heap, struct block *block, size_t size, unsigned bin,
                              struct block *head) {
    count_blocks(&heap->free_list, size, 1);
    block->prev = heap_list_end(heap);
    block->grains = size / BLOCK_ALIGN;
    if (head == NULL) {
        block->next = heap_list_end(heap);
        bin_filled(&heap->free_list, bin);
    } else {
        block->next = head;
        head->prev = block;
    }
    heap->free_list.heads[bin] = block;
}

static inline void unlink_block(struct HmmHeap *heap, struct block *block, unsigned bin) {
    struct block *list_end = heap_list_end(heap);
    count_blocks(&heap->free_list, block_size(block), (size_t)-1);
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

/* In the place of `old` in its bin. */
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

/* With PREV_USED as in `prev_used`. */
static inline uintptr_t told_header(const struct block *next, struct block_key key, uintptr_t prev_used) {
    return key_seal(next, key, (block_tag(next) & ~BLOCK_PREV_USED) | prev_used);
}

static inline void tell_next(struct block *next, struct block_key key, uintptr_t prev_used) {
    next->header = told_header(next, key, prev_used);
}

static inline void tag_free(struct block *block, struct block_key key, size_t size) {
    block->header = key_seal(block, key, size | BLOCK_PREV_USED);
    *block_footer_before(block_after(block, size)) = size / BLOCK_ALIGN;
}

/* A free block was made or has changed. */
static inline void note_free(struct HmmHeap *heap) {
    if (SYSTEM_MAY_ZERO) {
        heap->purged = false;
    }
}

/* Memory was taken up to `rest`, which may be a free block. */
static inline void note_taken(struct HmmHeap *heap, const struct block *rest) {
    if (SYSTEM_MAY_ZERO) {
        uintptr_t touched = (uintptr_t)rest + sizeof *rest;
        heap->touched_before = heap->touched;
        heap->touched = touched > heap->touched ? touched : heap->touched;
    }
    size_t taken = heap->room - heap->free_bytes;
    if (UNLIKELY(taken > heap->most)) {
        heap->most = taken;
    }
}

/* The first `size` bytes of a proved free block, which are in no list, become a used one. */
static inline struct block *take(struct HmmHeap *heap, struct block *block, struct block_key key, size_t size) {
    block->header = key_seal(block, key, size | BLOCK_USED | BLOCK_PREV_USED);
    note_taken(heap, block_after(block, size));
    return block;
}

/* The header behind the block has been proved; `bin` is its size's. */
FAST_INLINE void insert_block(struct HmmHeap *heap, struct block *block, struct block_key key, size_t size) {
    unsigned bin = bin_of(size);
    link_block(heap, block, size, bin, prove_head(heap, bin));
    tag_free(block, key, size);
    note_free(heap);
    heap->free_blocks++;
    heap->free_bytes += size;
}

void hmm_insert_free_block(struct HmmHeap *heap, struct block *block, size_t size) {
    struct block *next = block_after(block, size);
    struct block_key next_key = prove_next(heap, block, next);
    insert_block(heap, block, block_key(block), size);
    tell_next(next, next_key, 0);
}

/* Removes a proved free block from the list. */
FAST_INLINE void remove_block(struct HmmHeap *heap, struct block *block, unsigned bin) {
    size_t size = block_size(block);
    if (bin == NO_BIN) {
        heap->cut = NULL;
    } else {
        unlink_block(heap, block, bin);
    }
    heap->free_blocks--;
    heap->free_bytes -= size;
}

void hmm_remove_from_freelist(struct HmmHeap *heap, struct block *block) {
    struct block_key key;
    unsigned bin = prove_free(heap, block, &key);
    remove_block(heap, block, bin);
}

/* By one around it or in it, which keeps its place in the bin, or as the one being cut. */
FAST_INLINE void replace_block(struct HmmHeap *heap, struct block *old, unsigned from, struct block *block,
                               struct block_key key, size_t size) {
    size_t was = block_size(old);
    if (from == NO_BIN) {
        heap->cut = block;
    } else {
        unsigned to = bin_of(size);
        if (from == to) {
            count_blocks(&heap->free_list, was, (size_t)-1);
            count_blocks(&heap->free_list, size, 1);
        }
        if (from == to && old == block) {
            block->grains = size / BLOCK_ALIGN;
        } else if (from == to) {
            move_links(heap, old, block, size, to);
        } else {
            struct block *head = prove_head(heap, to);
            unlink_block(heap, old, from);
            link_block(heap, block, size, to, head);
        }
    }
    if (old != block) {
        block_forget(old);
    }
    tag_free(block, key, size);
    heap->free_bytes += size - was;
    note_free(heap);
}

/* Merges a used block with its free neighbours. The next header has been proved; if that block is used, `told` is what
 * its header becomes. Everything else is proved before it is used. */
FAST_INLINE struct block *join_blocks(struct HmmHeap *heap, struct block *block, struct block_key key,
                                      struct block *next, uintptr_t told, bool next_free, bool prev_free) {
    size_t size = block_size(block);
    struct block *whole = block;
    struct block *old = next; /* its place in the list becomes the whole's */
    unsigned from = NO_BIN;
    if (next_free) {
        from = prove_links(heap, next);
        size += block_size(next);
        heap->blocks--;
    }
    if (prev_free) {
        whole = prove_before(heap, block, &key);
        unsigned bin = prove_links(heap, whole);
        size += block_size(whole);
        *block_footer_before(block) = 0;
        block_forget(block);
        heap->blocks--;
        if (!next_free) {
            next->header = told;
        } else if (from == NO_BIN) { /* whatever merges with the block being cut takes its place */
            remove_block(heap, whole, bin);
        } else {
            remove_block(heap, next, from);
            block_forget(next);
        }
        if (!next_free || from != NO_BIN) {
            old = whole;
            from = bin;
        }
    }
    replace_block(heap, old, from, whole, key, size);
    return whole;
}

static FAST_NOINLINE struct block *join_next(struct HmmHeap *heap, struct block *block, struct block_key key,
                                             struct block *next) {
    return join_blocks(heap, block, key, next, 0, true, false);
}

static FAST_NOINLINE struct block *join_previous(struct HmmHeap *heap, struct block *block, struct block_key key,
                                                 struct block *next, uintptr_t told) {
    return join_blocks(heap, block, key, next, told, false, true);
}

static FAST_NOINLINE struct block *join_both(struct HmmHeap *heap, struct block *block, struct block_key key,
                                             struct block *next) {
    return join_blocks(heap, block, key, next, 0, true, true);
}

struct block *hmm_merge_blocks(struct HmmHeap *heap, struct block *block, struct block_key key) {
    size_t size = block_size(block);
    struct block *next = block_after(block, size);
    struct block_key next_key = prove_next(heap, block, next);
    bool prev_free = (block->header & BLOCK_PREV_USED) == 0;
    if ((next->header & BLOCK_USED) == 0) {
        return prev_free ? join_both(heap, block, key, next) : join_next(heap, block, key, next);
    }
    uintptr_t told = told_header(next, next_key, 0);
    if (prev_free) {
        return join_previous(heap, block, key, next, told);
    }
    insert_block(heap, block, key, size);
    next->header = told;
    return block;
}

static NOINLINE struct block *take_whole(struct HmmHeap *heap, struct block *block, unsigned bin,
                                         struct block_key key) {
    size_t size = block_size(block);
    struct block *next = block_after(block, size);
    struct block_key next_key = prove_next(heap, block, next);
    tell_next(next, next_key, BLOCK_PREV_USED);
    remove_block(heap, block, bin);
    return take(heap, block, key, size);
}

struct block *hmm_split_block(struct HmmHeap *heap, struct block *block, size_t need) {
    struct block_key key;
    unsigned bin = prove_free(heap, block, &key);
    size_t have = block_size(block);
    if (have - need < BLOCK_MIN) {
        return take_whole(heap, block, bin, key);
    }
    struct block *rest = block_after(block, need);
    replace_block(heap, block, bin, rest, block_key(rest), have - need);
    heap->blocks++;
    return take(heap, block, key, need);
}

/* --- Finding and cutting -------------------------------------------------------------------------------------- */

/* The first block behind *place in its bin that is large enough; *place, which is too small, advances to the last one
 * looked at, or to NULL at the end of the bin. A block that seems too small may be damaged. */
static inline struct block *probe(struct HmmHeap *heap, struct block **place, size_t size, unsigned probes) {
    for (struct block *block = *place; block != NULL && probes > 0; probes--) {
        struct block *next = block->next;
        bool last = next == heap_list_end(heap);
        if (UNLIKELY(block->grains != block_size(block) / BLOCK_ALIGN || (!last && !heap_holds(heap, next)))) {
            hmm_report_free_block(heap, block);
        }
        if (!last && next->grains >= size / BLOCK_ALIGN) {
            return next;
        }
        *place = block = last ? NULL : next;
    }
    return NULL;
}

/* In the bins above this one; or NULL. */
static inline struct block *first_above(struct HmmHeap *heap, unsigned bin) {
    bin = bin_above(&heap->free_list, bin);
    return bin < FREE_BINS ? heap->free_list.heads[bin] : NULL;
}

/* The first block of the size's own bin is too small. */
static NOINLINE struct block *search_on(struct HmmHeap *heap, unsigned bin, size_t size) {
    struct block *place = heap->free_list.heads[bin];
    struct block *found = probe(heap, &place, size, FREE_PROBES - 1);
    found = found != NULL ? found : first_above(heap, bin);
    return found != NULL ? found : probe(heap, &place, size, FREE_PROBES_LAST);
}

struct block *hmm_find_free_block(struct HmmHeap *heap, size_t size) {
    unsigned bin = bin_of(size);
    struct block *found = heap->free_list.heads[bin];
    if (found == NULL) {
        found = first_above(heap, bin);
    } else if (found->grains < size / BLOCK_ALIGN) {
        found = search_on(heap, bin, size);
    }
    struct block *cut = heap->cut;
    bool better = cut != NULL && block_size(cut) >= size && (found == NULL || block_size(cut) < block_size(found));
    return better ? cut : found;
}

/* Whether some bin may hold a block of this size or more. */
static inline bool bins_reach(const struct HmmHeap *heap, size_t size) {
    return heap->free_list.levels >> bin_of(size) / FREE_STEPS != 0;
}

/* The tag of the block being cut has been proved. */
static NOINLINE struct block *cut_off(struct HmmHeap *heap, struct block *cut, struct block_key key, size_t have,
                                      size_t size) {
    struct block *rest = block_after(cut, size);
    heap->cut = rest;
    tag_free(rest, block_key(rest), have - size);
    heap->blocks++;
    heap->free_bytes -= size;
    return take(heap, cut, key, size);
}

/* Takes the first block of a bin for this size alone: as hmm_split_block does, but it is known what must be found. It
 * calls nothing that returns, so it needs no frame. */
static FAST_NOINLINE struct block *take_exact(struct HmmHeap *heap, struct block *block, size_t size) {
#ifdef __OPTIMIZE_SIZE__
    return hmm_split_block(heap, block, size);
#else
    size_t bin = size / BLOCK_ALIGN;
    struct block *following = block->next; /* in the bin */
    if (following != heap_list_end(heap) && UNLIKELY(!region_was_last(heap, following))) {
        return hmm_split_block(heap, block, size);
    }
    struct block_key key = block_key(block);
    if (UNLIKELY(block->header != key_seal(block, key, size | BLOCK_PREV_USED) || block->grains != bin ||
                 block->prev != heap_list_end(heap) ||
                 (following != heap_list_end(heap) && following->prev != block))) {
        report_damaged(heap, block);
    }
    struct block *next = block_after(block, size);
    tell_next(next, prove_next(heap, block, next), BLOCK_PREV_USED);
    count_blocks(&heap->free_list, size, (size_t)-1);
    if (following != heap_list_end(heap)) {
        heap->free_list.heads[bin] = following;
        following->prev = heap_list_end(heap);
    } else {
        heap->free_list.heads[bin] = NULL;
        bin_emptied(&heap->free_list, (unsigned)bin);
    }
    heap->free_blocks--;
    heap->free_bytes -= size;
    return take(heap, block, key, size);
#endif
}

struct block *hmm_cut_block(struct HmmHeap *heap, size_t size) {
    if (size < (size_t)EXACT_GRAINS * BLOCK_ALIGN) {
        struct block *exact = heap->free_list.heads[size / BLOCK_ALIGN];
        if (exact != NULL) {
            return take_exact(heap, exact, size);
        }
    }
    struct block *cut = heap->cut;
    if (UNLIKELY(cut == NULL)) {
        return NULL;
    }
    size_t have = block_size(cut);
    if (have < size + BLOCK_MIN || (block_after(cut, have) == heap->end && bins_reach(heap, size))) {
        return NULL;
    }
    return cut_off(heap, cut, prove_tag(heap, cut), have, size);
}

struct block *hmm_cut_from(struct HmmHeap *heap, struct block *block, size_t size) {
    struct block_key key;
    unsigned bin = prove_free(heap, block, &key);
    if (bin != NO_BIN) {
        hmm_cut_end(heap);
        unlink_block(heap, block, bin);
    }
    return cut_off(heap, block, key, block_size(block), size);
}

void hmm_cut_end(struct HmmHeap *heap) {
    struct block *block = heap->cut;
    if (block != NULL) {
        size_t size = block_size(block);
        unsigned bin = bin_of(size);
        prove_tag(heap, block);
        link_block(heap, block, size, bin, prove_head(heap, bin));
        heap->cut = NULL;
    }
}
