#include "guarded_span.h"

#include <string.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "engine/memory/guard_limits.h"
#include "engine/tables/metadata.h"
#include "engine/tables/page_map.h"
#include "os/os.h"

struct guarded_table guarded_table;

static size_t pages_size(const struct guarded *guarded) {
    return os_page_size() << guarded->kind;
}

static size_t cell_size(unsigned kind) {
    return (os_page_size() << kind) + os_page_size();
}

void guarded_start(void) {
    for (unsigned kind = 0; kind < GUARDED_KINDS; kind++) {
        list_init(&guarded_table.available[kind]);
    }
}

size_t guarded_alignment_max(void) {
    return os_page_size();
}

static void *pages_of(struct guarded_cell cell) {
    return (char *)window_address(cell.of->span.first) + cell.index * cell_size(cell.of->kind);
}

size_t guarded_size(struct guarded_cell cell) {
    return pages_size(cell.of);
}

uintptr_t guarded_end(struct guarded_cell cell) {
    return (uintptr_t)pages_of(cell) + pages_size(cell.of);
}

static unsigned kind_for(size_t bytes) {
    unsigned kind = 0;
    while (os_page_size() << kind < bytes) {
        kind++;
    }
    return kind;
}

static uint32_t all_cells(const struct guarded *guarded) {
    return (UINT32_C(1) << guarded->cells) - 1;
}

/* Makes pages fault that will be opened in `pieces` parts; returns how. */
static enum guard_state guard(void *start, size_t size, uint32_t pieces) {
    if (atomic_load_explicit(&guarded_table.marks_first, memory_order_relaxed) && os_guard(start, size) == 0) {
        return GUARD_MARKED;
    }
    /* Relaxed: only a bound. */
    const uint32_t before = atomic_fetch_add_explicit(&guarded_table.mappings, pieces, memory_order_relaxed);
    if (before + pieces <= SAMPLE_GUARDS_MAX && os_close_pages(start, size) == 0) {
        return GUARD_CLOSED;
    }
    atomic_fetch_sub_explicit(&guarded_table.mappings, pieces, memory_order_relaxed);
    return os_guard(start, size) == 0 ? GUARD_MARKED : GUARD_NONE;
}

/* Makes pages accessible, of whose guards `pieces` are mappings. */
static bool unclose(void *start, size_t size, uint32_t pieces) {
    if (pieces != 0 && os_commit(start, size) != 0) {
        return false;
    }
    atomic_fetch_sub_explicit(&guarded_table.mappings, pieces, memory_order_relaxed);
    return true;
}

static bool unguard(void *start, size_t size, enum guard_state state) {
    return state == GUARD_MARKED ? os_guard_end(start, size) == 0 : unclose(start, size, state == GUARD_CLOSED);
}

/* Makes a new span inaccessible, and gives up its memory. */
static void shut(struct guarded *guarded, bool zero) {
    char *start = window_address(guarded->span.first);
    const size_t size = (size_t)guarded->span.units << UNIT_SHIFT;
    const enum guard_state state = guard(start, size, 2 * guarded->cells);
    const bool used = state != GUARD_MARKED && !zero && (os_purge(start, size) != 0 || !os_purge_zeroes());
    for (unsigned i = 0; i < guarded->cells; i++) {
        guarded->pages[i] = guarded->behind[i] = (uint8_t)state;
        guarded->used[i] = used;
    }
}

static struct guarded *make_guarded(unsigned kind) {
    const size_t units = (cell_size(kind) + UNIT - 1) >> UNIT_SHIFT;
    struct guarded *guarded = metadata_alloc(sizeof *guarded);
    if (guarded == NULL) {
        return NULL;
    }
    *guarded = (struct guarded){.kind = kind};
    bool zero;
    if (!span_take(&guarded->span, units, 1, UNIT_SAMPLES, &zero)) {
        metadata_free(guarded, sizeof *guarded);
        return NULL;
    }
    const size_t fit = (units << UNIT_SHIFT) / cell_size(kind);
    guarded->cells = (uint32_t)(fit < GUARDED_CELLS_MAX ? fit : GUARDED_CELLS_MAX);
    shut(guarded, zero);
    list_push_front(&guarded_table.available[kind], &guarded->link);
    guarded_table.spans++;
    guarded_table.bytes += units << UNIT_SHIFT;
    return guarded;
}

bool guarded_take(size_t bytes, struct sample *sample, struct guarded_cell *cell) {
    const unsigned kind = kind_for(bytes);
    struct list *available = &guarded_table.available[kind];
    struct guarded *guarded =
        list_empty(available) ? make_guarded(kind) : CONTAINER_OF(available->next, struct guarded, link);
    if (guarded == NULL) {
        return false;
    }
    const unsigned index = lowest_bit(~(uint64_t)guarded->taken);
    guarded->taken |= UINT32_C(1) << index;
    guarded->samples[index] = sample;
    if (guarded->taken == all_cells(guarded)) {
        list_remove(&guarded->link);
    }
    guarded_table.cells_taken++;
    *cell = (struct guarded_cell){.of = guarded, .index = index};
    return true;
}

bool guarded_open(struct guarded_cell cell) {
    struct guarded *guarded = cell.of;
    const unsigned i = cell.index;
    char *pages = pages_of(cell);
    if (!unguard(pages, pages_size(guarded), guarded->pages[i])) {
        return false;
    }
    guarded->pages[i] = GUARD_NONE;
    if (guarded->behind[i] == GUARD_NONE) {
        guarded->behind[i] = (uint8_t)guard(pages + pages_size(guarded), os_page_size(), 1);
    }
    if (guarded->behind[i] == GUARD_NONE) {
        atomic_fetch_add_explicit(&guarded_table.unguarded, 1, memory_order_relaxed);
    }
    if (guarded->used[i]) {
        memset(pages, 0, pages_size(guarded));
    }
    guarded->used[i] = true;
    return true;
}

