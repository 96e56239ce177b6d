#include "account.h"

#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "hmm.h"
#include "residency.h"
#include "spaces.h"
#include "support.h"

const struct row_text row_texts[ROWS] = {
    [ROW_LIVE] = {"live", "blocks in users' hands", "when the program frees them"},
    [ROW_SLACK] = {"slack", "ends of slabs, rounding of large blocks", "with the blocks beside it"},
    [ROW_CACHED] = {"cached", "free, in threads' magazines and depots", "when they overflow or have lain unused"},
    [ROW_REMOTE] = {"remote", "freed by other threads, not collected yet", "when their heap takes a slow path"},
    [ROW_FREE_BESIDE] = {"free beside", "free, on pages with live or cached blocks",
                         "when all else on the page is freed"},
    [ROW_FREE_PAGES] = {"free pages", "pages of slabs with nothing but free slots", "after decay_ms, or by a trim"},
    [ROW_DIRTY] = {"dirty", "free spans", "after decay_ms, or by a trim"},
    [ROW_FRESH] = {"fresh", "free spans that read as zero", "it should not be there: locked, or touched from outside"},
    [ROW_HUGE] = {"huge", "blocks with mappings of their own", "when the program frees them"},
    [ROW_TABLES] = {"tables", "page map, live map and their kin", "never: it follows the peak"},
    [ROW_DESCRIPTORS] = {"descriptors", "of slabs, large blocks, heaps, magazines", "never: it follows the peak"},
    [ROW_SPACES_LIVE] = {"MeMS live", "PROCESS segments of the MeMS heap", "when the program frees them"},
    [ROW_SPACES_HOLES] = {"MeMS holes", "HOLEs of the MeMS heap", "by mems_trim"},
    [ROW_SPACES_NODES] = {"MeMS nodes", "its main and sub nodes", "with the segments"},
    [ROW_HMM_LIVE] = {"HMM live", "HMM's blocks in users' hands", "when the program frees them"},
    [ROW_HMM_CACHED] = {"HMM cached", "free, on quick lists", "when the lists are flushed"},
    [ROW_HMM_FREE] = {"HMM free", "HMM's free blocks", "when they are at the end, or large"},
    [ROW_HMM_OVERHEAD] = {"HMM headers", "headers, and ends of regions", "with their blocks"},
    [ROW_LIBRARY] = {"library", "the heap's own code and data", "never"},
    [ROW_FILES] = {"files", "the program, its libraries, other mapped files", "not of the heap"},
    [ROW_STACKS] = {"stacks", "of threads that are known", "not of the heap"},
    [ROW_BREAK] = {"break", "the program break, where it is not HMM's", "not of the heap"},
    [ROW_SHARED] = {"shared", "memory shared with others", "not of the heap"},
    [ROW_ANONYMOUS] = {"anonymous", "other mappings without a file", "not of the heap"},
    [ROW_KERNEL] = {"kernel", "what the kernel maps: vdso and its like", "not of the heap"},
    [ROW_CHANGED] = {"changed", "what came or went while this was counted", "look again, or stop the process"},
};

/* The mapping of a page, found near the one before. */
static size_t mapping_index(struct account *account, uint64_t page) {
    const struct target *target = account->target;
    if (account->at >= target->mapping_count || page < target->mappings[account->at].start ||
        page >= target->mappings[account->at].end) {
        const struct mapping *mapping = target_mapping(target, page);
        account->at = mapping != NULL ? (size_t)(mapping - target->mappings) : SIZE_MAX;
    }
    return account->at;
}

void account_page(struct account *account, enum account_row row, uint64_t page, uint64_t bytes) {
    size_t index = mapping_index(account, page);
    account->rows[row].resident += (int64_t)bytes;
    if (index != SIZE_MAX) {
        account->left[index] -= (int64_t)bytes;
    } else {
        /* Mapped after the mappings were read: the kernel's sum does not have it. */
        account->rows[ROW_CHANGED].resident -= (int64_t)bytes;
    }
}

/* The bytes of start .. end on a page. */
static uint64_t overlap(uint64_t start, uint64_t end, uint64_t page, uint64_t page_size) {
    uint64_t from = larger(start, page);
    uint64_t to = smaller(end, page + page_size);
    return from < to ? to - from : 0;
}

