#include "account/account.h"

#include <stdlib.h>
#include <string.h>

#include "support/support.h"
#include "target/core.h"
#include "target/residency.h"
#include "walk/spaces.h"

const struct row_text row_texts[ROWS] = {
    [ROW_LIVE] = {"live", "allocated blocks, whole slots", "when the program frees them"},
    [ROW_SLACK] = {"slack", "ends of slabs, rounding of large blocks", "with the blocks beside it"},
    [ROW_CACHED] = {"cached", "free, in threads' magazines and depots", "when they overflow or have lain unused"},
    [ROW_REMOTE] = {"remote", "freed by other threads, not collected yet", "when their heap takes a slow path"},
    [ROW_FREE_BESIDE] = {"free beside", "free, on pages with live or cached blocks",
                         "when all else on the page is freed"},
    [ROW_FREE_PAGES] = {"free pages", "pages of slabs with nothing but free slots", "after decay_ms, or by a trim"},
    [ROW_SAMPLES] = {"samples", "pages of sampled small blocks", "when the program frees them, or by a trim"},
    [ROW_DIRTY] = {"dirty", "free spans", "after decay_ms, or by a trim"},
    [ROW_FRESH] = {"fresh", "free spans that read as zero",
                   "by a trim if beside huge pages; else locked, or touched from outside"},
    [ROW_HUGE] = {"huge", "blocks with mappings of their own", "when the program frees them"},
    [ROW_TABLES] = {"tables", "page map, live map and other tables", "never: it follows the peak"},
    [ROW_DESCRIPTORS] = {"descriptors", "of slabs, large blocks, heaps, magazines", "never: it follows the peak"},
    [ROW_SPACES_LIVE] = {"MeMS live", "PROCESS segments of the MeMS heap", "when the program frees them"},
    [ROW_SPACES_HOLES] = {"MeMS holes", "HOLEs of the MeMS heap", "by mems_trim"},
    [ROW_SPACES_NODES] = {"MeMS nodes", "its main and sub nodes", "with the segments"},
    [ROW_HMM_LIVE] = {"HMM live", "HMM's allocated blocks", "when the program frees them"},
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

/* The page's mapping, searched for from the previous page's on. */
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
    if (bytes == 0) {
        return;
    }
    size_t index = mapping_index(account, page);
    account->rows[row].resident += (int64_t)bytes;
    if (index != SIZE_MAX) {
        account->left[index] -= (int64_t)bytes;
    } else {
        /* Mapped after the mappings were read, so not in the kernel's sum. */
        account->rows[ROW_CHANGED].resident -= (int64_t)bytes;
    }
}

uint64_t account_overlap(uint64_t start, uint64_t end, uint64_t page, uint64_t page_size) {
    uint64_t from = larger(start, page);
    uint64_t to = smaller(end, page + page_size);
    return from < to ? to - from : 0;
}

bool account_page_taken(struct account *account, enum account_row row, unsigned state, uint64_t bytes) {
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
        uint64_t bytes = account_overlap(start, end, page, size);
        if (account_page_taken(account, row, state, bytes)) {
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

/* --- The MeMS heap, and the rest of the process
 * -------------------------------------------------------------------------------------- */

static void count_area(enum space_area area, uint64_t start, uint64_t end, void *context) {
    static const enum account_row rows[] = {
        [AREA_LIVE] = ROW_SPACES_LIVE, [AREA_HOLE] = ROW_SPACES_HOLES, [AREA_NODES] = ROW_SPACES_NODES};
    account_range(context, rows[area], start, end);
}

static void count_spaces(struct account *account, struct layouts *layouts) {
    struct layout *layout = layouts_of(layouts, ROOT_SPACES);
    if (layout != NULL) {
        account->spaces_trouble = spaces_areas(account->target, layout, count_area, account);
    }
}

static bool holds_stack(const struct target *target, const struct mapping *mapping) {
    for (size_t i = 0; i < target->thread_count; i++) {
        if (target->threads[i].stack >= mapping->start && target->threads[i].stack < mapping->end) {
            return true;
        }
    }
    return false;
}

bool account_is_library(const struct target *target, const struct layouts *layouts, const struct mapping *mapping) {
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
        /* A core contains more of the tables than is in use. */
        return target->kind == TARGET_CORE ? ROW_TABLES : ROW_CHANGED;
    }
    if (account_is_library(target, layouts, mapping)) {
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

/* A core does not record residency, so pages with contents count. */
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
    target_read_threads(target);
    if (target->kind == TARGET_CORE) {
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
        account_engine(account, engine);
    }
    count_spaces(account, layouts);
    account_hmm(account, layouts, engine);
    count_mappings(account, layouts, engine);
}

void account_free(struct account *account) {
    free(account->left);
    free(account->arenas);
}
