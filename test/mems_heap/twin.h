/*
 * twin.h - a space and a model of it: each operation is done on both, and then they must be equal.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "layout.h"
#include "mems_heap/complaint.h"
#include "mems_heap/space_report.h"
#include "os/os.h"
#include "support/marked.h"
#include "support/space_heap.h"

#define TWIN_STALE 64

struct twin {
    struct mems_space *space;
    struct layout layout;
    uint64_t failures;
    uint64_t next_mark;
    void *stale[TWIN_STALE]; /* handles of freed blocks */
    size_t stale_count;      /* of all there ever were; the last ones are kept */
    bool refusals;           /* system calls may fail, and so may operations, which must then change nothing */
};

/* --- What the heap says ------------------------------------------------------------------------------------------ */

static struct {
    unsigned count;
    int error;
    uintptr_t address;
} twin_heard;

static inline void twin_hear(const struct mems_error *error, void *context) {
    (void)context;
    twin_heard.count++;
    twin_heard.error = error->error;
    twin_heard.address = error->address;
}

static inline void twin_listen(void) {
    complaint_set_handler(twin_hear, NULL);
    twin_heard.count = 0;
    errno = 0;
}

static inline void twin_expect_silence(void) {
    CHECK(twin_heard.count == 0 && errno == 0);
}

static inline void twin_expect_error(int error, uintptr_t address) {
    CHECK(twin_heard.count == 1 && twin_heard.error == error && errno == error);
    CHECK(twin_heard.address == address);
}

/* --- Contents ---------------------------------------------------------------------------------------------------- */

static inline struct marked piece_block(const struct piece *piece) {
    return (struct marked){
        .memory = (unsigned char *)piece->physical, .size = piece->size, .mark = piece->mark, .stride = MARKED_WORD};
}

static inline void piece_fill(const struct piece *piece) {
    struct marked block = piece_block(piece);
    marked_fill(&block);
}

/* Whether the first `size` bytes are those that were filled in. */
static inline bool piece_intact(const struct piece *piece, size_t size) {
    struct marked block = piece_block(piece);
    return marked_intact(&block, size);
}

static inline void twin_check_contents(const struct twin *twin) {
    for (size_t i = 0; i < twin->layout.count; i++) {
        const struct piece *piece = &twin->layout.pieces[i];
        CHECK(!piece->process || piece_intact(piece, piece->size));
    }
}

/* Records a block's place, and gives it new contents. */
static inline void twin_settle(struct twin *twin, struct piece *piece) {
    CHECK(space_get("get", twin->space, piece->handle) == piece->physical);
    CHECK((uintptr_t)piece->physical % twin->layout.alignment == 0);
    CHECK(space_usable_size("usable_size", twin->space, piece->handle) == piece->size);
    piece->mark = ++twin->next_mark * UINT64_C(0x9e3779b97f4a7c15);
    piece_fill(piece);
}

/* --- Comparison -------------------------------------------------------------------------------------------------- */

struct twin_visit {
    const struct layout *layout;
    size_t index;
    size_t mains;
    size_t main; /* the index of its first segment */
    uintptr_t main_physical;
};

static inline int twin_visit(const struct mems_segment *segment, void *context) {
    struct twin_visit *visit = context;
    const struct layout *layout = visit->layout;
    CHECK(visit->index < layout->count);
    const struct piece *piece = &layout->pieces[visit->index];
    if (piece->first) {
        visit->mains++;
        visit->main = visit->index;
        visit->main_physical = (uintptr_t)segment->physical;
        CHECK(segment->main_last == layout_main_last(layout, visit->index));
    }
    CHECK(segment->start == piece->start && segment->last == piece->start + piece->size - 1);
    CHECK(segment->kind == (piece->process ? MEMS_PROCESS : MEMS_HOLE));
    CHECK(segment->main_index == visit->mains - 1);
    CHECK(segment->main_start == layout->pieces[visit->main].start);
    CHECK((segment->physical != NULL) == piece->memory);
    CHECK(!piece->memory ||
          (uintptr_t)segment->physical - visit->main_physical == segment->start - segment->main_start);
    CHECK(!piece->process || (segment->physical == piece->physical && segment->v_ptr == piece->handle));
    visit->index++;
    return 0;
}

