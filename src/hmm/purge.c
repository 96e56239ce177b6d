#include "purge.h"

#include "free_list.h"
#include "heap_state.h"
#include "region.h"

#if HMM_BREAK && __STDC_HOSTED__

/* Blocks to search for pages to purge, and their minimum size. */
#define PURGE_PROBES 16
#define PURGE_BYTES ((size_t)64 << 10)

/* How many times a purge goes on behind pages that the system refuses. */
#define PURGE_PARTS 8u

/* How many bytes from `start` on can be purged, and are: fewer than `size`, which the system refuses as a whole. */
static size_t purge_up_to_refused(struct program_break *brk, char *start, size_t size) {
    size_t good = 0;
    size_t bad = size;
    for (size_t step = brk->grain; bad - good > brk->grain; step = round_up((bad - good) / 2, brk->grain)) {
        if (!brk->purge(brk, start + good, step)) {
            bad = good + step;
        } else {
            good += step;
        }
    }
    return good;
}

/* Purges pages; returns their bytes. The system refuses locked ones, and all that follow in the same call; so it goes
 * on behind them, each time twice as far if the next ones are refused as well. */
static size_t purge_around_refused(struct program_break *brk, char *start, size_t size) {
    size_t done = 0;
    size_t skip = brk->grain;
    for (unsigned parts = 0; parts < PURGE_PARTS && size != 0; parts++) {
        if (brk->purge(brk, start, size)) {
            return done + size;
        }
        const size_t good = purge_up_to_refused(brk, start, size);
        done += good;
        skip = good != 0 ? brk->grain : 2 * skip;
        const size_t passed = good + skip < size ? good + skip : size;
        start += passed;
        size -= passed;
    }
    return done;
}

/* Between the links and the footer of a proved free block; returns the bytes. `around`: also behind refused pages. */
static size_t purge_block(struct HmmHeap *heap, struct block *block, bool around) {
    struct program_break *brk = &heap->brk;
    struct block *next = block_next(block);
    char *start = (char *)block;
    size_t skip = round_up((uintptr_t)(start + sizeof *block), brk->grain) - (uintptr_t)start;
    size_t end = round_down((uintptr_t)block_footer_before(next), brk->grain) - (uintptr_t)start;
    if (skip >= end) {
        return 0;
    }
    if (around) {
        return purge_around_refused(brk, start + skip, end - skip);
    }
    return brk->purge(brk, start + skip, end - skip) ? end - skip : 0;
}

void hmm_purge_freelist(struct HmmHeap *heap, size_t bytes) {
    size_t done = 0;
    unsigned probes = 0;
    if (heap->brk.purge == NULL) {
        return;
    }
    hmm_cut_end(heap); /* the block being cut may be the largest */
    unsigned least = bin_of(PURGE_BYTES);
    for (unsigned bin = FREE_BINS; bin-- > least;) {
        struct block *block = heap->free_list.heads[bin];
        for (; block != NULL && block != heap_list_end(heap) && probes < PURGE_PROBES && done < bytes; probes++) {
            hmm_prove_free_block(heap, block);
            done += block_next(block) != heap->end ? purge_block(heap, block, false) : 0;
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
            hmm_prove_free_block(heap, block);
            done += purge_block(heap, block, true);
        }
    }
    return done;
}

/* A hole has at least this many bytes, or 1/HOLE_SHARE of the heap if that is more. It divides no region if there are
 * HOLE_REGIONS: the rest are for the heap to grow. */
#define HOLE_MIN ((size_t)1 << 20)
#define HOLE_SHARE 32
#define HOLE_REGIONS (HMM_REGIONS / 2)

/* Memory that the program added is its own: only that of the region that grows, and of those divided from it. */
static bool may_have_holes(const struct HmmHeap *heap, const struct region *region) {
    return region == &heap->regions[heap->growing] || region->holed;
}

/* At the end of its region, whose end moves down. Others divide their region. */
static bool is_last(const struct HmmHeap *heap, struct block *block) {
    return block_next(block) == hmm_region_of(heap, block)->end;
}

static bool may_be_hole(const struct HmmHeap *heap, struct block *block) {
    return block_next(block) != heap->end && may_have_holes(heap, hmm_region_of(heap, block)) &&
           (heap->region_count < HOLE_REGIONS || is_last(heap, block));
}

/* The lowest free block that may be a hole, with at least `least` bytes; or NULL. */
static struct block *lowest_hole(struct HmmHeap *heap, size_t least) {
    struct block *lowest = NULL;
    for (unsigned bin = bin_of(least); bin < FREE_BINS; bin++) {
        struct block *block = heap->free_list.heads[bin];
        for (; block != NULL && block != heap_list_end(heap); block = block->next) {
            hmm_prove_free_block(heap, block);
            if (block_size(block) >= least && (lowest == NULL || (uintptr_t)block < (uintptr_t)lowest) &&
                may_be_hole(heap, block)) {
                lowest = block;
            }
        }
    }
    return lowest;
}

