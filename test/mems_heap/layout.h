/*
 * layout.h - the simplest model of a space: an array of all segments, which every operation searches linearly.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "support/check.h"

#define LAYOUT_START 1000
#define LAYOUT_PIECES 4096
#define LAYOUT_NONE SIZE_MAX

/* A segment. */
struct piece {
    uintptr_t start;
    size_t size;
    bool process;
    bool memory;    /* its main node has memory */
    bool first;     /* the first of its main node */
    uint64_t mark;  /* of a PROCESS's contents */
    char *physical; /* of a PROCESS */
    void *handle;   /* of a PROCESS */
};

/* Invariant: the pieces are adjacent, starting at LAYOUT_START. */
struct layout {
    size_t page_size;
    size_t alignment;
    uint64_t maps;
    uint64_t unmaps;
    size_t count;
    struct piece pieces[LAYOUT_PIECES];
};

static inline uintptr_t layout_end(const struct layout *layout) {
    if (layout->count == 0) {
        return LAYOUT_START;
    }
    const struct piece *last = &layout->pieces[layout->count - 1];
    return last->start + last->size;
}

static inline size_t layout_rounded(const struct layout *layout, size_t size) {
    return (size + layout->alignment - 1) / layout->alignment * layout->alignment;
}

static inline size_t layout_whole_pages(const struct layout *layout, size_t size) {
    return (size + layout->page_size - 1) / layout->page_size * layout->page_size;
}

/* The index of the segment that holds an address, or LAYOUT_NONE. */
static inline size_t layout_find(const struct layout *layout, uintptr_t address) {
    size_t index = 0;
    while (index < layout->count && address >= layout->pieces[index].start + layout->pieces[index].size) {
        index++;
    }
    return index < layout->count && address >= layout->pieces[index].start ? index : LAYOUT_NONE;
}

/* The same for an address inside a segment. */
static inline size_t layout_at(const struct layout *layout, uintptr_t address) {
    size_t index = layout_find(layout, address);
    CHECK(index < layout->count);
    return index;
}

/* The last address of the main node whose first segment is pieces[first]. */
static inline uintptr_t layout_main_last(const struct layout *layout, size_t first) {
    size_t next = first + 1;
    while (next < layout->count && !layout->pieces[next].first) {
        next++;
    }
    return layout->pieces[next - 1].start + layout->pieces[next - 1].size - 1;
}

static inline void layout_insert(struct layout *layout, size_t index, struct piece piece) {
    CHECK(layout->count < LAYOUT_PIECES);
    struct piece *at = &layout->pieces[index];
    memmove(at + 1, at, (layout->count - index) * sizeof *at);
    *at = piece;
    layout->count++;
}

static inline void layout_remove(struct layout *layout, size_t index) {
    struct piece *at = &layout->pieces[index];
    layout->count--;
    memmove(at, at + 1, (layout->count - index) * sizeof *at);
}

/* Cuts a segment to `size` bytes; the rest is a HOLE. */
static inline void layout_cut(struct layout *layout, size_t index, size_t size) {
    struct piece *piece = &layout->pieces[index];
    if (size < piece->size) {
        struct piece rest = {.start = piece->start + size, .size = piece->size - size, .memory = piece->memory};
        piece->size = size;
        layout_insert(layout, index + 1, rest);
    }
}

/* Merges a HOLE with the next segment, if that is a HOLE of the same main node. */
static inline void layout_merge(struct layout *layout, size_t index) {
    if (index + 1 < layout->count) {
        struct piece *piece = &layout->pieces[index];
        const struct piece *next = piece + 1;
        if (!piece->process && !next->process && !next->first) {
            piece->size += next->size;
            layout_remove(layout, index + 1);
        }
    }
}

static inline size_t layout_best_hole(const struct layout *layout, size_t size, bool memory) {
    size_t best = LAYOUT_NONE;
    for (size_t i = 0; i < layout->count; i++) {
        const struct piece *piece = &layout->pieces[i];
        if (!piece->process && piece->memory == memory && piece->size >= size &&
            (best == LAYOUT_NONE || piece->size < layout->pieces[best].size)) {
            best = i;
        }
    }
    return best;
}