static inline void twin_compare_stats(const struct twin *twin, size_t mains) {
    const struct layout *layout = &twin->layout;
    struct mems_stats stats;
    size_t processes = layout_processes(layout);
    size_t process_bytes = 0, reserved_bytes = 0;
    for (size_t i = 0; i < layout->count; i++) {
        process_bytes += layout->pieces[i].process ? layout->pieces[i].size : 0;
        reserved_bytes += layout->pieces[i].memory ? 0 : layout->pieces[i].size;
    }
    size_t bytes = layout_end(layout) - LAYOUT_START;
    space_stats("stats", twin->space, &stats);
    CHECK(stats.page_size == layout->page_size && stats.main_nodes == mains);
    CHECK(stats.processes == processes && stats.holes == layout->count - processes);
    CHECK(stats.process_bytes == process_bytes && stats.hole_bytes == bytes - process_bytes);
    CHECK(stats.reserved_bytes == reserved_bytes && stats.pages * layout->page_size == bytes - reserved_bytes);
    CHECK(stats.maps == layout->maps && stats.unmaps == layout->unmaps && stats.failures == twin->failures);
}

/* If a main node's memory continues that of the previous one, the two may have been joined; only the space knows.
 * Adjacent HOLEs there are merged. */
struct twin_learner {
    struct layout *layout;
    size_t index;
    const char *end; /* of the previous segment's memory */
};

static inline int twin_learn_segment(const struct mems_segment *segment, void *context) {
    struct twin_learner *learner = context;
    struct layout *layout = learner->layout;
    CHECK(learner->index < layout->count);
    struct piece *piece = &layout->pieces[learner->index];
    if (piece->first && segment->start != segment->main_start) {
        CHECK(segment->physical != NULL && segment->physical == learner->end);
        piece->first = false;
    }
    size_t size = segment->last - segment->start + 1;
    while (!piece->process && piece->memory && piece->size < size && learner->index + 1 < layout->count &&
           !piece[1].process && piece[1].memory && piece[1].first) {
        piece->size += piece[1].size;
        layout_remove(layout, learner->index + 1);
    }
    learner->end = segment->physical != NULL ? (char *)segment->physical + size : NULL;
    learner->index++;
    return 0;
}

static inline void twin_learn(struct twin *twin) {
    struct twin_learner learner = {.layout = &twin->layout};
    CHECK(space_report_walk("walk", twin->space, twin_learn_segment, &learner) == 0);
}

/* Compares the whole structure, by mems_walk and by the statistics, and checks the invariants. */
static inline void twin_compare(struct twin *twin) {
    twin_learn(twin);
    struct twin_visit visit = {.layout = &twin->layout};
    CHECK_VALID_SPACE(twin->space);
    CHECK(space_report_walk("walk", twin->space, twin_visit, &visit) == 0);
    CHECK(visit.index == twin->layout.count);
    twin_compare_stats(twin, visit.mains);
}

/* --- Operations -------------------------------------------------------------------------------------------------- */

/* An empty space with these properties. */
static inline void twin_begin(struct twin *twin, struct mems_space *space, size_t page_size, size_t alignment) {
    CHECK(space != NULL);
    memset(twin, 0, sizeof *twin);
    twin->space = space;
    twin->layout.page_size = page_size;
    twin->layout.alignment = alignment;
    twin_compare(twin);
}

static inline int twin_take_over(const struct mems_segment *segment, void *context) {
    struct layout *layout = context;
    layout_insert(layout, layout->count,
                  (struct piece){
                      .start = segment->start,
                      .size = segment->last - segment->start + 1,
                      .process = segment->kind == MEMS_PROCESS,
                      .memory = segment->physical != NULL,
                      .first = segment->start == segment->main_start,
                      .physical = segment->physical,
                      .handle = segment->v_ptr,
                  });
    return 0;
}

/* Makes the model equal to the space after system calls have failed. The blocks are the same as before, except that
 * one may have been freed (or NULL), and one added. */