/* All but what becomes a block at each end of it, and the ends of regions. If it is a region's last, to that end. */
static size_t unmap_hole(struct HmmHeap *heap, struct block *block) {
    const size_t grain = heap->brk.grain;
    char *low = (char *)block;
    const bool last = is_last(heap, block);
    const size_t kept = last ? 0 : BLOCK_MIN + BLOCK_HEADER;
    const size_t size = block_size(block) + (last ? BLOCK_HEADER : 0);
    const size_t from = round_up((uintptr_t)low + BLOCK_MIN + BLOCK_HEADER, grain) - (uintptr_t)low;
    const size_t to = round_down((uintptr_t)low + size - kept, grain) - (uintptr_t)low;
    if (os_unmap(low + from, to - from) != 0) {
        return 0;
    }
    hmm_remove_from_freelist(heap, block);
    if (last) {
        hmm_region_cut(heap, block, low + from);
    } else {
        hmm_region_divide(heap, block, low + from, low + to);
    }
    return to - from;
}

size_t hmm_unmap_holes(struct HmmHeap *heap) {
    if (heap != &hmm_heap || heap->brk.purge == NULL || heap->end == NULL || !hmm_break_may_unmap(heap->free_bytes)) {
        return 0;
    }
    hmm_cut_end(heap);
    size_t done = 0;
    size_t bytes = SIZE_MAX;
    while (bytes != 0) {
        const size_t share = heap->size / HOLE_SHARE;
        struct block *block = lowest_hole(heap, share > HOLE_MIN ? share : HOLE_MIN);
        bytes = block != NULL && !heap_faulty(heap) ? unmap_hole(heap, block) : 0;
        done += bytes;
    }
    return done;
}

/* The region has this much more, if nobody has mapped anything there; the free block then. Whole grains, because
 * nobody else's are among them. */
static struct block *claim_behind(struct HmmHeap *heap, struct region *region, size_t size) {
    return os_claim((char *)region->end + BLOCK_HEADER, size) == 0 ? hmm_region_extend(heap, region, size) : NULL;
}

/* As above with `size` bytes, those of a free block before the end included, and `extra` more if possible. */
static struct block *fill(struct HmmHeap *heap, struct region *region, size_t size, size_t extra) {
    const size_t grain = heap->brk.grain;
    const size_t gap = round_down((size_t)(region[1].start - ((char *)region->end + BLOCK_HEADER)), grain);
    const bool free = (region->end->header & BLOCK_PREV_USED) == 0;
    const size_t has = free ? block_size(hmm_free_block_before(heap, region->end)) : 0;
    const size_t need = has < size ? round_up(size - has, grain) : grain;
    if (need > gap) {
        return NULL;
    }
    const size_t more = round_up(need + extra, grain);
    struct block *block = claim_behind(heap, region, more < gap ? more : gap);
    return block != NULL ? block : claim_behind(heap, region, need);
}

struct block *hmm_fill_hole(struct HmmHeap *heap, size_t size, size_t extra) {
    struct block *block = NULL;
    for (unsigned i = 0; block == NULL && !heap_faulty(heap) && i + 1 < heap->region_count; i++) {
        struct region *region = &heap->regions[i];
        block = region->holed ? fill(heap, region, size, extra) : NULL;
    }
    return block;
}

/* Pages to look at before memory is cleared. */
#define CLEAR_PROBES 16

/* Reads each page's first word, and the one a multiple of pages from the block's start, where those write who touch
 * each page once. */
static bool is_sparse(const char *block, size_t head, size_t size, size_t page) {
    const size_t step = round_down(size / CLEAR_PROBES, page);
    unsigned used = 0;
    for (unsigned i = 0; i < CLEAR_PROBES; i++) {
        const size_t at = i * step;
        used += (*(const size_t *)(block + at) | *(const size_t *)(block + head + at)) != 0;
    }
    return used < CLEAR_PROBES / 2;
}

void hmm_clear_large(struct program_break *brk, void *start, size_t size) {
    char *memory = start;
    const size_t head = round_up((uintptr_t)memory, brk->grain) - (uintptr_t)memory;
    const size_t pages = round_down(size - head, brk->grain);
    if (brk->purge == NULL || !is_sparse(memory, head, pages, brk->grain) || !os_purge_zeroes() ||
        !brk->purge(brk, memory + head, pages)) {
        __builtin_memset(memory, 0, size);
        return;
    }
    __builtin_memset(memory, 0, head);
    __builtin_memset(memory + head + pages, 0, size - head - pages);
}

#endif
