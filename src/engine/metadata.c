#include "metadata.h"

#include "base/bits.h"
#include "base/fault.h"
#include "ranks.h"
#include "window.h"

/* Accessible in steps of an eighth of what is used, so that a large heap's descriptors cost few system calls. */
#define GROWTH ((size_t)64 << 10)
#define GROWTH_MAX ((size_t)4 << 20)

/* Pieces are merged when this part of what is free, or more, has been given back since the last time. */
#define MERGE_SHARE 8u

struct metadata metadata = {.lock = LOCK_INIT(LOCK_METADATA)};

static void push(void *piece, size_t size) {
    struct metadata_piece *free = piece;
    free->next = metadata.free[size / METADATA_STEP];
    metadata.free[size / METADATA_STEP] = free;
    metadata.spare += size;
}

/* A free piece of exactly this size. */
static void *pop(size_t size) {
    struct metadata_piece *piece = metadata.free[size / METADATA_STEP];
    if (piece != NULL) {
        metadata.free[size / METADATA_STEP] = piece->next;
        metadata.spare -= size;
    }
    return piece;
}

static size_t alignment_of(size_t size) {
    return is_power_of_two(size) ? size : METADATA_STEP;
}

/* Makes start .. end - 1 free, in pieces as large as there may be, each as aligned as its size asks for. */
static void push_range(char *start, char *end) {
    while (start < end) {
        size_t size = (size_t)(end - start) < METADATA_MAX ? (size_t)(end - start) : METADATA_MAX;
        if ((uintptr_t)start % alignment_of(size) != 0) {
            size -= METADATA_STEP;
        }
        push(start, size);
        start += size;
    }
}

/* Makes the first `bytes` of the area accessible. */
static int reach(size_t bytes) {
    size_t step = GROWTH;
    while (step < GROWTH_MAX && step < metadata.used / 8) {
        step *= 2;
    }
    return area_reach(&window.metadata_area, bytes, step);
}

/* A piece cut off the area's unused end. What alignment skips becomes pieces of the smallest size. */
static void *cut(size_t size, size_t headroom) {
    size_t start = round_up(metadata.used, alignment_of(size));
    if (reach(start + size + headroom)) {
        return NULL;
    }
    for (; metadata.used < start; metadata.used += METADATA_STEP) {
        push((void *)(window.metadata_area.start + metadata.used), METADATA_STEP);
    }
    metadata.used = start + size;
    return (void *)(window.metadata_area.start + start);
}

/* A piece cut out of a free one in which there is one of this size and alignment wherever it starts. */
static void *carve(size_t size) {
    const size_t align = alignment_of(size);
    for (size_t whole = size + align - METADATA_STEP; whole <= METADATA_MAX; whole += METADATA_STEP) {
        char *piece = pop(whole);
        if (piece != NULL) {
            char *start = piece + (round_up((uintptr_t)piece, align) - (uintptr_t)piece);
            push_range(piece, start);
            push_range(start + size, piece + whole);
            return start;
        }
    }
    return NULL;
}

/* Two lists in ascending order, as one. */
static struct metadata_piece *merge_sorted(struct metadata_piece *a, struct metadata_piece *b) {
    struct metadata_piece *merged = NULL;
    struct metadata_piece **end = &merged;
    while (a != NULL && b != NULL) {
        struct metadata_piece **lower = a < b ? &a : &b;
        *end = *lower;
        end = &(*lower)->next;
        *lower = *end;
    }
    *end = a != NULL ? a : b;
    return merged;
}

/* Takes all free pieces, in the order of their addresses. */
static struct metadata_piece *take_sorted(void) {
    struct metadata_piece *sorted[64] = {NULL}; /* sorted[i]: 2^i of them, or none */
    for (size_t size = METADATA_STEP; size <= METADATA_MAX; size += METADATA_STEP) {
        for (struct metadata_piece *piece; (piece = pop(size)) != NULL;) {
            *piece = (struct metadata_piece){.next = NULL, .size = size};
            unsigned i = 0;
            for (; sorted[i] != NULL; i++) {
                piece = merge_sorted(sorted[i], piece);
                sorted[i] = NULL;
            }
            sorted[i] = piece;
        }
    }
    struct metadata_piece *all = NULL;
    for (unsigned i = 0; i < sizeof sorted / sizeof *sorted; i++) {
        all = merge_sorted(sorted[i], all);
    }
    return all;
}

/*
 * Free pieces that touch become one. The descriptors of one size class are not those of another: without this, what a
 * peak of the one has left would serve no other, and malloc would fail for ever where the area cannot grow.
 */
static bool merge(void) {
    if (metadata.unmerged == 0 || metadata.unmerged < metadata.spare / MERGE_SHARE) {
        return false;
    }
    metadata.unmerged = 0;
    for (struct metadata_piece *piece = take_sorted(); piece != NULL;) {
        char *start = (char *)piece;
        char *end = start;
        for (; (char *)piece == end; piece = piece->next) {
            end += piece->size;
        }
        push_range(start, end);
    }
    return true;
}

static void *alloc(size_t size, size_t headroom) {
    size = round_up(size, METADATA_STEP);
    ASSERT(size <= METADATA_MAX);
    lock_take(&metadata.lock);
    void *piece = pop(size);
    if (piece == NULL) {
        piece = cut(size, headroom);
    }
    if (piece == NULL) {
        piece = carve(size);
    }
    if (piece == NULL && merge()) {
        piece = pop(size);
        piece = piece != NULL ? piece : carve(size);
    }
    ASSERT((uintptr_t)piece % alignment_of(size) == 0);
    lock_give(&metadata.lock);
    return piece;
}

void *metadata_alloc(size_t size) {
    return alloc(size, METADATA_HEADROOM);
}

void *metadata_alloc_urgent(size_t size) {
    return alloc(size, 0);
}

void metadata_reserve(size_t units) {
    lock_take(&metadata.lock);
    (void)reach(units * METADATA_OF_UNIT);
    lock_give(&metadata.lock);
}

void metadata_free(void *piece, size_t size) {
    lock_take(&metadata.lock);
    size = round_up(size, METADATA_STEP);
    push(piece, size);
    metadata.unmerged += size;
    lock_give(&metadata.lock);
}
