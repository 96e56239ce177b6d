/*
 * confine_test.c - a window that gives up its reservation: its blocks stay, it grows piece by piece, free units are
 * unmapped and claimed again, and what another mapping has taken meanwhile is lost.
 */
#include "support/fresh.h"

#include <errno.h>

#include "engine/calls/move_pages.h"
#include "engine/memory/huge.h"
#include "engine/memory/span.h"
#include "engine/root/root.h"
#include "engine/slabs/lookup.h"
#include "engine/tables/metadata.h"
#include "engine/tables/page_map.h"
#include "engine/tables/window.h"
#include "os/os.h"
#include "support/engine_heap.h"
#include "support/kernel.h"
#include "support/thread.h"

#define BLOCK ((size_t)1 << 20)
#define UNITS (BLOCK / UNIT)
enum { BLOCKS = 40 };

static unsigned char *blocks[BLOCKS];

static size_t mapped_bytes(void) {
    struct os_usage usage;
    os_usage(&usage);
    return usage.mapped;
}

static void *large(size_t size, int mark) {
    unsigned char *block = engine_alloc(size);
    CHECK(block != NULL && window_holds(block));
    memset(block, mark, size);
    return block;
}

static void fill(void) {
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = large(BLOCK, i + 1);
    }
}

static void check_and_free(int i) {
    for (size_t at = 0; at < BLOCK; at += OS_PAGE) {
        CHECK_EQUAL(blocks[i][at], i + 1);
    }
    engine_free(blocks[i]);
}

static void check_and_free_all(void) {
    for (int i = 0; i < BLOCKS; i++) {
        check_and_free(i);
    }
}

static void what_is_reserved_goes_and_blocks_stay(void) {
    fill();
    void *small = engine_alloc(100);
    size_t before = mapped_bytes();
    const size_t units = window.units_area.accessible >> UNIT_SHIFT;
    engine_confine();
    CHECK(window_is_claimed());
    CHECK_VALID();
    CHECK_AT_MOST(window.spans_area.accessible, round_up(units * sizeof *window.spans, os_page_size()));
    CHECK(!mapped((char *)window.spans_area.start + window.spans_area.accessible));
    /* Nearly all of the window, and of the tables behind it. */
    CHECK_AT_MOST(mapped_bytes(), before - window.units_area.size);
    CHECK(!mapped((char *)window.base + window.units_area.accessible));
    check_and_free_all();
    engine_free(small);
    check_nothing_left();
}

static void the_heap_grows_on_piece_by_piece(void) {
    CHECK(root_start());
    engine_confine();
    size_t before = mapped_bytes();
    for (int round = 0; round < 3; round++) {
        fill();
        CHECK_AT_MOST(mapped_bytes(), before + BLOCKS * BLOCK + 4 * BLOCK);
        for (int i = 0; i < BLOCKS; i++) {
            check_and_free(i);
        }
        CHECK_VALID();
    }
    engine_trim();
    CHECK_AT_MOST(mapped_bytes(), before + 3 * BLOCK);
    check_nothing_left();
}

/* A second time changes nothing, except that what is free by then goes. */
static void free_units_go_with_what_is_reserved(void) {
    fill();
    for (int i = 1; i < BLOCKS; i += 2) {
        check_and_free(i);
    }
    engine_confine();
    CHECK_VALID();
    size_t mapped_after = mapped_bytes();
    CHECK_EQUAL(spans.unmapped_units, (BLOCKS / 2 - 1) * UNITS); /* the window ends before the last one */
    engine_confine();
    CHECK_VALID();
    CHECK_EQUAL(mapped_bytes(), mapped_after);
    for (int i = 1; i < BLOCKS; i += 2) {
        blocks[i] = large(BLOCK, i + 1);
    }
    CHECK_VALID();
    check_and_free_all();
    check_nothing_left();
}

