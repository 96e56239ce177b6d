/*
 * advice_test.c - what the program sets for the pages of its blocks ends with them, and pages that the system does not
 * take back are replaced.
 */
#include "support/fresh.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/memory/huge.h"
#include "engine/memory/span.h"
#include "engine/root/root.h"
#include "engine/tables/page_map.h"
#include "engine/tables/window.h"
#include "os/os.h"
#include "support/clock.h"
#include "support/engine_heap.h"
#include "support/kernel.h"

#define UNDECAYED "decay_ms=4294967295"
enum { BLOCKS = 24 };

static char *blocks[BLOCKS];

static void fill(size_t size) {
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = engine_alloc_aligned(OS_PAGE, size);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], i + 1, size);
    }
}

static void free_all(void) {
    for (int i = 0; i < BLOCKS; i++) {
        engine_free(blocks[i]);
    }
}

static void set(void *start, size_t size, int advice) {
    if (madvise(start, size, advice) != 0) {
        child_cannot();
    }
    engine_advised(start, size);
}

/* For large blocks, and for slabs that are given back. */
static void end_with_blocks_of(size_t size) {
    fill(size);
    for (int i = 0; i < BLOCKS; i += 3) {
        set(blocks[i], size, MADV_DONTFORK);
    }
    if (mapping_has_flag(blocks[0], " dc") != 1) {
        child_cannot(); /* an emulator does not pass it on */
    }
    free_all();
    engine_trim();
    for (int i = 0; i < BLOCKS; i++) {
        CHECK(mapping_has_flag(blocks[i], " dc") != 1);
    }
    CHECK_VALID();
    check_nothing_left();
}

static void advice_ends_with_large_blocks(void) {
    end_with_blocks_of(MIB);
    end_with_blocks_of(2 * UNIT);
}

static void advice_ends_with_a_slab(void) {
    end_with_blocks_of(OS_PAGE);
}

static void free_closed(size_t size) {
    fill(size);
    for (int i = 0; i < BLOCKS; i++) {
        char *closed = blocks[i] + round_down(size / 2, OS_PAGE);
        CHECK(mprotect(closed, OS_PAGE, i % 2 ? PROT_READ : PROT_NONE) == 0);
        engine_protected(closed, OS_PAGE);
    }
    free_all();
    fill(size);
    free_all();
    CHECK_VALID();
}

static void protections_end_with_large_blocks(void) {
    free_closed(UNIT + OS_PAGE);
    free_closed(MIB);
}

/* A garbage collector protects its own memory while all other threads are stopped, one of which holds a lock. */
static void protections_wait_for_no_lock(void) {
    fill(MIB);
    char *huge = engine_alloc(HUGE_MIN);
    char *mapped = mmap(NULL, OS_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(huge != NULL && mapped != MAP_FAILED);
    lock_take(&huge_table.lock);
    lock_take(&spans.lock);
    engine_protected(mapped, OS_PAGE);
    engine_protected(huge, OS_PAGE);
    for (int i = 0; i < BLOCKS; i++) {
        CHECK(mprotect(blocks[i], OS_PAGE, PROT_NONE) == 0);
        engine_protected(blocks[i], OS_PAGE);
    }
    lock_give(&spans.lock);
    lock_give(&huge_table.lock);
    free_all();
    fill(MIB);
    free_all();
    engine_free(huge);
    CHECK_VALID();
}

static void advice_is_kept_if_the_option_says_so(void) {
    fill(MIB);
    set(blocks[0], MIB, MADV_DONTFORK);
    if (mapping_has_flag(blocks[0], " dc") != 1) {
        child_cannot();
    }
    engine_free(blocks[0]);
    CHECK(mapping_has_flag(blocks[0], " dc") == 1);
}

/* Whole spans are noted, even if the advice is for a page in the middle, or begins before the window. */
static void any_page_of_a_block_counts(void) {
    fill(MIB);
    engine_advised(blocks[3] + MIB / 2, OS_PAGE);
    engine_free(blocks[3]);
    CHECK_EQUAL(spans.purged_units, MIB / UNIT);
    engine_advised(NULL, (uintptr_t)blocks[5] + OS_PAGE);
    for (int i = 0; i < BLOCKS; i++) {
        if (i != 3) {
            engine_free(blocks[i]);
        }
        if (i == 5) {
            CHECK_EQUAL(spans.purged_units, 6 * MIB / UNIT);
        }
    }
    CHECK_EQUAL(spans.purged_units, 6 * MIB / UNIT);
    engine_advised(NULL, SIZE_MAX);
    engine_advised((void *)UINTPTR_MAX, 1);
    CHECK_VALID();
}

static void an_advised_block_that_shrinks_keeps_its_addresses(void) {
    fill(MIB);
    engine_advised(blocks[0], MIB);
    char *shrunk = engine_realloc("realloc", blocks[0], MIB / 2);
    CHECK(shrunk == blocks[0] && shrunk[MIB / 2 - 1] == 1);
    CHECK_EQUAL(spans.free_units % (MIB / UNIT), 0);
    CHECK_VALID();
    char *grown = engine_realloc("realloc", shrunk, MIB);
    CHECK(grown == shrunk && grown[MIB / 2 - 1] == 1 && (grown[MIB - 1] == 0 || !os_purge_zeroes()));
    CHECK_VALID();
}

static void pages_that_move_leave_advice_behind(void) {
    fill(MIB);
    set(blocks[0], MIB, MADV_DONTFORK);
    char *moved = engine_realloc("realloc", blocks[0], 8 * MIB);
    CHECK(moved != NULL && moved != blocks[0] && moved[MIB - 1] == 1);
    CHECK(mapping_has_flag(moved, " dc") != 1 && mapping_has_flag(blocks[0], " dc") != 1);
    CHECK_VALID();
}

static void lock_page(void *page) {
    if (mlock(page, OS_PAGE) != 0) {
        child_cannot();
    }
}

/* The lock was not noted. */
static void one_locked_page_keeps_no_other(void) {
    fill(MIB);
    lock_page(blocks[BLOCKS / 2]);
    free_all();
    CHECK_EQUAL(engine_trim(), BLOCKS * MIB);
    CHECK_EQUAL(spans.dirty_units, 0);
    for (int i = 0; i < BLOCKS; i++) {
        CHECK_EQUAL(present_bytes(blocks[i], MIB), 0);
    }
    CHECK_VALID();
    fill(MIB);
}

static void what_can_be_neither_purged_nor_replaced_stays(void) {
    fill(MIB);
    engine_advised(blocks[1], MIB);
    os_inject(OS_CALL_MADVISE, 0, UINT64_MAX, EINVAL);
    os_inject(OS_CALL_MMAP, 0, UINT64_MAX, ENOMEM);
    free_all();
    CHECK_EQUAL(engine_trim(), 0);
    os_inject_clear();
    CHECK_EQUAL(spans.dirty_units, BLOCKS * MIB / UNIT);
    CHECK_EQUAL(spans.lost_units, 0);
    CHECK_VALID();
    fill(MIB);
    CHECK_VALID();
}

/* The mark that would tell cannot be set: units are lost, and nothing else. */
static void addresses_that_may_be_lost_are_not_used_again(void) {
    fill(MIB);
    CHECK(mprotect(blocks[1], OS_PAGE, PROT_READ) == 0);
    engine_advised(blocks[1], MIB);
    os_inject(OS_CALL_MMAP, 0, 1, ENOMEM);
    engine_free(blocks[1]);
    os_inject_clear();
    CHECK_EQUAL(spans.lost_units, MIB / UNIT);
    CHECK_VALID();
    char *lost = blocks[1];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < BLOCKS; i++) {
            if (blocks[i] != lost) {
                engine_free(blocks[i]);
            }
        }
        fill(MIB);
        for (int i = 0; i < BLOCKS; i++) {
            CHECK(blocks[i] != lost);
        }
    }
    CHECK_VALID();
}