/* Places a block of `size` bytes where there is room for `headroom` more; returns its index. */
static inline size_t layout_take(struct layout *layout, size_t size, size_t headroom) {
    size_t index = layout_best_hole(layout, size + headroom, true);
    if (index == LAYOUT_NONE) {
        size_t bytes = layout_whole_pages(layout, size + headroom);
        layout->maps++;
        index = layout_best_hole(layout, bytes, false);
        if (index == LAYOUT_NONE) {
            index = layout->count;
            layout_insert(layout, index, (struct piece){.start = layout_end(layout), .size = bytes, .first = true});
        }
        if (bytes < layout->pieces[index].size) {
            layout_cut(layout, index, bytes);
            layout->pieces[index + 1].first = true;
        }
        layout->pieces[index].memory = true;
    }
    layout_cut(layout, index, size);
    layout->pieces[index].process = true;
    return index;
}

static inline void layout_give(struct layout *layout, size_t index) {
    layout->pieces[index].process = false;
    layout_merge(layout, index);
    if (index > 0) {
        layout_merge(layout, index - 1);
    }
}

/* Resizes in place as realloc does; false if the block must move. */
static inline bool layout_resize(struct layout *layout, size_t index, size_t size) {
    struct piece *piece = &layout->pieces[index];
    if (size <= piece->size) {
        layout_cut(layout, index, size);
        layout_merge(layout, index + 1);
        return true;
    }
    struct piece *next = piece + 1;
    size_t more = size - piece->size;
    if (index + 1 >= layout->count || next->process || next->first || next->size < more) {
        return false;
    }
    piece->size = size;
    next->start += more;
    next->size -= more;
    if (next->size == 0) {
        layout_remove(layout, index + 1);
    }
    return true;
}

/* Unmaps the whole pages of a segment, if it is a HOLE; returns their bytes. Pages start where the first main node
 * does. */
static inline size_t layout_trim_hole(struct layout *layout, size_t i) {
    size_t start = layout->pieces[i].start - LAYOUT_START;
    size_t first = layout_whole_pages(layout, start);
    size_t end = (start + layout->pieces[i].size) / layout->page_size * layout->page_size;
    if (layout->pieces[i].process || !layout->pieces[i].memory || first >= end) {
        return 0;
    }
    if (first > start) {
        layout_cut(layout, i++, first - start);
    }
    layout_cut(layout, i, end - first);
    layout->pieces[i].first = true;
    layout->pieces[i].memory = false;
    if (i + 1 < layout->count) {
        layout->pieces[i + 1].first = true;
    }
    layout->unmaps++;
    return end - first;
}

/* Joins adjacent main nodes without memory. */
static inline void layout_join(struct layout *layout) {
    for (size_t i = 0; i + 1 < layout->count;) {
        if (layout->pieces[i].memory || layout->pieces[i + 1].memory) {
            i++;
        } else {
            layout->pieces[i].size += layout->pieces[i + 1].size;
            layout_remove(layout, i + 1);
        }
    }
}

/* Unmaps the whole pages of all HOLEs; returns their bytes. */
static inline size_t layout_trim(struct layout *layout) {
    size_t bytes = 0;
    for (size_t i = 0; i < layout->count; i++) {
        bytes += layout_trim_hole(layout, i);
    }
    layout_join(layout);
    return bytes;
}

/* Moves a block to a place for `size` bytes; returns its index. A large block gets headroom, and leaves no pages. */
static inline size_t layout_move(struct layout *layout, size_t index, size_t size) {
    struct piece old = layout->pieces[index];
    bool large = old.size >= 65536;
    size_t moved = layout_take(layout, size, large ? layout_rounded(layout, size / 2) : 0);
    layout->pieces[moved].mark = old.mark;
    uintptr_t address = layout->pieces[moved].start;
    layout_give(layout, layout_at(layout, old.start));
    if (large) {
        (void)layout_trim_hole(layout, layout_at(layout, old.start));
        layout_join(layout);
    }
    return layout_at(layout, address);
}

static inline size_t layout_processes(const struct layout *layout) {
    size_t processes = 0;
    for (size_t i = 0; i < layout->count; i++) {
        processes += layout->pieces[i].process;
    }
    return processes;
}

/* The n-th PROCESS, counting in circles; LAYOUT_NONE if there is none. */
static inline size_t layout_process(const struct layout *layout, size_t n) {
    size_t processes = layout_processes(layout);
    size_t index = LAYOUT_NONE;
    for (size_t left = processes > 0 ? n % processes + 1 : 0; left > 0;) {
        left -= layout->pieces[++index].process;
    }
    return index;
}
