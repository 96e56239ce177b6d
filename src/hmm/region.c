#include "region.h"

#include "free_list.h"
#include "report.h"

/* The break is raised by at least this much; and by one part in EXTRA_SHARE of the heap, if that is more. */
#define EXTRA_MIN ((size_t)128 << 10)
#define EXTRA_SHARE 64

/*
 * A last free block of this many bytes is given back; or of one part in TRIM_SHARE of the heap, if that is more. The
 * limit doubles, up to TRIM_MAX, each time that the break rises again after it went down, and is halved when it goes
 * down twice running.
 */
#define TRIM_MIN ((size_t)256 << 10)
#define TRIM_MAX ((size_t)4 << 20)
#define TRIM_SHARE 4

/* The header at a region's end: its size, 0, is no block's, and as a cached one it is nobody's to free. */
#define END_TAG (BLOCK_USED | BLOCK_CACHED)

/* What a new region takes beyond its blocks: its record, its end, and the alignment of both. */
#define REGION_OVERHEAD (sizeof(struct region) + 2 * BLOCK_ALIGN + BLOCK_HEADER)

/* Somebody else may move the break between our two looks at it: how often that is put up with in one allocation. */
#define ATTEMPTS 4

_Static_assert(REGION_OVERHEAD + BLOCK_MIN <= BREAK_MIN, "the smallest buffer has room for a block");

void hmm_heap_start(const struct program_break *brk) {
    hmm_heap.brk = *brk;
    if (hmm_heap.first == NULL) {
        hmm_block_secret = system_random();
    }
}

size_t hmm_region_extra(void) {
    size_t share = hmm_heap.size / EXTRA_SHARE;
    return share > EXTRA_MIN ? share : EXTRA_MIN;
}

struct block *hmm_region_first(const struct region *region) {
    uintptr_t payload = round_up((uintptr_t)(region + 1) + BLOCK_HEADER, BLOCK_ALIGN);
    return block_at((char *)region->start + (payload - BLOCK_HEADER - (uintptr_t)region->start));
}

const struct region *hmm_region_of(const void *address) {
    const struct region *region = hmm_heap.first;
    while (region != NULL && ((uintptr_t)address < (uintptr_t)region || (uintptr_t)address >= (uintptr_t)region->end)) {
        region = region->next;
    }
    return region;
}

static char *end_of_heap(void) {
    return (char *)hmm_heap.end + BLOCK_HEADER;
}

/* How large a last free block is left alone at least, after a move of the break. */
static size_t next_trim_min(bool down) {
    size_t least = hmm_heap.trim_min > TRIM_MIN ? hmm_heap.trim_min : TRIM_MIN;
    if (!hmm_heap.trimmed) {
        return least;
    }
    if (down) {
        return least > TRIM_MIN ? least / 2 : least;
    }
    return least < TRIM_MAX ? least * 2 : least;
}

/* The break has moved, and the heap's size is another: the other figures follow. */
static void resized(size_t size) {
    bool down = size < hmm_heap.size;
    hmm_heap.trim_min = next_trim_min(down);
    hmm_heap.trimmed = down;
    hmm_heap.size = size;
    hmm_heap.peak = size > hmm_heap.peak ? size : hmm_heap.peak;
    hmm_heap.trim_at = size / TRIM_SHARE > hmm_heap.trim_min ? size / TRIM_SHARE : hmm_heap.trim_min;
    hmm_heap.break_moves++;
}

static void set_end(struct block *end, uint64_t prev_used) {
    block_set_tag(end, END_TAG | prev_used);
    hmm_heap.end = end;
    hmm_heap.last->end = end;
    hmm_heap.grains = ((uintptr_t)end - hmm_heap.low) / BLOCK_ALIGN;
}

/* The last block if it is free; otherwise NULL. */
static struct block *last_free_block(void) {
    if (hmm_heap.end == NULL) {
        return NULL;
    }
    if (UNLIKELY(!block_sound(hmm_heap.end))) {
        hmm_report_fault(hmm_heap.operation, hmm_heap.end, "damaged header",
                         "the end of the heap: the last block was written past its end");
    }
    return (hmm_heap.end->header & BLOCK_PREV_USED) == 0 ? hmm_free_block_before(hmm_heap.end) : NULL;
}

/* More memory behind the last region, up to `end`: its end becomes the header of a block. */
static void extend_region(char *end) {
    struct block *block = hmm_heap.end;
    uint64_t prev_used = block_tag(block) & BLOCK_PREV_USED;
    struct block *region_end = block_at(end - BLOCK_HEADER);
    size_t size = (size_t)((char *)region_end - (char *)block);
    block_set_tag(block, size | BLOCK_USED | prev_used);
    resized(hmm_heap.size + size);
    set_end(region_end, BLOCK_PREV_USED);
    hmm_merge_blocks(block);
}