void guarded_close(struct guarded_cell cell) {
    struct guarded *guarded = cell.of;
    void *pages = pages_of(cell);
    const size_t size = pages_size(guarded);
    enum guard_state state = guard(pages, size, 1);
    const bool purged = state == GUARD_MARKED || (os_purge(pages, size) == 0 && os_purge_zeroes());
    guarded->pages[cell.index] = (uint8_t)state;
    guarded->used[cell.index] = !purged;
}

/* Makes pages accessible whose guards are not known. `state`: what was noted last. */
static bool reopen(void *start, size_t size, uint8_t *state) {
    (void)os_guard_end(start, size); /* fails where there are no marks */
    const bool opened = os_commit(start, size) == 0;
    const enum guard_state now = opened ? GUARD_NONE : GUARD_CLOSED;
    const uint32_t change = (uint32_t)(now == GUARD_CLOSED) - (uint32_t)(*state == GUARD_CLOSED);
    atomic_fetch_add_explicit(&guarded_table.mappings, change, memory_order_relaxed);
    *state = (uint8_t)now;
    return opened;
}

void guarded_recover(struct guarded_cell cell) {
    struct guarded *guarded = cell.of;
    const unsigned i = cell.index;
    char *pages = pages_of(cell);
    if (guarded->behind[i] == GUARD_NONE) {
        (void)reopen(pages + pages_size(guarded), os_page_size(), &guarded->behind[i]);
    }
    guarded->used[i] = true;
    if (reopen(pages, pages_size(guarded), &guarded->pages[i])) {
        guarded_close(cell);
    }
}

void guarded_give(struct guarded_cell cell) {
    struct guarded *guarded = cell.of;
    if (guarded->taken == all_cells(guarded)) {
        list_push_back(&guarded_table.available[guarded->kind], &guarded->link);
    }
    guarded->taken &= ~(UINT32_C(1) << cell.index);
    guarded->samples[cell.index] = NULL;
    guarded_table.cells_taken--;
}

enum guard_state guarded_fence(void *start) {
    return guard(start, os_page_size(), 1);
}

bool guarded_unfence(void *start, enum guard_state state) {
    return unguard(start, os_page_size(), state);
}

void guarded_unmap(enum guard_state state) {
    atomic_fetch_sub_explicit(&guarded_table.mappings, state == GUARD_CLOSED, memory_order_relaxed);
}

static uint32_t count_guards(const struct guarded *guarded, enum guard_state state) {
    uint32_t count = 0;
    for (unsigned i = 0; i < guarded->cells; i++) {
        count += guarded->pages[i] == state ? 1 : 0;
        count += guarded->behind[i] == state ? 1 : 0;
    }
    return count;
}

/* False if a guard cannot be removed: then nobody else may have the span. */
static bool unguard_all(const struct guarded *guarded) {
    void *start = window_address(guarded->span.first);
    const size_t size = (size_t)guarded->span.units << UNIT_SHIFT;
    return (count_guards(guarded, GUARD_MARKED) == 0 || os_guard_end(start, size) == 0) &&
           unclose(start, size, count_guards(guarded, GUARD_CLOSED));
}

/* A span whose guards stay is lost. */
static size_t give_back(struct guarded *guarded) {
    const size_t bytes = (size_t)guarded->span.units << UNIT_SHIFT;
    list_remove(&guarded->link);
    guarded_table.spans--;
    guarded_table.bytes -= bytes;
    if (!unguard_all(guarded)) {
        span_lose(&guarded->span);
    } else {
        span_give(&guarded->span);
    }
    metadata_free(guarded, sizeof *guarded);
    return bytes;
}

size_t guarded_trim(void) {
    size_t given = 0;
    for (unsigned kind = 0; kind < GUARDED_KINDS; kind++) {
        struct list *available = &guarded_table.available[kind];
        for (struct list *link = available->next, *next; link != available; link = next) {
            next = link->next;
            struct guarded *guarded = CONTAINER_OF(link, struct guarded, link);
            if (guarded->taken == 0) {
                given += give_back(guarded);
            }
        }
    }
    return given;
}

bool guarded_find(const void *address, struct guarded_cell *cell) {
    struct guarded *guarded = CONTAINER_OF(window.spans[window_unit(address)], struct guarded, span);
    const size_t offset = (uintptr_t)address - (uintptr_t)window_address(guarded->span.first);
    *cell = (struct guarded_cell){.of = guarded, .index = (unsigned)(offset / cell_size(guarded->kind))};
    return cell->index < guarded->cells;
}

bool guarded_valid(const struct guarded *guarded, const char **why) {
    *why = "a guarded span has other cells than its kind, or its list does not agree with them";
    if (guarded->kind >= GUARDED_KINDS || guarded->cells == 0 || guarded->cells > GUARDED_CELLS_MAX ||
        (guarded->taken & ~all_cells(guarded)) != 0 ||
        list_empty(&guarded->link) != (guarded->taken == all_cells(guarded))) {
        return false;
    }
    *why = "a cell has a sample and is free, or the other way round";
    for (unsigned i = 0; i < guarded->cells; i++) {
        if (bit_is_set(guarded->taken, i) != (guarded->samples[i] != NULL)) {
            return false;
        }
    }
    return true;
}
