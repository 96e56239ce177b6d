#include "account/account.h"

#include <stdlib.h>
#include <string.h>

#include "support/sorted.h"
#include "support/support.h"
#include "target/residency.h"
#include "walk/engine_heaps.h"
#include "walk/engine_huge.h"
#include "walk/engine_slots.h"

/* If an arena owns the walk's current span. */
static void count_in_arena(struct account *account, const struct engine_walk *walk, uint64_t blocks, uint64_t bytes) {
    struct arena_account *arena = sorted_find(account->arenas, account->arena_count, sizeof *arena, walk->span.heap);
    if (arena != NULL) {
        arena->blocks += blocks;
        arena->bytes += bytes;
        arena->held += walk->span.units * walk->engine->unit;
    }
}

static void find_arenas(struct account *account, struct engine *engine) {
    for (size_t i = 0; i < engine->heap_count; i++) {
        const struct engine_heap *heap = &engine->heap_list[i];
        if (heap->in_use && heap->is_arena) {
            account->arenas = grow(account->arenas, account->arena_count, sizeof *account->arenas);
            struct arena_account *arena = &account->arenas[account->arena_count++];
            *arena = (struct arena_account){.heap = heap->id};
            memcpy(arena->name, heap->arena, sizeof arena->name);
        }
    }
}

static void count_slab(struct account *account, const struct engine_walk *walk, const uint64_t slots[STATES]) {
    struct class_account *size_class = &account->classes[walk->span.size_class];
    const struct engine_class *of = &walk->engine->classes[walk->span.size_class];
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
    uint64_t smaller_size = walk->span.size_class != 0 ? of[-1].size : 0;
    account->rounding_most += slots[STATE_LIVE] * (of->size - smaller_size - (smaller_size != 0));
    count_in_arena(account, walk, slots[STATE_LIVE], slots[STATE_LIVE] * of->size);
    account->rows[ROW_LIVE].bytes += slots[STATE_LIVE] * of->size;
    account->rows[ROW_CACHED].bytes += slots[STATE_CACHED] * of->size;
    account->rows[ROW_REMOTE].bytes += slots[STATE_REMOTE] * of->size;
    account->rows[ROW_SLACK].bytes += of->units * walk->engine->unit - of->slots * of->size;
}

/* Its slots by state, and the rest. */
static void divide_page(struct account *account, const struct engine_walk *walk, uint64_t page, unsigned state) {
    const uint64_t size = account->target->page_size;
    uint64_t bytes[STATES];
    engine_page_states(walk, page - walk->span.start, size, bytes);
    uint64_t taken = bytes[STATE_LIVE] + bytes[STATE_CACHED] + bytes[STATE_REMOTE];
    enum account_row free_row = taken != 0 ? ROW_FREE_BESIDE : ROW_FREE_PAGES;
    account->rows[free_row].bytes += bytes[STATE_FREE];
    if (!account_page_taken(account, taken != 0 ? ROW_LIVE : ROW_FREE_PAGES, state, size)) {
        return;
    }
    account->classes[walk->span.size_class].resident += size;
    account_page(account, ROW_LIVE, page, bytes[STATE_LIVE]);
    account_page(account, ROW_CACHED, page, bytes[STATE_CACHED]);
    account_page(account, ROW_REMOTE, page, bytes[STATE_REMOTE]);
    account_page(account, free_row, page, bytes[STATE_FREE]);
    account_page(account, ROW_SLACK, page, size - taken - bytes[STATE_FREE]);
}