/* Memory that does not continue the last region begins another. What is too little for a block is left alone. */
static void add_region(char *start, char *end) {
    struct region *region =
        (struct region *)(void *)(start + (round_up((uintptr_t)start, BLOCK_ALIGN) - (uintptr_t)start));
    if ((size_t)(end - start) < REGION_OVERHEAD + BLOCK_MIN) {
        return;
    }
    resized(hmm_heap.size + (size_t)(end - start));
    *region = (struct region){.start = start};
    struct block *first = hmm_region_first(region);
    if (hmm_heap.last != NULL) {
        hmm_heap.last->next = region;
    } else {
        hmm_heap.first = region;
        hmm_heap.low = (uintptr_t)block_payload(first);
    }
    hmm_heap.last = region;
    struct block *region_end = block_at(end - BLOCK_HEADER);
    set_end(region_end, BLOCK_PREV_USED);
    hmm_insert_free_block(first, (size_t)((char *)region_end - (char *)first));
}

/*
 * Raises the break, which is at `now`, by at least `by` bytes to a multiple of its grain. joins: memory that continues
 * the last region becomes part of it.
 */
static bool raise_break(char *now, size_t by, bool joins) {
    uintptr_t aim;
    if (__builtin_add_overflow((uintptr_t)now, by, &aim) || aim > UINTPTR_MAX - hmm_heap.brk.grain) {
        return false;
    }
    size_t rounded = round_up(aim, hmm_heap.brk.grain) - (uintptr_t)now;
    void *was;
    if (rounded > PTRDIFF_MAX || !hmm_heap.brk.move(&hmm_heap.brk, (intptr_t)rounded, &was)) {
        return false;
    }
    char *start = was;
    char *end = start + (round_down((uintptr_t)start + rounded, BLOCK_ALIGN) - (uintptr_t)start);
    hmm_heap.fresh = (uintptr_t)start;
    if (joins && start == end_of_heap()) {
        extend_region(end);
    } else {
        add_region(start, end);
    }
    return true;
}

/* Whether memory from `now` on continues the last region, which must not outgrow what a header can tell. */
static bool continues(const char *now, size_t by) {
    if (hmm_heap.end == NULL || now != end_of_heap()) {
        return false;
    }
    uint64_t size = (size_t)((char *)hmm_heap.end - hmm_heap.last->start);
    return size + by < BLOCK_SIZE_MAX;
}

struct block *hmm_alloc_extra(size_t size) {
    if (hmm_heap.brk.move == NULL) {
        struct program_break brk;
        if (!hmm_system_break(&brk)) {
            return NULL;
        }
        hmm_heap_start(&brk);
    }
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        struct block *last = last_free_block();
        if (last != NULL && block_size(last) >= size) {
            return last;
        }
        void *where; /* lower than it was: somebody has taken memory of ours away, and who knows what comes next */
        if (!hmm_heap.brk.move(&hmm_heap.brk, 0, &where) || (hmm_heap.end != NULL && (char *)where < end_of_heap())) {
            return NULL;
        }
        char *now = where;
        size_t need = size + REGION_OVERHEAD;
        bool joins = continues(now, size + hmm_region_extra());
        if (joins) {
            need = last != NULL ? size - block_size(last) : size;
        }
        if (!raise_break(now, need + hmm_region_extra(), joins) && !raise_break(now, need, joins)) {
            return NULL;
        }
    }
    return NULL;
}

size_t hmm_trim_break(size_t keep) {
    struct block *last = last_free_block();
    void *now;
    if (last == NULL || block_size(last) <= keep || !hmm_heap.brk.move(&hmm_heap.brk, 0, &now) ||
        now != end_of_heap()) {
        return 0;
    }
    size_t size = block_size(last);
    size_t by = round_down(size - keep, hmm_heap.brk.grain);
    if (size - by != 0 && size - by < BLOCK_MIN) {
        by -= hmm_heap.brk.grain; /* what is left must be nothing or a block */
    }
    if (by == 0) {
        return 0;
    }
    hmm_remove_from_freelist(last);
    void *was;
    if (!hmm_heap.brk.move(&hmm_heap.brk, -(intptr_t)by, &was)) {
        hmm_insert_free_block(last, size);
        return 0;
    }
    resized(hmm_heap.size - by);
    set_end(block_after(last, size - by), BLOCK_PREV_USED);
    if (size - by != 0) {
        hmm_insert_free_block(last, size - by);
    }
    return by;
}
