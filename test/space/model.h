/*
 * model.h - a space as simply as it can be told: one array of all segments, which every operation searches from end to
 * end.
 */
#ifndef MEMS_TEST_SPACE_MODEL_H
#define MEMS_TEST_SPACE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL_START 1000
#define MODEL_PIECES 4096
#define MODEL_NONE SIZE_MAX

/* Ends the program, so that a fuzzer and a forked child can use it, too. */
#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

_Noreturn static inline void check_failed(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    abort();
}

/* A segment. */
struct piece {
    uintptr_t start;
    size_t size;
    bool process;
    bool memory;    /* its main node has memory */
    bool first;     /* it is the first of its main node */
    uint64_t mark;  /* of a PROCESS's contents */
    char *physical; /* of a PROCESS */
};

/* Invariant: the pieces follow each other from MODEL_START on, without gaps. */
struct model {
    size_t page_size;
    size_t alignment;
    uint64_t maps;
    uint64_t unmaps;
    size_t count;
    struct piece pieces[MODEL_PIECES];
};

static inline uintptr_t model_end(const struct model *model) {
    if (model->count == 0) {
        return MODEL_START;
    }
    const struct piece *last = &model->pieces[model->count - 1];
    return last->start + last->size;
}

static inline size_t model_rounded(const struct model *model, size_t size) {
    return (size + model->alignment - 1) / model->alignment * model->alignment;
}

static inline size_t model_whole_pages(const struct model *model, size_t size) {
    return (size + model->page_size - 1) / model->page_size * model->page_size;
}

/* The index of the segment that holds an address; MODEL_NONE outside. */
static inline size_t model_find(const struct model *model, uintptr_t address) {
    size_t index = 0;
    while (index < model->count && address >= model->pieces[index].start + model->pieces[index].size) {
        index++;
    }
    return index < model->count && address >= model->pieces[index].start ? index : MODEL_NONE;
}

/* The same for an address that lies in one. */
static inline size_t model_at(const struct model *model, uintptr_t address) {
    size_t index = model_find(model, address);
    CHECK(index < model->count);
    return index;
}

/* The last address of the main node whose first segment is pieces[first]. */
static inline uintptr_t model_main_last(const struct model *model, size_t first) {
    size_t next = first + 1;
    while (next < model->count && !model->pieces[next].first) {
        next++;
    }
    return model->pieces[next - 1].start + model->pieces[next - 1].size - 1;
}

static inline void model_insert(struct model *model, size_t index, struct piece piece) {
    CHECK(model->count < MODEL_PIECES);
    struct piece *at = &model->pieces[index];
    memmove(at + 1, at, (model->count - index) * sizeof *at);
    *at = piece;
    model->count++;
}

static inline void model_remove(struct model *model, size_t index) {
    struct piece *at = &model->pieces[index];
    model->count--;
    memmove(at, at + 1, (model->count - index) * sizeof *at);
}

/* `size` bytes of a segment are left; what is behind them is a HOLE of its own. */
static inline void model_cut(struct model *model, size_t index, size_t size) {
    struct piece *piece = &model->pieces[index];
    if (size < piece->size) {
        struct piece rest = {.start = piece->start + size, .size = piece->size - size, .memory = piece->memory};
        piece->size = size;
        model_insert(model, index + 1, rest);
    }
}

/* A HOLE and the next segment become one, if that is a HOLE of the same main node. */
static inline void model_merge(struct model *model, size_t index) {
    if (index + 1 < model->count) {
        struct piece *piece = &model->pieces[index];
        const struct piece *next = piece + 1;
        if (!piece->process && !next->process && !next->first) {
            piece->size += next->size;
            model_remove(model, index + 1);
        }
    }
}

