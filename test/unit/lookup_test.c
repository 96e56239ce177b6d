/*
 * lookup_test.c - what an address is, for every kind of address there is.
 */
#include "support/fresh.h"

#include "engine/heaps/heap.h"
#include "engine/memory/huge.h"
#include "engine/memory/large.h"
#include "engine/memory/span.h"
#include "engine/root/root.h"
#include "engine/slabs/lookup.h"
#include "engine/slabs/slab.h"
#include "support/engine_heap.h"
#include "support/engine_locked.h"

#define UNDECAYED "decay_ms=4294967295"

static struct block at(uintptr_t address) {
    return block_at((const void *)address);
}

static void check_block(const struct block *block, enum block_kind kind, enum block_state state, const void *start,
                        size_t size) {
    CHECK_EQUAL(block->kind, kind);
    CHECK_EQUAL(block->state, state);
    CHECK_EQUAL(block->start, (uintptr_t)start);
    CHECK_EQUAL(block->size, size);
}

/* All addresses of small blocks, some of others. */
static void check_addresses(const void *start, size_t size, enum block_kind kind, enum block_state state) {
    for (size_t offset = 0; offset < size; offset += size <= 256 ? 1 : 1 + random_below(&fresh_random, size / 64)) {
        struct block block = at((uintptr_t)start + offset);
        check_block(&block, kind, state, start, size);
        bool is_live_start = offset == 0 && state == BLOCK_STATE_LIVE && kind >= BLOCK_SLOT && kind != BLOCK_HUGE_FREED;
        CHECK_EQUAL(block_is_live_start(&block, (const char *)start + offset), is_live_start);
        const size_t requested = lookup_large_requested((const char *)start + offset);
        CHECK_EQUAL(round_up(requested, OS_PAGE), is_live_start && kind == BLOCK_LARGE ? size : 0);
    }
    struct block last = at((uintptr_t)start + size - 1);
    check_block(&last, kind, state, start, size);
}

/* From now on malloc makes medium blocks, if it ever does. */
static size_t largest_slot(void) {
    engine_free(engine_alloc(1));
    for (unsigned size_class = MEDIUM_CLASS; size_class < EMPTY_CLASS; size_class++) {
        heap_mine->classes[size_class].share = 0;
    }
    return root_medium() ? MEDIUM_MAX : SMALL_MAX;
}

static void every_address_of_a_live_block_leads_to_it(void) {
    CHECK(root_start());
    for (int round = 0; round < 400; round++) {
        size_t size = random_magnitude(&fresh_random, 24);
        char *block = round % 100 == 99 ? engine_alloc(80 * MIB) : engine_alloc(size);
        enum block_kind kind = round % 100 == 99 ? BLOCK_HUGE : size <= largest_slot() ? BLOCK_SLOT : BLOCK_LARGE;
        check_addresses(block, engine_usable_size("malloc_usable_size", block), kind, BLOCK_STATE_LIVE);
        if (round % 3) {
            engine_free(block);
        }
    }
}

static void every_slot_of_every_class_is_told_by_its_number(void) {
    CHECK(root_start());
    const unsigned classes = largest_slot() == MEDIUM_MAX ? EMPTY_CLASS : MEDIUM_CLASS;
    for (unsigned size_class = 0; size_class < classes; size_class++) {
        size_t size = size_classes[size_class].size;
        const struct slab *slab = slab_of(engine_alloc(size));
        const char *start = window_address(slab->span.first);
        for (unsigned slot = 0; slot < slab->slots; slot++) {
            const char *address = start + slot * size;
            struct block first = block_at(address);
            struct block last = block_at(address + size - 1);
            CHECK(first.kind == BLOCK_SLOT && last.kind == BLOCK_SLOT);
            CHECK_EQUAL(first.slot, slot);
            CHECK_EQUAL(last.slot, slot);
            CHECK_EQUAL(first.size_class, size_class);
            CHECK(first.start == (uintptr_t)address && last.start == (uintptr_t)address);
        }
        const char *end = start + slab->span.units * UNIT;
        for (const char *tail = start + slab->slots * size; tail < end; tail++) {
            struct block block = block_at(tail);
            CHECK_EQUAL(block.kind, BLOCK_TAIL);
            CHECK_EQUAL(block.size, size);
            CHECK(!block_is_live_start(&block, tail));
        }
    }
}