static inline void twin_follow(struct twin *twin, const void *gone, size_t come) {
    static struct layout old;
    struct mems_stats stats;
    old = twin->layout;
    twin->layout.count = 0;
    CHECK(space_report_walk("walk", twin->space, twin_take_over, &twin->layout) == 0);
    for (size_t i = 0; i < old.count; i++) {
        if (old.pieces[i].process && (gone == NULL || old.pieces[i].handle != gone)) {
            struct piece *piece = &twin->layout.pieces[layout_at(&twin->layout, old.pieces[i].start)];
            CHECK(piece->process && piece->size == old.pieces[i].size && piece->handle == old.pieces[i].handle);
            CHECK(piece->physical == old.pieces[i].physical);
            piece->mark = old.pieces[i].mark;
        }
    }
    CHECK(layout_processes(&twin->layout) == layout_processes(&old) - (gone != NULL) + come);
    space_stats("stats", twin->space, &stats);
    twin->layout.unmaps = stats.unmaps;
    twin->layout.maps = stats.maps;
}

/* The space reports that there is no memory, which may be true. Before that it trimmed what it could. */
static inline void twin_refused(struct twin *twin) {
    CHECK(twin->refusals);
    twin_expect_error(ENOMEM, 0);
    twin->failures++;
    os_inject_clear();
    twin_follow(twin, NULL, 0);
}

/* Whether the space trimmed by itself because the system refused memory. */
static inline bool twin_has_trimmed(const struct twin *twin) {
    struct mems_stats stats;
    space_stats("stats", twin->space, &stats);
    return twin->refusals && stats.unmaps != twin->layout.unmaps;
}

/* The handle of a block with the address that the model predicts. */
static inline void twin_take_handle(struct piece *piece, void *handle) {
    CHECK(handle_address((uintptr_t)handle) == piece->start);
    piece->handle = handle;
}

static inline void twin_becomes_stale(struct twin *twin, void *handle) {
    twin->stale[twin->stale_count++ % TWIN_STALE] = handle;
}

/* Passes a freed block's handle, with or without an offset, to all functions: they refuse it. */
static inline void twin_try_stale(struct twin *twin, size_t number) {
    size_t kept = twin->stale_count < TWIN_STALE ? twin->stale_count : TWIN_STALE;
    if (kept == 0 || twin->space->number == 0) {
        return;
    }
    char *stale = twin->stale[number % kept];
    char byte;
    CHECK(space_get("get", twin->space, stale + number % 8) == NULL);
    CHECK(space_pin("pin", twin->space, stale) == NULL);
    CHECK(space_read("read", twin->space, stale, &byte, 1) == EFAULT);
    CHECK(space_write("write", twin->space, stale, &byte, 1) == EFAULT);
    CHECK(space_realloc("realloc", twin->space, stale, 8) == NULL);
    CHECK(space_usable_size("usable_size", twin->space, stale) == 0);
    twin_listen();
    space_free("free", twin->space, stale);
    twin_expect_error(EFAULT, (uintptr_t)stale);
}

static inline void twin_alloc(struct twin *twin, size_t size, bool zeroed) {
    twin_listen();
    void *v_ptr =
        zeroed ? space_alloc_zeroed("calloc", twin->space, 1, size) : space_alloc("malloc", twin->space, size);
    if (v_ptr == NULL) {
        twin_refused(twin);
        return;
    }
    size_t index;
    if (twin_has_trimmed(twin)) {
        os_inject_clear();
        twin_follow(twin, NULL, 1);
        index = layout_at(&twin->layout, handle_address((uintptr_t)v_ptr));
    } else {
        index = layout_take(&twin->layout, layout_rounded(&twin->layout, size), 0);
    }
    struct piece *piece = &twin->layout.pieces[index];
    twin_take_handle(piece, v_ptr);
    piece->physical = space_get("get", twin->space, v_ptr);
    for (size_t i = 0; zeroed && i < piece->size; i++) {
        CHECK(piece->physical[i] == 0);
    }
    twin_settle(twin, piece);
    twin_expect_silence();
}

static inline void twin_free(struct twin *twin, size_t index) {
    const struct piece *piece = &twin->layout.pieces[index];
    twin_listen();
    CHECK(piece_intact(piece, piece->size));
    space_free("free", twin->space, piece->handle);
    twin_becomes_stale(twin, piece->handle);
    layout_give(&twin->layout, index);
    twin_expect_silence();
}

