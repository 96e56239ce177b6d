#include "metadata.h"

#include "base/bits.h"
#include "base/fault.h"
#include "ranks.h"
#include "window.h"

/* Accessible in steps of an eighth of what is used, so that a large heap's descriptors cost few system calls. */
#define GROWTH ((size_t)64 << 10)
#define GROWTH_MAX ((size_t)4 << 20)

struct metadata metadata = {.lock = LOCK_INIT(LOCK_METADATA)};

static void push(void *piece, size_t size) {
    struct metadata_piece *free = piece;
    free->next = metadata.free[size / METADATA_STEP];
    metadata.free[size / METADATA_STEP] = free;
    metadata.spare += size;
}

/* A piece cut off the area's unused end. What alignment skips becomes pieces of the smallest size. */
static void *cut(size_t size, size_t headroom) {
    size_t start = round_up(metadata.used, is_power_of_two(size) ? size : METADATA_STEP);
    size_t step = GROWTH;
    while (step < GROWTH_MAX && step < metadata.used / 8) {
        step *= 2;
    }
    if (area_reach(&window.metadata_area, start + size + headroom, step)) {
        return NULL;
    }
    for (; metadata.used < start; metadata.used += METADATA_STEP) {
        push((void *)(window.metadata_area.start + metadata.used), METADATA_STEP);
    }
    metadata.used = start + size;
    return (void *)(window.metadata_area.start + start);
}

static void *alloc(size_t size, size_t headroom) {
    size = round_up(size, METADATA_STEP);
    ASSERT(size <= METADATA_MAX);
    lock_take(&metadata.lock);
    struct metadata_piece *piece = metadata.free[size / METADATA_STEP];
    if (piece != NULL) {
        metadata.free[size / METADATA_STEP] = piece->next;
        metadata.spare -= size;
    } else {
        piece = cut(size, headroom);
    }
    lock_give(&metadata.lock);
    return piece;
}

void *metadata_alloc(size_t size) {
    return alloc(size, METADATA_HEADROOM);
}

void *metadata_alloc_urgent(size_t size) {
    return alloc(size, 0);
}

void metadata_free(void *piece, size_t size) {
    lock_take(&metadata.lock);
    push(piece, round_up(size, METADATA_STEP));
    lock_give(&metadata.lock);
}
