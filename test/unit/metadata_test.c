/*
 * metadata_test.c - pieces of metadata against a list of them: apart, aligned, and used again.
 */
#include "support/fresh.h"

#include <errno.h>

#include "base/bits.h"
#include "engine/engine.h"
#include "engine/root/root.h"
#include "engine/tables/metadata.h"
#include "engine/tables/window.h"
#include "os/os.h"
#include "support/engine_heap.h"
#include "support/marked.h"
#include "support/thread.h"

#define PIECES 400

static struct marked pieces[PIECES];

/* All sizes, but powers of two, which are aligned, more often. */
static size_t choose_size(void) {
    size_t size = random_below(&fresh_random, 3) == 0 ? (size_t)64 << random_below(&fresh_random, 8)
                                                      : 1 + random_below(&fresh_random, METADATA_MAX);
    return size;
}

static void check_place(const struct marked *piece) {
    uintptr_t start = (uintptr_t)piece->memory;
    size_t size = round_up(piece->size, METADATA_STEP);
    CHECK(start >= window.metadata_area.start);
    CHECK(start + size <= window.metadata_area.start + window.metadata_area.accessible);
    CHECK_EQUAL(start % METADATA_STEP, 0);
    CHECK(!is_power_of_two(size) || start % size == 0);
}

static void pieces_are_apart_and_aligned(void) {
    CHECK(root_start());
    size_t others = metadata.used - metadata.spare;
    size_t held = 0;
    for (unsigned step = 0; step < affordable(20000); step++) {
        struct marked *piece = &pieces[random_below(&fresh_random, PIECES)];
        if (piece->memory != NULL) {
            CHECK(marked_intact(piece, SIZE_MAX));
            metadata_free(piece->memory, piece->size);
            held -= round_up(piece->size, METADATA_STEP);
            *piece = (struct marked){.memory = NULL};
        } else {
            size_t size = choose_size();
            void *memory = metadata_alloc(size);
            CHECK(memory != NULL);
            *piece = (struct marked){.memory = memory, .size = size, .mark = random_next(&fresh_random)};
            check_place(piece);
            marked_fill(piece);
            held += round_up(size, METADATA_STEP);
        }
        if (step % affordable(1000) == 0) {
            metadata_trim();
            CHECK_VALID();
        }
        CHECK_EQUAL(metadata.used - metadata.spare - metadata.returned, others + held);
    }
    for (size_t i = 0; i < PIECES; i++) {
        CHECK(marked_intact(&pieces[i], SIZE_MAX));
    }
}

static void a_piece_given_back_serves_the_next_request_of_its_size(void) {
    CHECK(root_start());
    for (size_t size = 1; size <= METADATA_MAX; size += 61) {
        void *first = metadata_alloc(size);
        void *second = metadata_alloc(size);
        size_t used = metadata.used;
        metadata_free(first, size);
        metadata_free(second, size);
        CHECK(metadata_alloc(round_up(size, METADATA_STEP)) == second);
        CHECK(metadata_alloc(size) == first);
        CHECK_EQUAL(metadata.used, used);
    }
}

static void what_alignment_skips_is_not_lost(void) {
    CHECK(root_start());
    CHECK(metadata_alloc(64) != NULL);
    CHECK(metadata_alloc(METADATA_MAX) != NULL);
    size_t used = metadata.used;
    while (metadata.spare != 0) {
        CHECK(metadata_alloc(64) != NULL);
    }
    CHECK_EQUAL(metadata.used, used);
}

static void all_accessible_metadata_serves_when_the_system_gives_no_more(void) {
    CHECK(root_start());
    CHECK(metadata_alloc(64) != NULL);
    os_inject(OS_CALL_MPROTECT, 0, UINT64_MAX, ENOMEM);
    while (metadata_alloc(512) != NULL) {
        continue;
    }
    while (metadata_alloc(64) != NULL) {
        continue;
    }
    CHECK_EQUAL(metadata.used, window.metadata_area.accessible);
    os_inject_clear();
    CHECK(metadata_alloc(512) != NULL);
}

