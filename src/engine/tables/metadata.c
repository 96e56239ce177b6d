#include "metadata.h"

#include "base/bits.h"
#include "base/broken.h"
#include "base/fault.h"
#include "os/os.h"
#include "ranks.h"
#include "window.h"

/* The area becomes accessible in steps of about an eighth of the used bytes, from area_step to this: few system calls
 * for a large heap. */
#define GROWTH_MAX ((size_t)4 << 20)

/* Pieces are merged once this part of the free bytes has been freed since the last merge. */
#define MERGE_SHARE 8u

struct metadata metadata = {.lock = LOCK_INIT(LOCK_METADATA)};

static void push(void *piece, size_t size) {
    struct metadata_piece *free = piece;
    free->next = metadata.free[size / METADATA_STEP];
    metadata.free[size / METADATA_STEP] = free;
    metadata.spare += size;
}

/* Takes a free piece of exactly this size. */
static void *pop(size_t size) {
    struct metadata_piece *piece = metadata.free[size / METADATA_STEP];
    if (piece != NULL) {
        metadata.free[size / METADATA_STEP] = piece->next;
        metadata.spare -= size;
    }
    return piece;
}

static size_t alignment_of(size_t size) {
    return is_power_of_two(size) ? size : METADATA_STEP;
}

/* Frees start .. end - 1 in pieces as large as possible, aligned as their sizes require. */
static void push_range(char *start, char *end) {
    while (start < end) {
        size_t size = (size_t)(end - start) < METADATA_MAX ? (size_t)(end - start) : METADATA_MAX;
        if ((uintptr_t)start % alignment_of(size) != 0) {
            size -= METADATA_STEP;
        }
        push(start, size);
        start += size;
    }
}

/* Frees the rest from `open` up to an address. */
static void close_up_to(uintptr_t end) {
    metadata.spare -= end - metadata.open;
    push_range((char *)metadata.open, (char *)end);
    metadata.open = end;
}

/* Cut from purged pages; NULL if none has room. */
static void *cut_returned(size_t size) {
    for (;;) {
        uintptr_t start = round_up(metadata.open, alignment_of(size));
        if (start + size <= metadata.open_end) {
            close_up_to(start);
            metadata.open = start + size;
            metadata.spare -= size;
            return (void *)start;
        }
        close_up_to(metadata.open_end);
        if (metadata.run_count == 0) {
            return NULL;
        }
        const struct metadata_run *run = &metadata.runs[--metadata.run_count];
        metadata.open = window.metadata_area.start + run->first * OS_PAGE;
        metadata.open_end = metadata.open + run->pages * OS_PAGE;
        metadata.returned -= run->pages * OS_PAGE;
        metadata.spare += run->pages * OS_PAGE;
    }
}

static int reach(size_t bytes) {
    size_t step = area_step(&window.metadata_area);
    while (step < GROWTH_MAX && step < metadata.used / 8) {
        step *= 2;
    }
    return area_reach(&window.metadata_area, bytes, step);
}

/* From the area's unused end. Bytes skipped for alignment become pieces of the smallest size. */
static void *cut(size_t size) {
    size_t start = round_up(metadata.used, alignment_of(size));
    if (reach(start + size)) {
        return NULL;
    }
    for (; metadata.used < start; metadata.used += METADATA_STEP) {
        push((void *)(window.metadata_area.start + metadata.used), METADATA_STEP);
    }
    metadata.used = start + size;
    return (void *)(window.metadata_area.start + start);
}

/* Cut out of a free piece that has room for this size and alignment wherever it starts. */
static void *carve(size_t size) {
    const size_t align = alignment_of(size);
    for (size_t whole = size + align - METADATA_STEP; whole <= METADATA_MAX; whole += METADATA_STEP) {
        char *piece = pop(whole);
        if (piece != NULL) {
            char *start = piece + (round_up((uintptr_t)piece, align) - (uintptr_t)piece);
            push_range(piece, start);
            push_range(start + size, piece + whole);
            return start;
        }
    }
    return NULL;
}

/* Merges two ascending lists. */
static struct metadata_piece *merge_sorted(struct metadata_piece *a, struct metadata_piece *b) {
    struct metadata_piece *merged = NULL;
    struct metadata_piece **end = &merged;
    while (a != NULL && b != NULL) {
        struct metadata_piece **lower = a < b ? &a : &b;
        *end = *lower;
        end = &(*lower)->next;
        *lower = *end;
    }
    *end = a != NULL ? a : b;
    return merged;
}