/* Whether the page is to be divided among rows; counts it where it is swapped out or the page of zeros. */
static bool page_taken(struct account *account, enum account_row row, unsigned state, uint64_t bytes) {
    if ((state & PAGE_SWAPPED) != 0) {
        account->rows[row].swapped += bytes;
    }
    if ((state & PAGE_ZERO) != 0) {
        account->zero_pages += bytes;
    }
    return page_counts(state);
}

void account_part(struct account *account, struct residency *residency, enum account_row row, uint64_t start,
                  uint64_t end) {
    const uint64_t size = account->target->page_size;
    account->rows[row].bytes += end - start;
    for (uint64_t page = start & ~(size - 1); residency->known && (page = residency_next(residency, page, end)) < end;
         page += size) {
        unsigned state = residency_of(residency, page);
        uint64_t bytes = overlap(start, end, page, size);
        if (page_taken(account, row, state, bytes)) {
            account_page(account, row, page, bytes);
        }
    }
    account->zeros_known &= residency->zeros;
    account->resident_known &= residency->known;
}

void account_range(struct account *account, enum account_row row, uint64_t start, uint64_t end) {
    struct residency residency;
    residency_start(&residency, account->target, start, end);
    account_part(account, &residency, row, start, end);
    residency_end(&residency);
}

/* --- The engine --------------------------------------------------------------------------------------------------- */

static void count_slab(struct account *account, const struct engine_walk *walk) {
    struct class_account *size_class = &account->classes[walk->span.size_class];
    const struct engine_class *of = &walk->engine->classes[walk->span.size_class];
    uint64_t slots[STATES];
    engine_slab_states(walk, slots);
    if (size_class->slabs == 0 || walk->span.born_s < size_class->oldest_s) {
        size_class->oldest_s = walk->span.born_s;
    }
    if (walk->span.born_s > size_class->youngest_s) {
        size_class->youngest_s = walk->span.born_s;
    }
    size_class->slabs++;
    for (unsigned state = 0; state < STATES; state++) {
        size_class->slots[state] += slots[state];
    }
    account->rows[ROW_LIVE].bytes += slots[STATE_LIVE] * of->size;
    account->rows[ROW_CACHED].bytes += slots[STATE_CACHED] * of->size;
    account->rows[ROW_REMOTE].bytes += slots[STATE_REMOTE] * of->size;
    account->rows[ROW_SLACK].bytes += of->units * walk->engine->unit - of->slots * of->size;
}

/* A page of a slab: its slots by state, and what is left. */
static void divide_page(struct account *account, const struct engine_walk *walk, uint64_t page, unsigned state) {
    const uint64_t size = account->target->page_size;
    uint64_t bytes[STATES];
    engine_page_states(walk, page - walk->span.start, size, bytes);
    uint64_t taken = bytes[STATE_LIVE] + bytes[STATE_CACHED] + bytes[STATE_REMOTE];
    enum account_row free_row = taken != 0 ? ROW_FREE_BESIDE : ROW_FREE_PAGES;
    account->rows[free_row].bytes += bytes[STATE_FREE];
    if (!page_taken(account, taken != 0 ? ROW_LIVE : ROW_FREE_PAGES, state, size)) {
        return;
    }
    account->classes[walk->span.size_class].resident += size;
    account_page(account, ROW_LIVE, page, bytes[STATE_LIVE]);
    account_page(account, ROW_CACHED, page, bytes[STATE_CACHED]);
    account_page(account, ROW_REMOTE, page, bytes[STATE_REMOTE]);
    account_page(account, free_row, page, bytes[STATE_FREE]);
    account_page(account, ROW_SLACK, page, size - taken - bytes[STATE_FREE]);
}

static void divide_large(struct account *account, const struct engine_walk *walk, uint64_t page, unsigned state) {
    const struct engine_span *span = &walk->span;
    const uint64_t size = account->target->page_size;
    enum account_row row = span->live ? ROW_LIVE : ROW_CACHED;
    uint64_t used = overlap(span->start, span->start + span->size, page, size);
    if (page_taken(account, row, state, size)) {
        account_page(account, row, page, used);
        account_page(account, ROW_SLACK, page, size - used);
    }
}

