#include "break_moves.h"

#include "free_list.h"
#include "hmm_report.h"
#include "purge.h"
#include "region.h"

#if HMM_BREAK

/* The break rises by at least this, or 1/EXTRA_SHARE of the heap if that is more. */
#define EXTRA_MIN ((size_t)128 << 10)
#define EXTRA_SHARE 64

/* A free last block of this size, or 1/TRIM_SHARE of the heap if that is more, is given back. The limit doubles, up to
 * TRIM_MAX, when the break rises after it went down, and is halved when it goes down twice in a row. */
#define TRIM_MIN ((size_t)256 << 10)
#define TRIM_MAX ((size_t)4 << 20)
#define TRIM_SHARE 4

/* How often an allocation tolerates that somebody moves the break between our two reads of it. */
#define ATTEMPTS 4

/* Kept for the heap itself, if somebody else keeps moving the break. */
#define REGIONS_SPARE (HMM_REGIONS / 4)

_Static_assert(REGION_OVERHEAD + BLOCK_MIN <= BREAK_MIN, "the smallest buffer has room for a block");

void hmm_use_break(struct HmmHeap *heap, const struct program_break *brk) {
    hmm_region_start(heap);
    heap->brk = *brk;
}

size_t hmm_break_extra(const struct HmmHeap *heap) {
    size_t share = heap->size / EXTRA_SHARE;
    return share > EXTRA_MIN ? share : EXTRA_MIN;
}

static char *end_of_heap(const struct HmmHeap *heap) {
    return (char *)heap->end + BLOCK_HEADER;
}

/* The new limit, after a move of the break. */
static size_t next_trim_min(const struct HmmHeap *heap, bool down) {
    size_t least = heap->trim_min > TRIM_MIN ? heap->trim_min : TRIM_MIN;
    if (!heap->trimmed) {
        return least;
    }
    if (down) {
        return least > TRIM_MIN ? least / 2 : least;
    }
    return least < TRIM_MAX ? least * 2 : least;
}

static void moved(struct HmmHeap *heap, size_t size) {
    bool down = size < heap->size;
    heap->trim_min = next_trim_min(heap, down);
    heap->trimmed = down;
    heap->trim_at = size / TRIM_SHARE > heap->trim_min ? size / TRIM_SHARE : heap->trim_min;
    heap->break_moves++;
    hmm_region_resized(heap, size);
}

static void set_end(struct HmmHeap *heap, struct block *end, uintptr_t prev_used) {
    struct region *region = &heap->regions[heap->growing];
    block_set_tag(end, REGION_END_TAG | prev_used);
    heap->end = end;
    hmm_region_set_end(region, end);
    hmm_region_look(heap, region);
}

/* Of the region that grows; NULL if it is not free. */
static struct block *last_free_block(struct HmmHeap *heap) {
    if (heap->end == NULL) {
        return NULL;
    }
    if (UNLIKELY(!block_sound(heap->end))) {
        hmm_report_end(heap);
    }
    return (heap->end->header & BLOCK_PREV_USED) == 0 ? hmm_free_block_before(heap, heap->end) : NULL;
}

/* The region's old end becomes a block's header. */
static void extend_region(struct HmmHeap *heap, char *end) {
    struct block *block = heap->end;
    struct block *region_end = block_at(end - BLOCK_HEADER);
    size_t size = (size_t)((char *)region_end - (char *)block);
    block_set_tag(block, size | BLOCK_USED | (block_tag(block) & BLOCK_PREV_USED));
    moved(heap, heap->size + size);
    heap->room += size;
    heap->blocks++;
    set_end(heap, region_end, BLOCK_PREV_USED);
    hmm_merge_blocks(heap, block, block_key(block));
}

/* Others may have written to the rest of the page that the break is on. */
static uintptr_t untouched_from(const struct HmmHeap *heap, uintptr_t at) {
    if (!heap->brk.zero || at > UINTPTR_MAX - heap->brk.grain) {
        return UINTPTR_MAX;
    }
    return round_up(at, heap->brk.grain);
}

/* At the break, which has risen. */
static bool begin_region(struct HmmHeap *heap, char *start, char *end) {
    const struct region *region = hmm_region_add(heap, start, end);
    if (region == NULL) {
        return false;
    }
    heap->growing = (unsigned)(region - heap->regions);
    heap->end = region->end;
    heap->break_moves++;
    uintptr_t least = (uintptr_t)region->first + sizeof(struct block);
    heap->touched = untouched_from(heap, (uintptr_t)start);
    heap->touched = heap->touched > least ? heap->touched : least;
    return true;
}

/* By at least `by` bytes, to a multiple of its grain. joins: memory that continues the region that grows joins it;
 * otherwise it starts another. */