/* All free pieces, in address order. */
static struct metadata_piece *take_sorted(void) {
    struct metadata_piece *sorted[64] = {NULL}; /* sorted[i]: 2^i pieces, or none */
    for (size_t size = METADATA_STEP; size <= METADATA_MAX; size += METADATA_STEP) {
        for (struct metadata_piece *piece; (piece = pop(size)) != NULL;) {
            *piece = (struct metadata_piece){.next = NULL, .size = size};
            unsigned i = 0;
            for (; sorted[i] != NULL; i++) {
                piece = merge_sorted(sorted[i], piece);
                sorted[i] = NULL;
            }
            sorted[i] = piece;
        }
    }
    struct metadata_piece *all = NULL;
    for (unsigned i = 0; i < sizeof sorted / sizeof *sorted; i++) {
        all = merge_sorted(sorted[i], all);
    }
    return all;
}

/* Descriptors differ in size by class: without merging, pieces left by a peak of one class could not serve another, and
 * malloc would fail once the area cannot grow. */
static bool merge(void) {
    if (metadata.unmerged == 0 || metadata.unmerged < metadata.spare / MERGE_SHARE) {
        return false;
    }
    metadata.unmerged = 0;
    for (struct metadata_piece *piece = take_sorted(); piece != NULL;) {
        char *start = (char *)piece;
        char *end = start;
        for (; (char *)piece == end; piece = piece->next) {
            end += piece->size;
        }
        push_range(start, end);
    }
    return true;
}

void *metadata_alloc(size_t size) {
    size = round_up(size, METADATA_STEP);
    ASSERT(size <= METADATA_MAX);
    lock_take(&metadata.lock);
    void *piece = pop(size);
    piece = piece != NULL ? piece : cut_returned(size);
    piece = piece != NULL ? piece : cut(size);
    piece = piece != NULL ? piece : carve(size);
    if (piece == NULL && merge()) {
        piece = pop(size);
        piece = piece != NULL ? piece : carve(size);
    }
    ASSERT((uintptr_t)piece % alignment_of(size) == 0);
    lock_give(&metadata.lock);
    return piece;
}

void metadata_reserve(size_t units) {
    lock_take(&metadata.lock);
    (void)reach(units * METADATA_OF_UNIT);
    lock_give(&metadata.lock);
}

void metadata_retreat(size_t units) {
    struct area *area = &window.metadata_area;
    lock_take(&metadata.lock);
    const size_t kept = round_up(max_size(metadata.used, units * METADATA_OF_UNIT), area_step(area));
    if (area->claimed && kept < area->accessible &&
        os_unmap((void *)(area->start + kept), area->accessible - kept) == 0) {
        area->accessible = kept;
    }
    lock_give(&metadata.lock);
}

void metadata_free(void *piece, size_t size) {
    lock_take(&metadata.lock);
    size = round_up(size, METADATA_STEP);
    push(piece, size);
    metadata.unmerged += size;
    lock_give(&metadata.lock);
}

/* A word per page, a bit per step. */
#define PAGE_STEPS (OS_PAGE / METADATA_STEP)
#define ALL_FREE UINT64_MAX
_Static_assert(PAGE_STEPS == 64, "a page's steps are a word");

static size_t page_of(uintptr_t address) {
    return (address - window.metadata_area.start) / OS_PAGE;
}

static void mark_free(uint64_t *steps, uintptr_t start, size_t size) {
    for (uintptr_t at = start; at < start + size; at += METADATA_STEP) {
        steps[page_of(at)] |= UINT64_C(1) << (at - window.metadata_area.start) / METADATA_STEP % PAGE_STEPS;
    }
}

static void mark_all(uint64_t *steps, size_t pages) {
    for (size_t step = 1; step <= METADATA_MAX / METADATA_STEP; step++) {
        for (struct metadata_piece *piece = metadata.free[step]; piece != NULL; piece = piece->next) {
            uintptr_t start = (uintptr_t)piece;
            uintptr_t end = start + step * METADATA_STEP;
            if (page_of(end - 1) < pages) {
                mark_free(steps, start, end - start);
            }
        }
    }
    for (size_t i = 0; i < metadata.run_count; i++) {
        for (size_t page = metadata.runs[i].first; page < metadata.runs[i].first + metadata.runs[i].pages; page++) {
            steps[page] = ALL_FREE;
        }
    }
}

static bool is_all_free(const uint64_t *steps, size_t pages, size_t page) {
    return page < pages && steps[page] == ALL_FREE;
}

/* Splits a piece that is partly in completely free pages; the rest stays free. False if it is in none. */
static bool take_apart(const uint64_t *steps, size_t pages, uintptr_t start, uintptr_t end) {
    bool any = false;
    for (size_t page = page_of(start); page <= page_of(end - 1); page++) {
        any = any || is_all_free(steps, pages, page);
    }
    metadata.spare -= any ? end - start : 0;
    for (uintptr_t at = start, next; any && at < end; at = next) {
        next = round_down(at, OS_PAGE) + OS_PAGE;
        next = next < end ? next : end;
        if (!is_all_free(steps, pages, page_of(at))) {
            push_range((char *)at, (char *)next);
        }
    }
    return any;
}