static void the_area_ends_and_pieces_go_round_in_it(void) {
    CHECK(root_start() && window.metadata_area.size == 16 * MIB);
    size_t pieces_made = 0;
    void *last = NULL;
    for (void *piece; (piece = metadata_alloc(METADATA_MAX)) != NULL; last = piece) {
        memset(piece, 1, METADATA_MAX);
        pieces_made++;
    }
    CHECK(pieces_made * METADATA_MAX + METADATA_MAX >= window.metadata_area.size);
    CHECK(metadata_alloc(METADATA_MAX) == NULL);
    metadata_free(last, METADATA_MAX);
    CHECK(metadata_alloc(METADATA_MAX) == last);
    CHECK_AT_MOST(metadata.used, window.metadata_area.size);
}

/* Takes pieces of a size until there are no more, newest first; returns how many. */
static size_t take_all(void **newest, size_t size) {
    size_t count = 0;
    for (void **piece; (piece = metadata_alloc(size)) != NULL; count++) {
        *piece = *newest;
        *newest = (void *)piece;
    }
    return count;
}

static void give_all(void **newest, size_t size) {
    for (void **piece; (piece = *newest) != NULL;) {
        *newest = *piece;
        metadata_free(piece, size);
    }
}

static void at_the_areas_end_pieces_of_one_size_serve_another(void) {
    static const size_t sizes[] = {64, 192, 512, 576, METADATA_STEP * 3, 5000, 128, METADATA_MAX / 2, 64};
    CHECK(root_start());
    void *newest = NULL;
    size_t bytes = take_all(&newest, 192) * 192;
    give_all(&newest, 192);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = round_up(sizes[i], METADATA_STEP);
        size_t count = take_all(&newest, size);
        /* What pieces of up to METADATA_MAX leave over may be nearly half of each, and more because of alignment. */
        CHECK_AT_MOST(bytes / 8 * 3, count * size);
        give_all(&newest, size);
    }
}

static void pieces_are_not_merged_for_every_request(void) {
    CHECK(root_start());
    void *newest = NULL;
    take_all(&newest, 64);
    void *second = NULL;
    for (void **piece; newest != NULL && (piece = (void **)*(void **)newest) != NULL;) {
        /* Every second one goes back: none are adjacent, so nothing can be merged. */
        void *first = newest;
        newest = *piece;
        metadata_free(first, 64);
        *piece = second;
        second = (void *)piece;
    }
    CHECK(metadata_alloc(128) == NULL);
    CHECK_EQUAL(metadata.unmerged, 0);
    metadata_free(second, 64);
    CHECK(metadata_alloc(128) == NULL);
    CHECK_EQUAL(metadata.unmerged, 64);
}

/* If pieces are merged and cut at random, those whose size is a power of two are still aligned. */
static void merged_pieces_are_aligned(void) {
    enum { HELD = 16000, FEW_STEPS = 16 };
    static void *held[HELD];
    static size_t sizes[HELD];
    CHECK(root_start());
    for (size_t i = 0; i < 5 * HELD; i++) {
        size_t at = random_below(&fresh_random, HELD);
        if (held[at] != NULL) {
            metadata_free(held[at], sizes[at]);
        }
        size_t steps = i % 3 == 0 ? METADATA_MAX / METADATA_STEP : FEW_STEPS;
        sizes[at] = METADATA_STEP * (1 + random_below(&fresh_random, steps));
        held[at] = metadata_alloc(sizes[at]);
        CHECK(!is_power_of_two(sizes[at]) || (uintptr_t)held[at] % sizes[at] == 0);
    }
    CHECK(metadata.used > METADATA_MAX && metadata.spare > 0);
}

static void a_unit_brings_its_metadata_along(void) {
    CHECK(root_start());
    char *block = engine_alloc(40 * MIB);
    CHECK(block != NULL);
    CHECK_AT_MOST(window.units_area.accessible / UNIT * METADATA_OF_UNIT, window.metadata_area.accessible);
    engine_free(block);
}