static bool raise_break(struct HmmHeap *heap, char *now, size_t by, bool joins) {
    uintptr_t aim;
    if (__builtin_add_overflow((uintptr_t)now, by, &aim) || aim > UINTPTR_MAX - heap->brk.grain) {
        return false;
    }
    size_t rounded = round_up(aim, heap->brk.grain) - (uintptr_t)now;
    void *was;
    if (rounded > PTRDIFF_MAX || !heap->brk.move(&heap->brk, (intptr_t)rounded, &was)) {
        return false;
    }
    char *start = was;
    char *end = start + (round_down((uintptr_t)start + rounded, BLOCK_ALIGN) - (uintptr_t)start);
    if (joins && start == end_of_heap(heap)) {
        extend_region(heap, end);
        return true;
    }
    if (!begin_region(heap, start, end)) {
        (void)heap->brk.move(&heap->brk, -(intptr_t)rounded, &was);
        return false;
    }
    return true;
}

/* Without making the region larger than a header can express. */
static bool continues(const struct HmmHeap *heap, const char *now, size_t by) {
    if (heap->end == NULL || now != end_of_heap(heap)) {
        return false;
    }
    size_t size = (size_t)((char *)heap->end - heap->regions[heap->growing].start);
    return by <= BLOCK_SIZE_MAX && size + by < BLOCK_SIZE_MAX;
}

/* last: the free block before the break, or NULL. */
static bool raise_for(struct HmmHeap *heap, size_t size, const struct block *last) {
    void *where; /* lower than before: somebody has taken our memory away, and nothing is safe */
    if (!heap->brk.move(&heap->brk, 0, &where) || (heap->end != NULL && (char *)where < end_of_heap(heap) &&
                                                   (char *)where >= heap->regions[heap->growing].start)) {
        return false;
    }
    char *now = where;
    size_t extra = hmm_break_extra(heap);
    size_t need = size + REGION_OVERHEAD;
    bool joins = continues(heap, now, size + extra);
    if (joins) {
        need = last != NULL ? size - block_size(last) : size;
    } else if (heap->brk.shared && heap->region_count >= HMM_REGIONS - REGIONS_SPARE) {
        return false;
    }
    return raise_break(heap, now, need + extra, joins) || raise_break(heap, now, need, joins);
}

/* Continues with another break if this one cannot rise: it is exhausted, or a mapping is in its way. */
static bool continue_elsewhere(struct HmmHeap *heap, size_t size) {
    struct program_break brk = heap->brk;
    if (brk.more == NULL || heap->region_count == HMM_REGIONS ||
        !brk.more(&brk, size + REGION_OVERHEAD + hmm_break_extra(heap), heap->size)) {
        return false;
    }
    hmm_use_break(heap, &brk);
    return true;
}

struct block *hmm_alloc_extra(struct HmmHeap *heap, size_t size) {
    if (heap->brk.move == NULL) {
        struct program_break brk;
        if (heap != &hmm_heap || !hmm_system_break(&brk)) {
            return NULL;
        }
        hmm_use_break(heap, &brk);
    }
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        struct block *last = last_free_block(heap);
        if (last != NULL && block_size(last) >= size) {
            return last;
        }
        if (raise_for(heap, size, last)) {
            continue;
        }
        struct block *filled = hmm_fill_hole(heap, size, hmm_break_extra(heap));
        if (filled != NULL || !continue_elsewhere(heap, size)) {
            return filled;
        }
    }
    return NULL;
}

size_t hmm_trim_break(struct HmmHeap *heap, size_t keep) {
    struct block *last = last_free_block(heap);
    void *now;
    if (last == NULL || block_size(last) <= keep || !heap->brk.move(&heap->brk, 0, &now) || now != end_of_heap(heap)) {
        return 0;
    }
    size_t size = block_size(last);
    size_t by = round_down(size - keep, heap->brk.grain);
    if (size - by != 0 && size - by < BLOCK_MIN) {
        by -= heap->brk.grain; /* the rest must be empty or hold a block */
    }
    if (by == 0) {
        return 0;
    }
    hmm_remove_from_freelist(heap, last);
    *block_footer_before(heap->end) = 0; /* memory that comes back unchanged must hold nothing of ours */
    block_forget(heap->end);
    void *was;
    if (!heap->brk.move(&heap->brk, -(intptr_t)by, &was)) {
        set_end(heap, heap->end, BLOCK_PREV_USED);
        hmm_insert_free_block(heap, last, size);
        return 0;
    }
    moved(heap, heap->size - by);
    heap->room -= by;
    struct block *end = block_after(last, size - by);
    set_end(heap, end, BLOCK_PREV_USED);
    if (size - by != 0) {
        hmm_insert_free_block(heap, last, size - by);
    } else {
        heap->blocks--;
    }
    if (heap->brk.zero) { /* returned memory reads as zero when it comes back */
        uintptr_t least = (uintptr_t)end + sizeof *end;
        uintptr_t touched = untouched_from(heap, (uintptr_t)end_of_heap(heap));
        touched = touched > least ? touched : least;
        heap->touched = touched < heap->touched ? touched : heap->touched;
    }
    return by;
}

#endif