static inline void twin_realloc(struct twin *twin, size_t index, size_t size) {
    struct layout *layout = &twin->layout;
    struct piece old = layout->pieces[index];
    twin_listen();
    void *v_ptr = space_realloc("realloc", twin->space, old.handle, size);
    if (v_ptr == NULL) {
        CHECK(size > old.size && piece_intact(&old, old.size));
        twin_refused(twin);
        return;
    }
    /* Without memory for a new HOLE's node, a block need not shrink. */
    size_t rounded = layout_rounded(layout, size);
    bool kept = twin->refusals && rounded < old.size && space_usable_size("size", twin->space, v_ptr) == old.size;
    /* Without memory for the dictionary, a block moves that could grow in place. */
    bool moved = handle_address((uintptr_t)v_ptr) != old.start;
    if (twin_has_trimmed(twin) || (twin->refusals && moved)) {
        os_inject_clear();
        twin_follow(twin, old.handle, 1);
        index = layout_at(layout, handle_address((uintptr_t)v_ptr));
        layout->pieces[index].mark = old.mark;
    } else if (!kept && !layout_resize(layout, index, rounded)) {
        index = layout_move(layout, index, rounded);
        layout->pieces[index].physical = space_get("get", twin->space, v_ptr);
    }
    struct piece *piece = &layout->pieces[index];
    twin_take_handle(piece, v_ptr);
    if (v_ptr != old.handle) {
        twin_becomes_stale(twin, old.handle);
    }
    CHECK(piece_intact(piece, piece->size < old.size ? piece->size : old.size));
    twin_settle(twin, piece);
    twin_expect_silence();
}

static inline void twin_trim(struct twin *twin) {
    twin_listen();
    CHECK(space_trim("trim", twin->space) == layout_trim(&twin->layout));
    twin_expect_silence();
}

/* Passes any address to all functions: they do what they should, or report what is wrong. */
static inline void twin_try_address(struct twin *twin, uintptr_t address) {
    size_t index = layout_find(&twin->layout, address);
    const struct piece *piece = index != LAYOUT_NONE ? &twin->layout.pieces[index] : NULL;
    bool process = piece != NULL && piece->process;
    uintptr_t above = process ? (uintptr_t)piece->handle - piece->start : (uintptr_t)twin->space->number << 48;
    void *v_ptr = (void *)(above + address);
    twin_listen();
    char *physical = space_get("get", twin->space, v_ptr);
    if (process) {
        CHECK(physical == piece->physical + (address - piece->start));
        twin_expect_silence();
    } else {
        CHECK(physical == NULL);
        twin_expect_error(EFAULT, (uintptr_t)v_ptr);
    }
    if ((uintptr_t)v_ptr == 0 || (process && address == piece->start)) {
        return; /* accepted by the others */
    }
    int error = process ? EINVAL : EFAULT;
    twin_listen();
    space_free("free", twin->space, v_ptr);
    twin_expect_error(error, (uintptr_t)v_ptr);
    twin_listen();
    CHECK(space_realloc("realloc", twin->space, v_ptr, 1) == NULL);
    twin_expect_error(error, (uintptr_t)v_ptr);
    twin_listen();
    CHECK(space_usable_size("usable_size", twin->space, v_ptr) == 0);
    twin_expect_error(error, (uintptr_t)v_ptr);
}

#define TWIN_COPY_MAX 65536

/* Reads and writes `size` bytes from `offset` in a block, or learns that it ends before that. */
static inline void twin_copy(struct twin *twin, size_t index, size_t offset, size_t size) {
    static char buffer[TWIN_COPY_MAX];
    const struct piece *piece = &twin->layout.pieces[index];
    void *v_ptr = (char *)piece->handle + offset;
    CHECK(size <= sizeof buffer && offset < piece->size);
    twin_listen();
    int error = space_read("read", twin->space, v_ptr, buffer, size);
    if (size > piece->size - offset) {
        CHECK(error == ERANGE);
        twin_expect_error(ERANGE, (uintptr_t)v_ptr);
        twin_listen();
        CHECK(space_write("write", twin->space, v_ptr, buffer, size) == ERANGE);
        twin_expect_error(ERANGE, (uintptr_t)v_ptr);
        CHECK(piece_intact(piece, piece->size));
        return;
    }
    CHECK(error == 0 && memcmp(buffer, piece->physical + offset, size) == 0);
    for (size_t i = 0; i < size; i++) {
        buffer[i] = (char)~buffer[i];
    }
    CHECK(space_write("write", twin->space, v_ptr, buffer, size) == 0);
    CHECK(memcmp(buffer, piece->physical + offset, size) == 0);
    twin_expect_silence();
    piece_fill(piece);
}