/* With all pages resident, only those without a live or cached slot differ from the others. */
static void divide_resident_slab(struct account *account, const struct engine_walk *walk,
                                 const uint64_t slots[STATES]) {
    const uint64_t size = walk->engine->classes[walk->span.size_class].size;
    const uint64_t page_size = account->target->page_size;
    const uint64_t bytes = walk->span.units * walk->engine->unit;
    const uint64_t end = walk->span.slots * size;
    uint64_t on_free_pages = 0;
    for (uint64_t page = 0; slots[STATE_FREE] != 0 && page < end; page += page_size) {
        const uint64_t page_end = smaller(page + page_size, end);
        on_free_pages += engine_page_free(walk, page, page_end) ? page_end - page : 0;
    }
    const uint64_t beside = slots[STATE_FREE] * size - on_free_pages;
    account->rows[ROW_FREE_PAGES].bytes += on_free_pages;
    account->rows[ROW_FREE_BESIDE].bytes += beside;
    account->classes[walk->span.size_class].resident += bytes;
    account_page(account, ROW_LIVE, walk->span.start, slots[STATE_LIVE] * size);
    account_page(account, ROW_CACHED, walk->span.start, slots[STATE_CACHED] * size);
    account_page(account, ROW_REMOTE, walk->span.start, slots[STATE_REMOTE] * size);
    account_page(account, ROW_FREE_PAGES, walk->span.start, on_free_pages);
    account_page(account, ROW_FREE_BESIDE, walk->span.start, beside);
    account_page(account, ROW_SLACK, walk->span.start, bytes - end);
}

static void divide_slab(struct account *account, const struct engine_walk *walk, const uint64_t slots[STATES],
                        struct residency *residency) {
    const uint64_t size = account->target->page_size;
    const uint64_t end = walk->span.start + walk->span.units * walk->engine->unit;
    const unsigned state = residency_of(residency, walk->span.start);
    if (page_counts(state) && (state & PAGE_SWAPPED) == 0 && residency_until(residency, walk->span.start) >= end) {
        divide_resident_slab(account, walk, slots);
        return;
    }
    for (uint64_t page = walk->span.start; page < end; page += size) {
        divide_page(account, walk, page, residency_of(residency, page));
    }
}

static void divide_large(struct account *account, const struct engine_walk *walk, uint64_t page, unsigned state) {
    const struct engine_span *span = &walk->span;
    const uint64_t size = account->target->page_size;
    enum account_row row = span->live ? ROW_LIVE : ROW_CACHED;
    uint64_t used = account_overlap(span->start, span->start + span->size, page, size);
    if (account_page_taken(account, row, state, size)) {
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
        count_in_arena(account, walk, 1, walk->span.size);
        account->large_bytes += span->size;
    }
}

static enum account_row row_of_kind(enum engine_kind kind) {
    switch (kind) {
    case SPAN_DIRTY:
    case SPAN_PURGING:
        return ROW_DIRTY;
    case SPAN_SAMPLES:
        return ROW_SAMPLES;
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
        uint64_t slots[STATES];
        engine_slab_states(walk, slots);
        count_slab(account, walk, slots);
        divide_slab(account, walk, slots, residency);
    } else if (walk->span.kind == SPAN_LARGE) {
        count_large(account, walk);
    } else if (walk->span.kind != SPAN_LOST) {
        account->rows[row].bytes += end - walk->span.start;
    }
    const bool is_done = walk->span.kind == SPAN_SLAB || !engine_span_mapped(&walk->span);
    for (uint64_t page = walk->span.start; !is_done; page += size) {
        page = residency_next(residency, page, end);
        if (page >= end) {
            break;
        }
        unsigned state = residency_of(residency, page);
        if (walk->span.kind == SPAN_LARGE) {
            divide_large(account, walk, page, state);
        } else if (account_page_taken(account, row, state, size)) {
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
    for (uint64_t told = 0; engine_walk_next(&walk);) {
        count_span(account, &walk, &residency);
        if (walk.first != told) { /* once a buffer, because progress() reads the clock */
            told = walk.first;
            progress("counting", walk.next, engine->top);
        }
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

void account_engine(struct account *account, struct engine *engine) {
    find_arenas(account, engine);
    count_window(account, engine);
    for (unsigned i = 0; i < TABLES; i++) {
        account_range(account, i == TABLE_METADATA ? ROW_DESCRIPTORS : ROW_TABLES, engine->tables[i].start,
                      engine->tables[i].start + engine->tables[i].accessible);
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
