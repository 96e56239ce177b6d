/*
 * twin.h - a space and a model of it: each operation is done on both, and then they must look the same.
 */
#ifndef MEMS_TEST_SPACE_TWIN_H
#define MEMS_TEST_SPACE_TWIN_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "model.h"
#include "space/complaint.h"
#include "space/report.h"
#include "space/space.h"

struct twin {
    struct mems_space *space;
    struct model model;
    uint64_t failures;
    uint64_t next_mark;
    bool refusals; /* system calls may fail: an operation may do so, too, and must then have changed nothing */
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

static inline char piece_byte(uint64_t mark, size_t offset) {
    return (char)((mark >> (8 * (offset % 8))) ^ (offset >> 3));
}

static inline void piece_fill(const struct piece *piece) {
    for (size_t i = 0; i < piece->size; i++) {
        piece->physical[i] = piece_byte(piece->mark, i);
    }
}

/* Whether the first `size` bytes are those that were filled in. */
static inline bool piece_intact(const struct piece *piece, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (piece->physical[i] != piece_byte(piece->mark, i)) {
            return false;
        }
    }
    return true;
}

static inline void twin_check_contents(const struct twin *twin) {
    for (size_t i = 0; i < twin->model.count; i++) {
        const struct piece *piece = &twin->model.pieces[i];
        CHECK(!piece->process || piece_intact(piece, piece->size));
    }
}

/* A block at its place, with new contents. */
static inline void twin_settle(struct twin *twin, struct piece *piece) {
    CHECK(space_get("get", twin->space, (void *)piece->start) == piece->physical);
    CHECK((uintptr_t)piece->physical % twin->model.alignment == 0);
    CHECK(space_usable_size("usable_size", twin->space, (void *)piece->start) == piece->size);
    piece->mark = ++twin->next_mark * UINT64_C(0x9e3779b97f4a7c15);
    piece_fill(piece);
}

/* --- Comparison -------------------------------------------------------------------------------------------------- */

struct twin_visit {
    const struct model *model;
    size_t index;
    size_t mains;
    size_t main; /* the index of its first segment */
    uintptr_t main_physical;
};

static inline int twin_visit(const struct mems_segment *segment, void *context) {
    struct twin_visit *visit = context;
    const struct model *model = visit->model;
    CHECK(visit->index < model->count);
    const struct piece *piece = &model->pieces[visit->index];
    if (piece->first) {
        visit->mains++;
        visit->main = visit->index;
        visit->main_physical = (uintptr_t)segment->physical;
        CHECK(segment->main_last == model_main_last(model, visit->index));
    }
    CHECK(segment->start == piece->start && segment->last == piece->start + piece->size - 1);
    CHECK(segment->kind == (piece->process ? MEMS_PROCESS : MEMS_HOLE));
    CHECK(segment->main_index == visit->mains - 1);
    CHECK(segment->main_start == model->pieces[visit->main].start);
    CHECK((segment->physical != NULL) == piece->memory);
    CHECK(!piece->memory ||
          (uintptr_t)segment->physical - visit->main_physical == segment->start - segment->main_start);
    CHECK(!piece->process || segment->physical == piece->physical);
    visit->index++;
    return 0;
}

static inline void twin_compare_stats(const struct twin *twin, size_t mains) {
    const struct model *model = &twin->model;
    struct mems_stats stats;
    size_t processes = model_processes(model);
    size_t process_bytes = 0, reserved_bytes = 0;
    for (size_t i = 0; i < model->count; i++) {
        process_bytes += model->pieces[i].process ? model->pieces[i].size : 0;
        reserved_bytes += model->pieces[i].memory ? 0 : model->pieces[i].size;
    }
    size_t bytes = model_end(model) - MODEL_START;
    space_stats("stats", twin->space, &stats);
    CHECK(stats.page_size == model->page_size && stats.main_nodes == mains);
    CHECK(stats.processes == processes && stats.holes == model->count - processes);
    CHECK(stats.process_bytes == process_bytes && stats.hole_bytes == bytes - process_bytes);
    CHECK(stats.reserved_bytes == reserved_bytes && stats.pages * model->page_size == bytes - reserved_bytes);
    CHECK(stats.maps == model->maps && stats.unmaps == model->unmaps && stats.failures == twin->failures);
}

/* The whole structure, seen by mems_walk and by the statistics, and the invariants. */
static inline void twin_compare(const struct twin *twin) {
    const char *why = NULL;
    struct twin_visit visit = {.model = &twin->model};
    if (!space_valid(twin->space, &why)) {
        check_failed(__FILE__, __LINE__, why);
    }
    CHECK(report_walk("walk", twin->space, twin_visit, &visit) == 0);
    CHECK(visit.index == twin->model.count);
    twin_compare_stats(twin, visit.mains);
}

/* --- Operations -------------------------------------------------------------------------------------------------- */

