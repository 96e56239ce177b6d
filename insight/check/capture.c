#include "check/capture.h"

#include <stdlib.h>
#include <string.h>

#include "check/check.h"
#include "support/support.h"
#include "target/pieces.h"
#include "target/residency.h"
#include "walk/engine_huge.h"

/* The heap's tables are copied separately. */
static bool is_table(const struct session *session, const struct mapping *mapping) {
    const struct engine *engine = &session->engine;
    return session->has_engine && mapping->start - engine->tables_start < engine->tables_size;
}

/* The engine's window and huge blocks. */
static struct pieces find_heap(struct session *session) {
    struct engine *engine = &session->engine;
    struct pieces heap = {0};
    if (session->has_engine) {
        size_t count;
        struct engine_huge *huge = engine_huge_blocks(engine, &count);
        pieces_add(&heap, engine->base, engine->base + engine->top * engine->unit);
        for (size_t i = 0; i < count && huge[i].last < UINT64_MAX; i++) {
            pieces_add(&heap, huge[i].start, huge[i].last + 1);
        }
        free(huge);
    }
    pieces_merge(&heap);
    return heap;
}

/* A read-only mapping's pages that the program wrote before it protected them: data that a linker relocates, or that a
 * program keeps from being overwritten. Pages that are still the file's hold no pointer to a block. */
static void add_written(struct pieces *plan, struct target *target, const struct mapping *mapping) {
    struct residency residency;
    residency_start(&residency, target, mapping->start, mapping->end);
    residency.files = true;
    for (uint64_t page = mapping->start; (page = residency_next(&residency, page, mapping->end)) < mapping->end;
         page += target->page_size) {
        const unsigned state = residency_of(&residency, page);
        if ((state & (PAGE_PRESENT | PAGE_SWAPPED)) != 0 && (state & (PAGE_OF_FILE | PAGE_ZERO)) == 0) {
            pieces_add(plan, page, page + target->page_size);
        }
    }
    residency_end(&residency);
}

/* Selects writable mappings, those of the heap that the program made read-only, and written pages of others. */
static struct pieces make_plan(struct session *session) {
    struct target *target = &session->target;
    struct pieces heap = find_heap(session);
    struct pieces plan = {0};
    for (size_t i = 0; i < target->mapping_count; i++) {
        const struct mapping *mapping = &target->mappings[i];
        if (!mapping->readable || is_table(session, mapping)) {
            continue;
        }
        if (mapping->writable || pieces_overlap(&heap, mapping->start, mapping->end)) {
            pieces_add(&plan, mapping->start, mapping->end);
        } else if (!mapping->shared) {
            add_written(&plan, target, mapping);
        }
    }
    pieces_free(&heap);
    pieces_merge(&plan);
    return plan;
}

static uint64_t count_pages(struct target *target, const struct pieces *plan) {
    uint64_t pages = 0;
    for (size_t i = 0; i < plan->count; i++) {
        pages += image_resident(target, plan->pieces[i].start, plan->pieces[i].end);
    }
    return pages;
}

static void copy_memory(struct capture *capture, struct session *session, const struct pieces *plan) {
    for (size_t i = 0; i < plan->count; i++) {
        image_add(&capture->image, &session->target, plan->pieces[i].start, plan->pieces[i].end);
    }
    image_copy(&capture->image, &session->target);
}

void capture_take(struct capture *capture, struct session *session, bool is_stopped) {
    struct target *target = &session->target;
    memset(capture, 0, sizeof *capture);
    struct pieces plan = make_plan(session);
    image_prepare(&capture->image, target->page_size, count_pages(target, &plan));
    if (target->kind == TARGET_LIVE && !is_stopped) {
        double start;
        check_stop(session, &capture->held, &start);
        pieces_free(&plan);
        plan = make_plan(session);
        target_read_registers(target);
        if (session->has_engine) {
            check_copy_metadata(session);
        }
        copy_memory(capture, session, &plan);
        target_continue(target);
        capture->pause = now_seconds() - start;
    } else {
        capture->held = check_lock(session);
        copy_memory(capture, session, &plan);
    }
    target->image = &capture->image;
    pieces_free(&plan);
}

void capture_free(struct capture *capture, struct session *session) {
    session->target.image = NULL;
    image_free(&capture->image);
}
