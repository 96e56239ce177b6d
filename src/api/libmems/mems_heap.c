/* mems_heap.c - the MeMS heap's functions in mems.h, for the default space and for a given one. Names in parentheses
 * are those that mems.h may define as macros. */
#include "mems.h"

#include "base/compiler.h"
#include "mems_heap/complaint.h"
#include "mems_heap/space.h"
#include "mems_heap/space_report.h"

EXPORT int(mems_init)(void) {
    return space_start(__func__);
}

EXPORT void mems_set_page_size(size_t page_size) {
    space_set_page_size(page_size);
}

EXPORT int mems_set_options(const struct mems_space_options *options) {
    return space_set_options(__func__, options);
}

EXPORT void mems_finish(void) {
    space_finish(__func__);
}

EXPORT void mems_set_error_handler(void (*handler)(const struct mems_error *error, void *context), void *context) {
    complaint_set_handler(handler, context);
}

EXPORT struct mems_space *mems_space_create(const struct mems_space_options *options) {
    return space_create(options);
}

EXPORT void mems_space_destroy(struct mems_space *space) {
    space_destroy(__func__, space);
}

EXPORT void *(mems_malloc)(size_t size) {
    return space_alloc(__func__, &space_default, size);
}

EXPORT void *mems_space_malloc(struct mems_space *space, size_t size) {
    return space_alloc(__func__, space, size);
}

EXPORT void *(mems_calloc)(size_t count, size_t size) {
    return space_alloc_zeroed(__func__, &space_default, count, size);
}

EXPORT void *mems_space_calloc(struct mems_space *space, size_t count, size_t size) {
    return space_alloc_zeroed(__func__, space, count, size);
}

EXPORT void *(mems_realloc)(void *v_ptr, size_t size) {
    return space_realloc(__func__, &space_default, v_ptr, size);
}

EXPORT void *mems_space_realloc(struct mems_space *space, void *v_ptr, size_t size) {
    return space_realloc(__func__, space, v_ptr, size);
}

EXPORT void mems_free(void *v_ptr) {
    space_free(__func__, &space_default, v_ptr);
}

EXPORT void mems_space_free(struct mems_space *space, void *v_ptr) {
    space_free(__func__, space, v_ptr);
}

EXPORT void *mems_get(void *v_ptr) {
    return space_get(__func__, &space_default, v_ptr);
}

EXPORT void *mems_space_get(struct mems_space *space, void *v_ptr) {
    return space_get(__func__, space, v_ptr);
}

EXPORT size_t mems_usable_size(void *v_ptr) {
    return space_usable_size(__func__, &space_default, v_ptr);
}

EXPORT size_t mems_space_usable_size(struct mems_space *space, void *v_ptr) {
    return space_usable_size(__func__, space, v_ptr);
}

EXPORT int mems_read(void *v_ptr, void *to, size_t size) {
    return space_read(__func__, &space_default, v_ptr, to, size);
}

EXPORT int mems_space_read(struct mems_space *space, void *v_ptr, void *to, size_t size) {
    return space_read(__func__, space, v_ptr, to, size);
}

EXPORT int mems_write(void *v_ptr, const void *from, size_t size) {
    return space_write(__func__, &space_default, v_ptr, from, size);
}

EXPORT int mems_space_write(struct mems_space *space, void *v_ptr, const void *from, size_t size) {
    return space_write(__func__, space, v_ptr, from, size);
}

EXPORT void *mems_pin(void *v_ptr) {
    return space_pin(__func__, &space_default, v_ptr);
}

EXPORT void *mems_space_pin(struct mems_space *space, void *v_ptr) {
    return space_pin(__func__, space, v_ptr);
}

EXPORT void mems_unpin(void *v_ptr) {
    space_unpin(__func__, &space_default, v_ptr);
}

EXPORT void mems_space_unpin(struct mems_space *space, void *v_ptr) {
    space_unpin(__func__, space, v_ptr);
}

EXPORT size_t mems_compact(size_t budget) {
    return space_compact(__func__, &space_default, budget);
}

EXPORT size_t mems_space_compact(struct mems_space *space, size_t budget) {
    return space_compact(__func__, space, budget);
}

EXPORT size_t mems_compact_for(unsigned microseconds) {
    return space_compact_for(__func__, &space_default, microseconds);
}

EXPORT size_t mems_space_compact_for(struct mems_space *space, unsigned microseconds) {
    return space_compact_for(__func__, space, microseconds);
}

EXPORT size_t mems_trim(void) {
    return space_trim(__func__, &space_default);
}

EXPORT size_t mems_space_trim(struct mems_space *space) {
    return space_trim(__func__, space);
}

EXPORT void mems_print_stats(void) {
    space_report_print(__func__, &space_default, stdout);
}

EXPORT void mems_space_print_stats(struct mems_space *space) {
    space_report_print(__func__, space, stdout);
}

EXPORT void mems_fprint_stats(FILE *stream) {
    space_report_print(__func__, &space_default, stream);
}

EXPORT void mems_space_fprint_stats(struct mems_space *space, FILE *stream) {
    space_report_print(__func__, space, stream);
}

EXPORT void mems_stats_json(FILE *stream) {
    space_report_json(__func__, &space_default, stream);
}

EXPORT void mems_space_stats_json(struct mems_space *space, FILE *stream) {
    space_report_json(__func__, space, stream);
}

EXPORT void mems_stats(struct mems_stats *stats) {
    (void)space_stats(__func__, &space_default, stats);
}

EXPORT void mems_space_stats(struct mems_space *space, struct mems_stats *stats) {
    (void)space_stats(__func__, space, stats);
}

EXPORT int mems_walk(int (*visit)(const struct mems_segment *segment, void *context), void *context) {
    return space_report_walk(__func__, &space_default, visit, context);
}

EXPORT int mems_space_walk(struct mems_space *space, int (*visit)(const struct mems_segment *segment, void *context),
                           void *context) {
    return space_report_walk(__func__, space, visit, context);
}