/* All new memory is locked, by a call that the engine has not seen: mapping anew does not help, and is given up. */
static void where_all_is_locked_nothing_is_replaced_for_long(void) {
    not_beside_a_sanitizer();
    fill(MIB);
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        child_cannot();
    }
    for (int i = 0; i < BLOCKS; i += 2) {
        engine_free(blocks[i]);
    }
    CHECK_AT_MOST(engine_trim(), MIB);
    CHECK_EQUAL(spans.renewals, 0);
    uint64_t before = os_inject_calls(OS_CALL_MMAP);
    CHECK_EQUAL(engine_trim(), 0);
    CHECK_AT_MOST(os_inject_calls(OS_CALL_MMAP), before + 1); /* a trim maps memory to work in */
    CHECK_VALID();
}

/* New mappings do not merge with those that a child inherits. */
static void a_forked_child_replaces_little(void) {
    clock_stop(); /* a purge of what decays maps memory to work in */
    fill(MIB);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        uint64_t before = os_inject_calls(OS_CALL_MMAP);
        for (int round = 0; round < 4000; round++) {
            int i = round % BLOCKS;
            engine_advised(blocks[i], MIB);
            engine_free(blocks[i]);
            blocks[i] = engine_alloc(MIB);
        }
        CHECK_AT_MOST(os_inject_calls(OS_CALL_MMAP), before + 1024);
        CHECK_VALID();
        _exit(0);
    }
    child_wait(child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH_WITH(advice_ends_with_large_blocks, UNDECAYED),
        FRESH_WITH(advice_ends_with_a_slab, UNDECAYED),
        FRESH_WITH(protections_end_with_large_blocks, UNDECAYED),
        FRESH_WITH(protections_end_with_large_blocks, UNDECAYED ",harden=light"),
        FRESH_WITH(protections_end_with_large_blocks, UNDECAYED ",harden=full"),
        FRESH_WITH(protections_wait_for_no_lock, UNDECAYED),
        FRESH_WITH(advice_is_kept_if_the_option_says_so, UNDECAYED ",advice=off"),
        FRESH_WITH(any_page_of_a_block_counts, UNDECAYED),
        FRESH_WITH(an_advised_block_that_shrinks_keeps_its_addresses, UNDECAYED),
        FRESH_WITH(pages_that_move_leave_advice_behind, UNDECAYED),
        FRESH_WITH(one_locked_page_keeps_no_other, UNDECAYED),
        FRESH_WITH(what_can_be_neither_purged_nor_replaced_stays, UNDECAYED),
        FRESH_WITH(addresses_that_may_be_lost_are_not_used_again, UNDECAYED),
        FRESH_WITH(where_all_is_locked_nothing_is_replaced_for_long, UNDECAYED),
        FRESH(a_forked_child_replaces_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