/* After a peak, tables describe few units again. */
static void a_trim_gives_back_the_window_s_end_with_its_tables(void) {
    void *small = engine_alloc(100);
    engine_confine();
    fill();
    const size_t before = window.metadata_area.accessible;
    check_and_free_all();
    engine_trim();
    CHECK_VALID();
    CHECK_AT_MOST(window.units_area.accessible, BLOCK);
    CHECK_AT_MOST(window.live_map_area.accessible, 2 * UNIT);
    CHECK_AT_MOST(window.metadata_area.accessible, metadata.used + 2 * UNIT);
    CHECK(window.metadata_area.accessible < before);
    fill();
    CHECK_VALID();
    check_and_free_all();
    engine_free(small);
    check_nothing_left();
}

/* As when another process has limited this one. */
static void a_refused_mapping_makes_the_window_give_way(void) {
    engine_free(engine_alloc(1));
    CHECK(!engine_confine_if_refused() && !window_is_claimed());
    os_inject(OS_CALL_MMAP, 0, 1, ENOMEM);
    CHECK(engine_confine_if_refused() && window_is_claimed());
    os_inject(OS_CALL_MMAP, 0, 1, ENOMEM);
    CHECK(!engine_confine_if_refused()); /* there is nothing left to give up */
    os_inject_clear();
    CHECK_VALID();
}

static void unmapped_memory_reads_as_zero_when_it_is_back(void) {
    not_beside_a_sanitizer();
    engine_confine();
    fill();
    check_and_free_all();
    engine_trim();
    unsigned char *block = engine_alloc_zeroed(8, BLOCK);
    CHECK(block != NULL);
    for (size_t at = 0; at < 8 * BLOCK; at++) {
        CHECK_EQUAL(block[at], 0);
    }
    engine_free(block);
}

/* Somebody else owns the first and last unit of a former block by the time they are needed. */
static void what_another_mapping_has_got_is_lost(void) {
    not_beside_a_sanitizer();
    engine_confine();
    fill();
    for (int i = 10; i < 14; i++) {
        check_and_free(i);
    }
    engine_trim();
    char *first = (char *)blocks[10], *last = (char *)blocks[13] + BLOCK - UNIT;
    CHECK(!mapped(first) && !mapped(last));
    CHECK_EQUAL(os_claim(first, UNIT), 0);
    CHECK_EQUAL(os_claim(last, UNIT), 0);
    memset(first, 0x77, UNIT);
    memset(last, 0x77, UNIT);
    for (int i = 10; i < 14; i++) {
        blocks[i] = large(BLOCK, i + 1);
        CHECK_VALID();
    }
    engine_free(large(BLOCK - UNIT, 1)); /* the rest of the hole, except its last unit */
    CHECK_EQUAL(spans.lost_units, 2);
    CHECK(first[0] == 0x77 && first[UNIT - 1] == 0x77 && last[0] == 0x77 && last[UNIT - 1] == 0x77);
    check_and_free_all();
    engine_trim();
    CHECK(first[0] == 0x77 && last[UNIT - 1] == 0x77);
    CHECK_VALID();
}

static void use_huge(void **block, int mark) {
    CHECK(*block != NULL);
    memset(*block, mark, BLOCK);
    CHECK_EQUAL(engine_usable_size("malloc_usable_size", *block), HUGE_MIN);
    *block = engine_realloc("realloc", *block, HUGE_MIN + BLOCK);
    CHECK(*block != NULL && *(char *)*block == mark);
    CHECK_EQUAL(engine_usable_size("malloc_usable_size", *block), HUGE_MIN + BLOCK);
}

/* The system may map a huge block where the window has unmapped its units, also one that moves as it grows. */
static void a_huge_block_may_lie_among_unmapped_units(void) {
    enum { PARTS = 5, COUNT = 16 };
    void *parts[PARTS];
    void *huge[COUNT];
    size_t inside = 0;
    for (int i = 0; i < PARTS; i++) {
        parts[i] = engine_alloc(HUGE_MIN - 2 * UNIT);
    }
    void *behind = large(BLOCK, 1);
    for (int i = 0; i < PARTS; i++) {
        engine_free(parts[i]);
    }
    engine_confine();
    for (int i = 0; i < COUNT; i++) {
        huge[i] = engine_alloc(HUGE_MIN);
        inside += window_holds(huge[i]);
        use_huge(&huge[i], i);
        inside += window_holds(huge[i]);
        CHECK_VALID();
    }
    if (inside == 0) {
        child_cannot();
    }
    for (int i = 0; i < COUNT; i++) {
        engine_free(huge[i]);
        CHECK(block_at(huge[i]).state != BLOCK_STATE_LIVE || block_at(huge[i]).kind != BLOCK_HUGE);
    }
    engine_free(behind);
    check_nothing_left();
}

