#include "leaks/roots.h"

#include <stdlib.h>
#include <string.h>

#include "account/account.h"
#include "support/support.h"
#include "target/pieces.h"
#include "target/registers.h"
#include "walk/engine_huge.h"
#include "walk/hmm.h"
#include "walk/spaces.h"

/* --- The heaps' own ----------------------------------------------------------------------------------------------- */

static void add_engine(struct engine *engine, struct pieces *own) {
    size_t count;
    struct engine_huge *huge = engine_huge_blocks(engine, &count);
    pieces_add(own, engine->units.start, engine->units.start + engine->units.size);
    pieces_add(own, engine->tables_start, engine->tables_start + engine->tables_size);
    for (size_t i = 0; i < count && huge[i].last < UINT64_MAX; i++) {
        pieces_add(own, huge[i].start, huge[i].last + 1);
    }
    free(huge);
}

/* Adds each region once, at its first block. */
static bool meet_block(const struct hmm_block *block, void *context) {
    struct pieces *own = context;
    struct piece *last = own->count != 0 ? &own->pieces[own->count - 1] : NULL;
    if (last == NULL || last->start != block->region) {
        pieces_add(own, block->region, block->end + block->header);
    }
    return true;
}

static void meet_area(enum space_area area, uint64_t start, uint64_t end, void *context) {
    (void)area;
    pieces_add(context, start, end);
}

static void add_heaps(struct session *session, struct pieces *own) {
    struct target *target = &session->target;
    struct layout *hmm = layouts_of(&session->layouts, ROOT_HMM);
    struct layout *spaces = layouts_of(&session->layouts, ROOT_SPACES);
    uint64_t where;
    if (session->has_engine) {
        add_engine(&session->engine, own);
    }
    if (hmm != NULL) {
        hmm_walk(target, hmm, meet_block, own, &where);
    }
    if (spaces != NULL) {
        spaces_areas(target, spaces, meet_area, own);
    }
    for (size_t i = 0; i < target->mapping_count; i++) {
        if (account_is_library(target, &session->layouts, &target->mappings[i])) {
            pieces_add(own, target->mappings[i].start, target->mappings[i].end);
        }
    }
}

/* --- Stacks ------------------------------------------------------------------------------------------------------- */

static bool touches_before(const struct target *target, const struct mapping *mapping) {
    return mapping > target->mappings && mapping[-1].end == mapping->start;
}

/* A program may have put a stack into a module's data. */
static bool may_be_stack(const struct target *target, const struct mapping *mapping) {
    bool is_data = touches_before(target, mapping) && mapping[-1].path[0] == '/';
    return mapping->path[0] != '/' && strcmp(mapping->path, "[heap]") != 0 && !mapping->shared && !is_data;
}

/* Stacks that fill their mappings: the first thread's, and those with a guard below. */
static bool fills_mapping(const struct target *target, const struct mapping *mapping) {
    return strncmp(mapping->path, "[stack", 6) == 0 ||
           (touches_before(target, mapping) && !mapping[-1].readable && !mapping[-1].writable);
}

static bool has_other_stack(const struct target *target, const struct mapping *mapping, const struct thread *thread) {
    for (size_t i = 0; i < target->thread_count; i++) {
        const struct thread *other = &target->threads[i];
        if (other != thread && other->stack >= mapping->start && other->stack < thread->stack) {
            return true;
        }
    }
    return false;
}

/* The page before the run of resident pages that ends with `address`. */
static uint64_t run_start(const struct image *image, uint64_t address, uint64_t limit) {
    const struct image_range *range = image_range_from(image, address);
    uint64_t page = address & ~(image->page_size - 1);
    while (range != NULL && page >= range->start && page > limit && image_page(image, range, page) != NULL) {
        page -= image->page_size;
    }
    return larger(page, limit);
}

/* A thread's dead stack. If something else may be below in the same mapping, the stack is assumed to end at the first
 * page that is not in memory. */
static void add_dead_stack(const struct target *target, const struct image *image, const struct thread *thread,
                           struct pieces *dead) {
    const struct mapping *mapping = target_mapping(target, thread->stack);
    if (thread->stack == 0 || mapping == NULL || !may_be_stack(target, mapping)) {
        return;
    }
    uint64_t end = thread->stack - (registers_in_call(thread) ? 0 : RED_ZONE);
    bool fills = fills_mapping(target, mapping) && !has_other_stack(target, mapping, thread);
    if (end > mapping->start) {
        pieces_add(dead, fills ? mapping->start : run_start(image, end - 1, mapping->start), end);
    }
}

/* --- All ---------------------------------------------------------------------------------------------------------- */

struct finding {
    struct roots *roots;
    struct root root;
};

static void add_root(uint64_t start, uint64_t end, void *context) {
    struct finding *finding = context;
    struct roots *roots = finding->roots;
    roots->roots = grow(roots->roots, roots->count, sizeof *roots->roots);
    struct root *root = &roots->roots[roots->count++];
    *root = finding->root;
    root->start = start;
    root->end = end;
}

static const struct thread *thread_of(const struct target *target, const struct mapping *mapping) {
    for (size_t i = 0; i < target->thread_count; i++) {
        if (target->threads[i].stack >= mapping->start && target->threads[i].stack < mapping->end) {
            return &target->threads[i];
        }
    }
    return NULL;
}

void roots_find(struct roots *roots, struct session *session, const struct image *image) {
    const struct target *target = &session->target;
    struct pieces left_out = {0};
    *roots = (struct roots){0};
    add_heaps(session, &left_out);
    for (size_t i = 0; i < target->thread_count; i++) {
        add_dead_stack(target, image, &target->threads[i], &left_out);
    }
    pieces_merge(&left_out);
    for (unsigned stacks = 0; stacks < 2; stacks++) {
        for (size_t i = 0; i < target->mapping_count; i++) {
            const struct mapping *mapping = &target->mappings[i];
            const struct thread *thread = may_be_stack(target, mapping) ? thread_of(target, mapping) : NULL;
            if (mapping->readable && (mapping->writable || !mapping->shared) && (thread != NULL) == stacks) {
                struct finding finding = {roots, {.mapping = mapping, .thread = thread}};
                pieces_without(&left_out, mapping->start, mapping->end, add_root, &finding);
            }
        }
    }
    pieces_free(&left_out);
}

void roots_free(struct roots *roots) {
    free(roots->roots);
}