static void count_large(struct account *account, const struct engine_walk *walk) {
    const struct engine_span *span = &walk->span;
    account->rows[span->live ? ROW_LIVE : ROW_CACHED].bytes += span->size;
    account->rows[ROW_SLACK].bytes += span->units * walk->engine->unit - span->size;
    if (span->live) {
        account->large_blocks++;
        account->large_bytes += span->size;
    }
}

static enum account_row row_of_kind(enum engine_kind kind) {
    switch (kind) {
    case SPAN_DIRTY:
    case SPAN_PURGING:
        return ROW_DIRTY;
    case SPAN_FRESH:
    case SPAN_UNMAPPED:
    case SPAN_UNUSED:
        return ROW_FRESH;
    default:
        return ROW_CHANGED;
    }
}

static void count_span(struct account *account, struct engine_walk *walk, struct residency *residency) {
    const uint64_t size = account->target->page_size;
    const uint64_t end = walk->span.start + walk->span.units * walk->engine->unit;
    enum account_row row = row_of_kind(walk->span.kind);
    if (walk->span.kind == SPAN_SLAB) {
        count_slab(account, walk);
    } else if (walk->span.kind == SPAN_LARGE) {
        count_large(account, walk);
    } else if (walk->span.kind != SPAN_LOST) {
        account->rows[row].bytes += end - walk->span.start;
    }
    if (walk->span.kind == SPAN_SLAB) {
        for (uint64_t page = walk->span.start; page < end; page += size) {
            divide_page(account, walk, page, residency_of(residency, page));
        }
        return;
    }
    for (uint64_t page = walk->span.start; walk->span.kind != SPAN_LOST; page += size) {
        page = residency_next(residency, page, end);
        if (page >= end) {
            break;
        }
        unsigned state = residency_of(residency, page);
        if (walk->span.kind == SPAN_LARGE) {
            divide_large(account, walk, page, state);
        } else if (page_taken(account, row, state, size)) {
            account_page(account, row, page, size);
        }
    }
}

static void count_window(struct account *account, struct engine *engine) {
    struct engine_walk walk;
    struct residency residency;
    uint64_t end = engine->units.start + engine->units.accessible;
    residency_start(&residency, account->target, engine->base, end);
    engine_walk_start(&walk, engine, 0);
    while (engine_walk_next(&walk)) {
        count_span(account, &walk, &residency);
        progress("counting", walk.next, engine->top);
    }
    progress_end();
    account->torn += walk.torn;
    account->zeros_known &= residency.zeros;
    account->resident_known &= residency.known;
    uint64_t unused = engine->base + walk.next * engine->unit;
    engine_walk_end(&walk);
    residency_end(&residency);
    if (unused < end) {
        account_range(account, ROW_FRESH, unused, end);
    }
}

static void count_engine(struct account *account, struct engine *engine) {
    count_window(account, engine);
    for (unsigned i = 0; i < TABLES; i++) {
        account_range(account, i == TABLE_METADATA ? ROW_DESCRIPTORS : ROW_TABLES, engine->tables[i].start,
                      engine->tables[i].start + engine->tables[i].accessible);
    }
    for (uint64_t id = 1; id <= engine->heaps_made; id++) {
        struct engine_heap heap;
        if (engine_heap(engine, id, &heap)) {
            engine_heap_classes(engine, &heap, account->refills, account->flushes);
        }
    }
    size_t count;
    struct engine_huge *blocks = engine_huge_blocks(engine, &count);
    for (size_t i = 0; i < count; i++) {
        account->huge_bytes += blocks[i].last - blocks[i].start + 1;
        account_range(account, ROW_HUGE, blocks[i].start, blocks[i].last + 1);
    }
    account->huge_blocks = count;
    free(blocks);
}

/* --- The rest of the process -------------------------------------------------------------------------------------- */

static bool holds_stack(const struct target *target, const struct mapping *mapping) {
    for (size_t i = 0; i < target->thread_count; i++) {
        if (target->threads[i].stack >= mapping->start && target->threads[i].stack < mapping->end) {
            return true;
        }
    }
    return false;
}

/* The library's own: mappings of its file, and the anonymous one right behind them, which is the rest of its data. A
 * program that the library is a part of is a file like any other. */