static void a_block_does_not_grow_into_what_is_lost(void) {
    not_beside_a_sanitizer();
    engine_confine();
    fill();
    check_and_free(11);
    engine_trim();
    CHECK_EQUAL(os_claim(blocks[11], UNIT), 0);
    blocks[10] = engine_realloc("realloc", blocks[10], 2 * BLOCK);
    CHECK(blocks[10] != NULL && blocks[10][BLOCK - 1] == 11);
    memset(blocks[10], 11, 2 * BLOCK);
    CHECK_VALID();
    CHECK_EQUAL(spans.lost_units, 1);
}

/* The kernel may put a mapping right at the window's end, and large ones too (its older layout, from low addresses
 * up). */
static void *move_to_and_fro(void *unused) {
    for (unsigned i = 0; i < affordable(2000); i++) {
        bool lost = false;
        (void)move_pages(blocks[9 + i % 2 * 11], blocks[20 - i % 2 * 11], BLOCK, &lost);
        CHECK(!lost);
    }
    return unused;
}

/* A move asks the kernel for one page more, and may get it, where another thread claims units behind the block. */
static void no_unit_is_lost_to_pages_that_move(void) {
    not_beside_a_sanitizer();
    engine_confine();
    fill();
    check_and_free(10);
    engine_trim();
    pthread_t mover;
    CHECK_EQUAL(pthread_create(&mover, NULL, move_to_and_fro, NULL), 0);
    for (unsigned i = 0; i < affordable(2000); i++) {
        engine_free(engine_alloc_zeroed(1, UNIT));
        engine_trim();
    }
    pthread_join(mover, NULL);
    CHECK_EQUAL(spans.lost_units, 0);
    CHECK_VALID();
}

static void the_window_goes_on_behind_other_mappings(void) {
    CHECK(root_start());
    engine_confine();
    void *small = engine_alloc(100);
    char *others[3];
    size_t lost = 0;
    for (int i = 0; i < 3; i++) {
        size_t size = (size_t)(i + 1) * 10 * BLOCK;
        others[i] = (char *)window.base + window.units_area.accessible + (size_t)i * UNIT;
        CHECK_EQUAL(os_claim(others[i], size), 0);
        others[i][0] = others[i][size - 1] = 0x77;
        fill();
        CHECK_VALID();
        CHECK_AT_MOST(lost + size / UNIT, spans.lost_units + 3);
        lost = spans.lost_units;
        CHECK(others[i][0] == 0x77 && others[i][size - 1] == 0x77);
    }
    engine_free(small);
    check_and_free_all();
    CHECK_VALID();
}

static void what_cannot_be_claimed_again_is_tried_again(void) {
    not_beside_a_sanitizer();
    engine_confine();
    fill();
    check_and_free_all();
    engine_trim();
    os_inject(OS_CALL_MMAP, 0, UINT64_MAX, ENOMEM);
    errno = 0;
    CHECK(engine_alloc(20 * BLOCK) == NULL && errno == ENOMEM);
    os_inject_clear();
    CHECK_VALID();
    void *block = large(20 * BLOCK, 1);
    CHECK_VALID();
    engine_free(block);
    check_nothing_left();
}

static void what_cannot_be_unmapped_is_purged(void) {
    not_beside_a_sanitizer();
    engine_confine();
    fill();
    check_and_free_all();
    os_inject(OS_CALL_MUNMAP, 0, UINT64_MAX, ENOMEM);
    CHECK(engine_trim() != 0);
    os_inject_clear();
    CHECK_EQUAL(spans.unmapped_units, 0);
    CHECK(spans.dirty_units == 0 || !os_purge_zeroes());
    CHECK_VALID();
    fill();
}