static void much_metadata_costs_few_system_calls(void) {
    CHECK(root_start());
    uint64_t calls = os_inject_calls(OS_CALL_MPROTECT);
    for (size_t bytes = 0; bytes < 16 * MIB; bytes += 512) {
        CHECK(metadata_alloc(512) != NULL);
    }
    CHECK_AT_MOST(os_inject_calls(OS_CALL_MPROTECT) - calls, 64);
}

/* The memory of many descriptors goes back, except pages that hold one in use; and it serves any other size. */
static void free_pages_go_back(void) {
    enum { COUNT = 4000, KEPT = 16 };
    static struct marked kept[KEPT];
    static void *others[COUNT];
    CHECK(root_start());
    for (unsigned i = 0; i < COUNT; i++) {
        others[i] = memset(metadata_alloc(512), 1, 512);
        if (i % (COUNT / KEPT) == 0) {
            struct marked *piece = &kept[i / (COUNT / KEPT)];
            *piece = (struct marked){.memory = metadata_alloc(6272), .size = 6272, .mark = i};
            marked_fill(piece);
        }
    }
    size_t used = metadata.used;
    struct os_usage before;
    struct os_usage after;
    os_usage(&before);
    for (unsigned i = 0; i < COUNT; i++) {
        metadata_free(others[i], 512);
    }
    size_t given = metadata_trim();
    os_usage(&after);
    CHECK(given > COUNT * 512 * 9 / 10);
    CHECK(after.resident + given * 9 / 10 < before.resident || !os_purge_zeroes());
    CHECK_AT_MOST(metadata.used - metadata.returned, KEPT * (6272 + 3 * OS_PAGE) + 64 * KIB);
    CHECK_EQUAL(metadata_trim(), 0);
    CHECK_VALID();
    for (unsigned i = 0; i < COUNT * 512 * 8 / 10 / 1024; i++) {
        memset(metadata_alloc(1000), 2, 1000);
    }
    CHECK_EQUAL(metadata.used, used);
    for (unsigned i = 0; i < KEPT; i++) {
        CHECK(marked_intact(&kept[i], SIZE_MAX));
    }
    CHECK_VALID();
}

/* Without memory for a trim, or if the system takes nothing, nothing changes. */
static void a_trim_may_be_refused(void) {
    enum { COUNT = 400 };
    static void *pieces_of_512[COUNT];
    CHECK(root_start());
    for (unsigned i = 0; i < COUNT; i++) {
        pieces_of_512[i] = metadata_alloc(512);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        metadata_free(pieces_of_512[i], 512);
    }
    os_inject(OS_CALL_MMAP, 0, 1, ENOMEM);
    CHECK_EQUAL(metadata_trim(), 0);
    CHECK_EQUAL(metadata.returned, 0);
    os_inject_clear();
    os_inject(OS_CALL_MADVISE, 0, UINT64_MAX, EPERM);
    CHECK_EQUAL(metadata_trim(), 0);
    os_inject_clear();
    CHECK_VALID();
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK(metadata_alloc(512) != NULL);
    }
    CHECK_VALID();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(free_pages_go_back),
        FRESH(a_trim_may_be_refused),
        FRESH(pieces_are_apart_and_aligned),
        FRESH(a_piece_given_back_serves_the_next_request_of_its_size),
        FRESH(what_alignment_skips_is_not_lost),
        FRESH(all_accessible_metadata_serves_when_the_system_gives_no_more),
        FRESH_WITH(the_area_ends_and_pieces_go_round_in_it, "window=4m"),
        FRESH_WITH(at_the_areas_end_pieces_of_one_size_serve_another, "window=4m"),
        FRESH_WITH(pieces_are_not_merged_for_every_request, "window=4m"),
        FRESH_WITH(merged_pieces_are_aligned, "window=4m"),
        FRESH(a_unit_brings_its_metadata_along),
        FRESH(much_metadata_costs_few_system_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