static void the_state_of_a_slot_follows_its_life(void) {
    char *block = engine_alloc(100);
    size_t size = engine_usable_size("malloc_usable_size", block);
    enum block_state cached = heap_mine->checks_every ? BLOCK_STATE_CACHED : BLOCK_STATE_LIVE;
    check_addresses(block, size, BLOCK_SLOT, BLOCK_STATE_LIVE);
    engine_free(block);
    check_addresses(block, size, BLOCK_SLOT, cached);
    flush_mine();
    check_addresses(block, size, BLOCK_SLOT, BLOCK_STATE_FREE);
    CHECK(engine_alloc(100) == block);
    check_addresses(block, size, BLOCK_SLOT, BLOCK_STATE_LIVE);
}

static void free_spans_are_told_as_a_whole(void) {
    void *blocks[5];
    for (int i = 0; i < 5; i++) {
        blocks[i] = engine_alloc(3 * UNIT);
    }
    for (int i = 1; i < 4; i++) {
        engine_free(blocks[i]);
        check_addresses(blocks[i], 3 * UNIT, BLOCK_LARGE, BLOCK_STATE_CACHED);
        flush_mine();
        check_addresses(blocks[1], (size_t)i * 3 * UNIT, BLOCK_FREE, (enum block_state)0);
    }
    span_purge_all();
    for (size_t unit = 0; unit < 9; unit++) {
        struct block block = at((uintptr_t)blocks[1] + unit * UNIT + 5);
        CHECK_EQUAL(block.kind, BLOCK_FREE);
        CHECK(block.start == (uintptr_t)blocks[1] && block.size == 9 * UNIT);
    }
    check_addresses(blocks[0], 3 * UNIT, BLOCK_LARGE, BLOCK_STATE_LIVE);
    check_addresses(blocks[4], 3 * UNIT, BLOCK_LARGE, BLOCK_STATE_LIVE);
}

static void a_huge_block_is_remembered_for_a_while(void) {
    char *block = engine_alloc(70 * MIB);
    CHECK(at((uintptr_t)block + 70 * MIB).kind != BLOCK_HUGE);
    engine_free(block);
    check_addresses(block, 70 * MIB, BLOCK_HUGE_FREED, (enum block_state)0);
}

static int in_data;

static void what_is_not_of_the_heap_is_outside(void) {
    int on_stack;
    char *other = malloc(100);
    char *block = engine_alloc(1);
    CHECK(block != NULL);
    const uintptr_t outside[] = {0,
                                 1,
                                 4096,
                                 (uintptr_t)&on_stack,
                                 (uintptr_t)&in_data,
                                 (uintptr_t)other,
                                 UINTPTR_MAX,
                                 (uintptr_t)1 << 63,
                                 window.tables_start - 1,
                                 window.tables_start + window.tables_size,
                                 window.base - 1,
                                 window.units_area.start + window.units_area.size};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        CHECK_EQUAL(at(outside[i]).kind, BLOCK_OUTSIDE);
    }
    free(other);
}

static void the_tables_of_the_heap_are_metadata(void) {
    char *block = engine_alloc(1);
    const uintptr_t tables[] = {
        (uintptr_t)window.page_map,
        (uintptr_t)window.spans,
        (uintptr_t)window.heaps,
        (uintptr_t)window.inbox_links,
        (uintptr_t)window.live_map,
        (uintptr_t)heap_mine,
        (uintptr_t)slab_of(block),
        window.tables_start,
        window.page_map_area.start - 1,
        window.metadata_area.start + window.metadata_area.size,
        window.tables_start + window.tables_size - 1,
    };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        CHECK_EQUAL(at(tables[i]).kind, BLOCK_METADATA);
    }
}