/* The units' piece comes first: without it nothing changes. */
static void a_refusal_leaves_the_window_reserved(void) {
    fill();
    os_inject(OS_CALL_MUNMAP, 0, UINT64_MAX, ENOMEM);
    engine_confine();
    os_inject_clear();
    CHECK(!window_is_claimed());
    CHECK_VALID();
    fill();
    CHECK_VALID();
}

/* Tables whose tails could not be unmapped continue in the reservation. */
static void tables_that_are_refused_stay_reserved(void) {
    fill();
    os_inject(OS_CALL_MUNMAP, 1, 8, ENOMEM);
    engine_confine();
    os_inject_clear();
    CHECK(window_is_claimed());
    CHECK(!window.live_map_area.claimed);
    CHECK_EQUAL(window_reach(window.units_area.accessible / UNIT + 4000), 0);
    CHECK_VALID();
}

/* How much of BLOCKS and more is kept when all is freed under a limit. */
static size_t kept_below(size_t limit) {
    static void *many[3 * BLOCKS];
    for (int i = 0; i < 3 * BLOCKS; i++) {
        many[i] = large(BLOCK, 1);
    }
    engine_confine_to(limit, SIZE_MAX);
    for (int i = 0; i < 3 * BLOCKS; i++) {
        engine_free(many[i]);
    }
    struct mems_engine_stats stats;
    stats_collect(&stats);
    CHECK_VALID();
    return stats.dirty + stats.cached;
}

static void under_a_high_limit_freed_memory_is_kept(void) {
    CHECK_AT_MOST(3 * BLOCKS * BLOCK - 20 * BLOCK, kept_below((size_t)4 << 30));
}

static void under_a_low_limit_freed_memory_soon_goes(void) {
    CHECK_AT_MOST(kept_below(200 * BLOCK), 3 * BLOCKS * BLOCK / 2 + 10 * BLOCK);
}

static void before_the_start_nothing_is_reserved(void) {
    not_beside_a_sanitizer();
    size_t before = mapped_bytes();
    engine_confine();
    fill();
    CHECK(window_is_claimed());
    CHECK_AT_MOST(mapped_bytes(), before + BLOCKS * BLOCK + 4 * BLOCK);
    CHECK_VALID();
}

static void the_option_off_leaves_all_as_it_is(void) {
    fill();
    size_t before = mapped_bytes();
    engine_confine();
    CHECK(!window_is_claimed());
    CHECK_EQUAL(mapped_bytes(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(what_is_reserved_goes_and_blocks_stay),
        FRESH_WITH(what_is_reserved_goes_and_blocks_stay, "window=64m"),
        FRESH(the_heap_grows_on_piece_by_piece),
        FRESH(free_units_go_with_what_is_reserved),
        FRESH(a_trim_gives_back_the_window_s_end_with_its_tables),
        FRESH(a_refused_mapping_makes_the_window_give_way),
        FRESH(unmapped_memory_reads_as_zero_when_it_is_back),
        FRESH(what_another_mapping_has_got_is_lost),
        FRESH_WITH(a_huge_block_may_lie_among_unmapped_units, "window=400m"),
        FRESH_WITH(a_huge_block_may_lie_among_unmapped_units, "window=400m,harden=full"),
        FRESH_WITH(a_huge_block_may_lie_among_unmapped_units, "window=400m,sample=64k"),
        FRESH(a_block_does_not_grow_into_what_is_lost),
        FRESH(no_unit_is_lost_to_pages_that_move),
        FRESH(the_window_goes_on_behind_other_mappings),
        FRESH(what_cannot_be_claimed_again_is_tried_again),
        FRESH_WITH(what_cannot_be_unmapped_is_purged, "decay_ms=4294967295"),
        FRESH(a_refusal_leaves_the_window_reserved),
        FRESH(tables_that_are_refused_stay_reserved),
        FRESH(before_the_start_nothing_is_reserved),
        FRESH_WITH(under_a_high_limit_freed_memory_is_kept, "decay_ms=100000"),
        FRESH_WITH(under_a_low_limit_freed_memory_soon_goes, "decay_ms=100000"),
        FRESH_WITH(the_option_off_leaves_all_as_it_is, "confine=off"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