static inline size_t model_best_hole(const struct model *model, size_t size, bool memory) {
    size_t best = MODEL_NONE;
    for (size_t i = 0; i < model->count; i++) {
        const struct piece *piece = &model->pieces[i];
        if (!piece->process && piece->memory == memory && piece->size >= size &&
            (best == MODEL_NONE || piece->size < model->pieces[best].size)) {
            best = i;
        }
    }
    return best;
}

/* Places a block of `size` bytes; returns its index. */
static inline size_t model_take(struct model *model, size_t size) {
    size_t index = model_best_hole(model, size, true);
    if (index == MODEL_NONE) {
        size_t bytes = model_whole_pages(model, size);
        model->maps++;
        index = model_best_hole(model, bytes, false);
        if (index == MODEL_NONE) {
            index = model->count;
            model_insert(model, index, (struct piece){.start = model_end(model), .size = bytes, .first = true});
        }
        if (bytes < model->pieces[index].size) {
            model_cut(model, index, bytes);
            model->pieces[index + 1].first = true;
        }
        model->pieces[index].memory = true;
    }
    model_cut(model, index, size);
    model->pieces[index].process = true;
    return index;
}

static inline void model_give(struct model *model, size_t index) {
    model->pieces[index].process = false;
    model_merge(model, index);
    if (index > 0) {
        model_merge(model, index - 1);
    }
}

/* What realloc does in place; false: the block has to move. */
static inline bool model_resize(struct model *model, size_t index, size_t size) {
    struct piece *piece = &model->pieces[index];
    if (size <= piece->size) {
        model_cut(model, index, size);
        model_merge(model, index + 1);
        return true;
    }
    struct piece *next = piece + 1;
    size_t more = size - piece->size;
    if (index + 1 >= model->count || next->process || next->first || next->size < more) {
        return false;
    }
    piece->size = size;
    next->start += more;
    next->size -= more;
    if (next->size == 0) {
        model_remove(model, index + 1);
    }
    return true;
}

/* Moves a block to a place for `size` bytes; returns its index. */
static inline size_t model_move(struct model *model, size_t index, size_t size) {
    struct piece old = model->pieces[index];
    size_t moved = model_take(model, size);
    model->pieces[moved].mark = old.mark;
    uintptr_t address = model->pieces[moved].start;
    model_give(model, model_at(model, old.start));
    return model_at(model, address);
}

/* Unmaps the whole pages of every HOLE; returns how many bytes. Pages start where the first main node does. */
static inline size_t model_trim(struct model *model) {
    size_t bytes = 0;
    for (size_t i = 0; i < model->count; i++) {
        size_t start = model->pieces[i].start - MODEL_START;
        size_t first = model_whole_pages(model, start);
        size_t end = (start + model->pieces[i].size) / model->page_size * model->page_size;
        if (model->pieces[i].process || !model->pieces[i].memory || first >= end) {
            continue;
        }
        if (first > start) {
            model_cut(model, i++, first - start);
        }
        model_cut(model, i, end - first);
        model->pieces[i].first = true;
        model->pieces[i].memory = false;
        if (i + 1 < model->count) {
            model->pieces[i + 1].first = true;
        }
        bytes += end - first;
        model->unmaps++;
    }
    for (size_t i = 0; i + 1 < model->count;) {
        if (model->pieces[i].memory || model->pieces[i + 1].memory) {
            i++;
        } else {
            model->pieces[i].size += model->pieces[i + 1].size;
            model_remove(model, i + 1);
        }
    }
    return bytes;
}

static inline size_t model_processes(const struct model *model) {
    size_t processes = 0;
    for (size_t i = 0; i < model->count; i++) {
        processes += model->pieces[i].process;
    }
    return processes;
}

/* The n-th PROCESS, counted round and round; MODEL_NONE when there is none. */
static inline size_t model_process(const struct model *model, size_t n) {
    size_t processes = model_processes(model);
    size_t index = MODEL_NONE;
    for (size_t left = processes > 0 ? n % processes + 1 : 0; left > 0;) {
        left -= model->pieces[++index].process;
    }
    return index;
}

#endif