/* Leaves no piece in pages that are completely free. */
static void clear_pages(const uint64_t *steps, size_t pages) {
    for (size_t step = METADATA_MAX / METADATA_STEP; step != 0; step--) {
        struct metadata_piece **link = &metadata.free[step];
        while (*link != NULL) {
            struct metadata_piece *piece = *link;
            struct metadata_piece *next = piece->next;
            uintptr_t start = (uintptr_t)piece;
            if (take_apart(steps, pages, start, start + step * METADATA_STEP)) {
                *link = next;
            } else {
                link = &piece->next;
            }
        }
    }
}

/* Stores the runs of free pages in place of the words, of which there are always more. */
static size_t make_runs(uint64_t *steps, size_t pages) {
    struct metadata_run *runs = (struct metadata_run *)steps;
    size_t count = 0;
    for (size_t first = 0, end; first < pages; first = end) {
        end = first + 1;
        if (steps[first] != ALL_FREE) {
            continue;
        }
        while (end < pages && steps[end] == ALL_FREE) {
            end++;
        }
        runs[count++] = (struct metadata_run){.first = (uint32_t)first, .pages = (uint32_t)(end - first)};
    }
    return count;
}

static size_t purge_runs(const struct metadata_run *runs, size_t count) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        uintptr_t start = window.metadata_area.start + runs[i].first * OS_PAGE;
        uintptr_t end = round_down(start + runs[i].pages * OS_PAGE, os_page_size());
        start = round_up(start, os_page_size());
        if (start < end && os_purge((void *)start, end - start) == 0) {
            bytes += end - start;
        }
    }
    return bytes;
}

static void unmap_runs(struct metadata_run *runs, size_t size) {
    if (runs != NULL) {
        (void)os_unmap(runs, size);
    }
}

size_t metadata_trim(void) {
    lock_take(&metadata.lock);
    const size_t pages = metadata.used / OS_PAGE;
    bool alone = !metadata.trimming;
    metadata.trimming = true;
    lock_give(&metadata.lock);
    const size_t size = round_up(pages * sizeof(uint64_t), UNIT);
    void *memory = NULL;
    if (!alone) {
        return 0;
    }
    if (pages == 0 || os_map(size, OS_PAGE, &memory) != 0) {
        lock_take(&metadata.lock);
        metadata.trimming = false;
        lock_give(&metadata.lock);
        return 0;
    }
    lock_take(&metadata.lock);
    close_up_to(metadata.open_end);
    mark_all(memory, pages);
    clear_pages(memory, pages);
    struct metadata_run *before = metadata.runs;
    size_t before_size = metadata.runs_size;
    size_t before_returned = metadata.returned;
    size_t count = make_runs(memory, pages);
    size_t returned = 0;
    for (size_t i = 0; i < count; i++) {
        returned += ((struct metadata_run *)memory)[i].pages * OS_PAGE;
    }
    metadata.returned = returned;
    metadata.run_count = 0; /* in no list until the system has taken the pages */
    lock_give(&metadata.lock);

    size_t purged = purge_runs(memory, count);
    unmap_runs(before, before_size);
    (void)os_purge((char *)memory + round_up(count * sizeof(struct metadata_run), UNIT),
                   size - round_up(count * sizeof(struct metadata_run), UNIT));

    lock_take(&metadata.lock);
    metadata.runs = memory;
    metadata.runs_size = size;
    metadata.run_count = count;
    metadata.trimming = false;
    lock_give(&metadata.lock);
    return purged > before_returned ? purged - before_returned : 0;
}

/* Pieces that another thread was holding are lost. */
void metadata_recover(void) {
    if (metadata.trimming) {
        metadata.trimming = false;
        metadata.returned = 0;
        metadata.runs = NULL;
        metadata.run_count = 0;
    }
}

bool metadata_valid(const char **why) {
    size_t spare = metadata.open_end - metadata.open;
    size_t returned = 0;
    for (size_t step = 1; step <= METADATA_MAX / METADATA_STEP; step++) {
        for (struct metadata_piece *piece = metadata.free[step]; piece != NULL; piece = piece->next) {
            spare += step * METADATA_STEP;
        }
    }
    for (size_t i = 0; i < metadata.run_count; i++) {
        returned += metadata.runs[i].pages * OS_PAGE;
    }
    return (spare == metadata.spare && returned == metadata.returned) ||
           broken(why, "the free pieces of metadata are not what is counted");
}