static void what_was_never_part_of_a_span_is_unused(void) {
    engine_free(engine_alloc(1));
    uintptr_t accessible = window.base + window.units_area.accessible;
    const uintptr_t unused[] = {window.base + (spans.top << UNIT_SHIFT), accessible - 1, accessible,
                                window.base + window.units_area.size - 1};
    for (size_t i = 0; i < sizeof unused / sizeof *unused; i++) {
        CHECK_EQUAL(at(unused[i]).kind, BLOCK_UNUSED);
    }
    CHECK(at(unused[0] - 1).kind != BLOCK_UNUSED);
}

static void a_lost_unit_is_unused(void) {
    void *block = engine_alloc(3 * UNIT);
    large_lose(block);
    CHECK_EQUAL(at((uintptr_t)block + UNIT).kind, BLOCK_UNUSED);
}

static void asking_the_size_of_a_foreign_pointer_is_a_fault(void) {
    CHECK(engine_alloc(1) != NULL);
    engine_usable_size("malloc_usable_size", &in_data);
}

static void asking_the_size_of_the_inside_of_a_slot_is_a_fault(void) {
    engine_usable_size("malloc_usable_size", (char *)engine_alloc(100) + 8);
}

static void resizing_a_freed_block_is_a_fault(void) {
    void *block = engine_alloc(100);
    engine_free(block);
    flush_mine();
    engine_realloc("realloc", block, 200);
}

static void freeing_with_another_size_is_a_fault(void) {
    engine_free_sized("free_sized", engine_alloc(100), 200, 0);
}

/* As a thread finds it whose free of a block comes right after another's: the span is not a block's any more, but the
 * entry that was read says so. */
static void a_descriptor_that_was_freed_leads_nowhere(void) {
    static struct span gone = {.first = UINT32_MAX, .units = UINT32_MAX};
    void *blocks[] = {engine_alloc(10 * UNIT), engine_alloc(100)};
    for (unsigned i = 0; i < 2; i++) {
        const size_t unit = window_unit(blocks[i]);
        struct span *const span = window.spans[unit];
        window.spans[unit] = NULL; /* as if another thread had freed the block just now */
        CHECK_EQUAL(lookup_large_requested(blocks[i]), 0);
        window.spans[unit] = span;
        engine_free(blocks[i]);
        window.spans[unit] = i == 0 ? &gone : NULL;
        const struct block block = block_at(blocks[i]);
        CHECK(block.kind == BLOCK_FREE && block.start == (uintptr_t)blocks[i] - (uintptr_t)blocks[i] % UNIT);
        window.spans[unit] = span;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(every_address_of_a_live_block_leads_to_it),
        FRESH(every_slot_of_every_class_is_told_by_its_number),
        IN_BOTH_MODES(the_state_of_a_slot_follows_its_life),
        FRESH_WITH(free_spans_are_told_as_a_whole, UNDECAYED),
        FRESH(a_huge_block_is_remembered_for_a_while),
        FRESH(what_is_not_of_the_heap_is_outside),
        FRESH(the_tables_of_the_heap_are_metadata),
        FRESH(what_was_never_part_of_a_span_is_unused),
        FRESH(a_lost_unit_is_unused),
        FRESH(a_descriptor_that_was_freed_leads_nowhere),
        FRESH_FAULT(asking_the_size_of_a_foreign_pointer_is_a_fault, "",
                    "malloc_usable_size(@): not from this heap: outside the heap: from another allocator, a stack, or "
                    "static data"),
        FRESH_FAULT(asking_the_size_of_the_inside_of_a_slot_is_a_fault, "",
                    "malloc_usable_size(@): not a block's start: 8 bytes into slot 0 of a 112-byte slab, live"),
        FRESH_FAULT(resizing_a_freed_block_is_a_fault, "",
                    "realloc(@): not a live block: slot 0 of a 112-byte slab, free"),
        FRESH_FAULT(freeing_with_another_size_is_a_fault, "",
                    "free_sized(@): size mismatch: slot 0 of a 112-byte slab, live, freed as 200 bytes"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