/* An empty space, which has these properties. */
static inline void twin_begin(struct twin *twin, struct mems_space *space, size_t page_size, size_t alignment) {
    CHECK(space != NULL);
    memset(twin, 0, sizeof *twin);
    twin->space = space;
    twin->model.page_size = page_size;
    twin->model.alignment = alignment;
    twin_compare(twin);
}

/* The space has said that there is no memory, which may be. */
static inline void twin_refused(struct twin *twin) {
    CHECK(twin->refusals);
    twin_expect_error(ENOMEM, 0);
    twin->failures++;
}

static inline void twin_alloc(struct twin *twin, size_t size, bool zeroed) {
    twin_listen();
    void *v_ptr =
        zeroed ? space_alloc_zeroed("calloc", twin->space, 1, size) : space_alloc("malloc", twin->space, size);
    if (v_ptr == NULL) {
        twin_refused(twin);
        return;
    }
    size_t index = model_take(&twin->model, model_rounded(&twin->model, size));
    struct piece *piece = &twin->model.pieces[index];
    CHECK((uintptr_t)v_ptr == piece->start);
    piece->physical = space_get("get", twin->space, v_ptr);
    for (size_t i = 0; zeroed && i < piece->size; i++) {
        CHECK(piece->physical[i] == 0);
    }
    twin_settle(twin, piece);
    twin_expect_silence();
}

static inline void twin_free(struct twin *twin, size_t index) {
    const struct piece *piece = &twin->model.pieces[index];
    twin_listen();
    CHECK(piece_intact(piece, piece->size));
    space_free("free", twin->space, (void *)piece->start);
    model_give(&twin->model, index);
    twin_expect_silence();
}

static inline void twin_realloc(struct twin *twin, size_t index, size_t size) {
    struct model *model = &twin->model;
    struct piece old = model->pieces[index];
    twin_listen();
    void *v_ptr = space_realloc("realloc", twin->space, (void *)old.start, size);
    if (v_ptr == NULL) {
        CHECK(size > old.size && piece_intact(&old, old.size));
        twin_refused(twin);
        return;
    }
    /* Without memory for a new HOLE's node a block need not shrink. */
    size_t rounded = model_rounded(model, size);
    bool kept = twin->refusals && rounded < old.size && space_usable_size("size", twin->space, v_ptr) == old.size;
    if (!kept && !model_resize(model, index, rounded)) {
        index = model_move(model, index, rounded);
        model->pieces[index].physical = space_get("get", twin->space, v_ptr);
    }
    struct piece *piece = &model->pieces[index];
    CHECK((uintptr_t)v_ptr == piece->start);
    CHECK(piece_intact(piece, piece->size < old.size ? piece->size : old.size));
    twin_settle(twin, piece);
    twin_expect_silence();
}

static inline void twin_trim(struct twin *twin) {
    twin_listen();
    CHECK(space_trim("trim", twin->space) == model_trim(&twin->model));
    twin_expect_silence();
}

/* Any address, given to all functions that take one: they do what they should or say what is wrong. */
static inline void twin_try_address(struct twin *twin, uintptr_t address) {
    void *v_ptr = (void *)address;
    size_t index = model_find(&twin->model, address);
    const struct piece *piece = index != MODEL_NONE ? &twin->model.pieces[index] : NULL;
    bool process = piece != NULL && piece->process;
    twin_listen();
    char *physical = space_get("get", twin->space, v_ptr);
    if (process) {
        CHECK(physical == piece->physical + (address - piece->start));
        twin_expect_silence();
    } else {
        CHECK(physical == NULL);
        twin_expect_error(EFAULT, address);
    }
    if (address == 0 || (process && address == piece->start)) {
        return; /* what the others take */
    }
    int error = process ? EINVAL : EFAULT;
    twin_listen();
    space_free("free", twin->space, v_ptr);
    twin_expect_error(error, address);
    twin_listen();
    CHECK(space_realloc("realloc", twin->space, v_ptr, 1) == NULL);
    twin_expect_error(error, address);
    twin_listen();
    CHECK(space_usable_size("usable_size", twin->space, v_ptr) == 0);
    twin_expect_error(error, address);
}

#define TWIN_COPY_MAX 65536

/* Reads and writes `size` bytes from `offset` on in a block, or is told that it ends before them. */
static inline void twin_copy(struct twin *twin, size_t index, size_t offset, size_t size) {
    static char buffer[TWIN_COPY_MAX];
    const struct piece *piece = &twin->model.pieces[index];
    void *v_ptr = (void *)(piece->start + offset);
    CHECK(size <= sizeof buffer && offset < piece->size);
    twin_listen();
    int error = space_read("read", twin->space, v_ptr, buffer, size);
    if (size > piece->size - offset) {
        CHECK(error == ERANGE);
        twin_expect_error(ERANGE, piece->start + offset);
        twin_listen();
        CHECK(space_write("write", twin->space, v_ptr, buffer, size) == ERANGE);
        twin_expect_error(ERANGE, piece->start + offset);
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

#endif