static bool is_library(const struct target *target, const struct layouts *layouts, const struct mapping *mapping) {
    const struct mapping *before = mapping > target->mappings ? mapping - 1 : mapping;
    const char *path = mapping->path[0] == '\0' && before->end == mapping->start ? before->path : mapping->path;
    for (size_t i = 0; i < layouts->count; i++) {
        const char *module = layouts->layouts[i].module;
        if (*path == '/' && strcmp(path, module) == 0 && strstr(module, ".so") != NULL) {
            return true;
        }
    }
    return false;
}

static enum account_row row_of_mapping(const struct target *target, const struct layouts *layouts,
                                       const struct engine *engine, const struct mapping *mapping) {
    const char *path = mapping->path;
    bool has_hmm = false;
    for (size_t i = 0; i < layouts->count; i++) {
        has_hmm |= layouts->layouts[i].heap == ROOT_HMM;
    }
    if (engine != NULL &&
        ((mapping->start < engine->units.start + engine->units.accessible && mapping->end > engine->units.start) ||
         (mapping->start < engine->tables_start + engine->tables_size && mapping->end > engine->tables_start &&
          path[0] == '\0'))) {
        /* A core has more of the tables than is in use. */
        return target->kind == TARGET_CORE ? ROW_TABLES : ROW_CHANGED;
    }
    if (is_library(target, layouts, mapping)) {
        return ROW_LIBRARY;
    }
    if (strncmp(path, "[stack", 6) == 0 || (path[0] == '\0' && holds_stack(target, mapping))) {
        return ROW_STACKS;
    }
    if (strcmp(path, "[heap]") == 0) {
        return has_hmm ? ROW_HMM_OVERHEAD : ROW_BREAK;
    }
    if (path[0] == '[' && strncmp(path, "[anon", 5) != 0) {
        return ROW_KERNEL;
    }
    if (mapping->shared &&
        (mapping->inode == 0 || strncmp(path, "/dev/zero", 9) == 0 || strncmp(path, "/memfd:", 7) == 0 ||
         strncmp(path, "/SYSV", 5) == 0 || strncmp(path, "/dev/shm/", 9) == 0)) {
        return ROW_SHARED;
    }
    return path[0] == '/' ? ROW_FILES : ROW_ANONYMOUS;
}

static void count_mappings(struct account *account, struct layouts *layouts, struct engine *engine) {
    struct target *target = account->target;
    for (size_t i = 0; i < target->mapping_count; i++) {
        struct mapping *mapping = &target->mappings[i];
        struct row *row = &account->rows[row_of_mapping(target, layouts, engine, mapping)];
        row->resident += account->left[i];
        if (row != &account->rows[ROW_CHANGED]) {
            bool accessible = mapping->readable || mapping->writable || mapping->executable;
            row->bytes += accessible ? mapping->end - mapping->start : 0;
            row->swapped += mapping->swap;
        }
    }
}

/* A core tells no residency; what it has bytes for takes the place. */
static void measure_core(struct target *target) {
    for (size_t i = 0; i < target->mapping_count; i++) {
        struct mapping *mapping = &target->mappings[i];
        uint64_t data_end;
        mapping->rss = 0;
        for (uint64_t at = mapping->start; at < mapping->end; at = data_end) {
            at = core_data_from(target, at, mapping->end, &data_end);
            mapping->rss += data_end - at;
            if (data_end <= at) {
                break;
            }
        }
    }
    target->has_usage = true;
}

void account_take(struct account *account, struct target *target, struct layouts *layouts, struct engine *engine) {
    memset(account, 0, sizeof *account);
    account->target = target;
    account->zeros_known = account->resident_known = true;
    if (target->kind == TARGET_LIVE) {
        target_read_mappings(target);
        target_read_threads(target);
    } else if (target->kind == TARGET_CORE) {
        measure_core(target);
    }
    account->left = make(target->mapping_count * sizeof *account->left);
    for (size_t i = 0; i < target->mapping_count; i++) {
        const struct mapping *mapping = &target->mappings[i];
        account->left[i] = (int64_t)mapping->rss;
        account->rss += mapping->rss;
        account->swap += mapping->swap;
        account->huge_pages += mapping->huge;
        account->shared += mapping->shared_rss;
    }
    if (engine != NULL) {
        count_engine(account, engine);
    }
    spaces_count(account, layouts);
    hmm_count(account, layouts);
    count_mappings(account, layouts, engine);
}

void account_free(struct account *account) {
    free(account->left);
}
