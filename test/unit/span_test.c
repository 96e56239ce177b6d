/*
 * span_test.c - spans against an array that tells for each unit whose it is and whether it is dirty.
 *
 * The spans have the descriptors of large blocks, so that engine_valid() sees an engine at work. In the tests with
 * `undecayed` nothing is purged but by span_purge_all(), for time does not pass and the cap is not reached.
 */
#include "support/fresh.h"

#include <sys/mman.h>

#include <errno.h>

#include "engine/memory/large.h"
#include "engine/memory/span.h"
#include "engine/memory/span_age.h"
#include "engine/root/root.h"
#include "engine/tables/live_map.h"
#include "engine/tables/page_map.h"
#include "os/os.h"
#include "support/engine_heap.h"
#include "support/thread.h"

#define UNDECAYED "decay_ms=4294967295"

#define USERS 12u
#define UNITS_MAX 6u /* of a span */
#define ALIGN_MAX 4u

/* However USERS spans lie, a span that fits is found below this unit: each of the gaps around them is too short. */
#define TOP_MAX (USERS * UNITS_MAX + (USERS + 1) * (UNITS_MAX + ALIGN_MAX) + UNITS_MAX + ALIGN_MAX)

enum { NOBODY = 0 };

static struct large users[USERS + 1]; /* by what `owner` says */
static unsigned owner[TOP_MAX + 2 * UNITS_MAX];
static bool dirty[TOP_MAX + 2 * UNITS_MAX];

static struct span *span_of(unsigned user) {
    return &users[user].span;
}

static uint64_t *unit_first_word(size_t unit) {
    return window_address(unit);
}

static uint64_t *unit_last_word(size_t unit) {
    return unit_first_word(unit) + UNIT / sizeof(uint64_t) - 1;
}

static uint64_t mark_of(unsigned user, size_t unit) {
    return (uint64_t)user << 32 | (unit + 1);
}

static bool unit_reads(size_t unit, uint64_t value) {
    return *unit_first_word(unit) == value && *unit_last_word(unit) == value;
}

/* The units are the user's, in the model and by what is written into them. */
static void hand_over(unsigned user, size_t first, size_t end) {
    for (size_t unit = first; unit < end; unit++) {
        CHECK(unit < TOP_MAX);
        CHECK_EQUAL(owner[unit], NOBODY);
        owner[unit] = user;
        *unit_first_word(unit) = *unit_last_word(unit) = mark_of(user, unit);
    }
}

static void take_back(size_t first, size_t end) {
    for (size_t unit = first; unit < end; unit++) {
        owner[unit] = NOBODY;
        dirty[unit] = true;
    }
}

static void take(unsigned user) {
    size_t units = 1 + random_below(&fresh_random, UNITS_MAX);
    size_t align = (size_t)1 << random_below(&fresh_random, floor_log2(ALIGN_MAX) + 1);
    bool zero;
    CHECK(span_take(span_of(user), units, align, UNIT_PART, &zero));
    CHECK_EQUAL(span_of(user)->units, units);
    CHECK_EQUAL((uintptr_t)window_address(span_of(user)->first) % (align * UNIT), 0);
    size_t first = span_of(user)->first;
    bool any_dirty = false;
    for (size_t unit = first; unit < first + units; unit++) {
        any_dirty = any_dirty || dirty[unit];
        CHECK(dirty[unit] || unit_reads(unit, 0));
        CHECK(window.spans[unit] == span_of(user));
        CHECK_EQUAL(page_map_load(unit), UNIT_PART);
    }
    CHECK_EQUAL(zero, !any_dirty);
    hand_over(user, first, first + units);
}

static void grow(unsigned user) {
    size_t end = span_of(user)->first + span_of(user)->units;
    size_t more = 1 + random_below(&fresh_random, UNITS_MAX);
    if (span_of(user)->units + more > UNITS_MAX) {
        return;
    }
    bool room = true;
    for (size_t unit = end; unit < end + more; unit++) {
        room = room && owner[unit] == NOBODY;
    }
    CHECK_EQUAL(span_grow(span_of(user), span_of(user)->units + more, UNIT_PART), room);
    if (room) {
        hand_over(user, end, end + more);
    }
    CHECK_EQUAL(span_of(user)->first + span_of(user)->units, room ? end + more : end);
}

static void shrink(unsigned user) {
    size_t units = 1 + random_below(&fresh_random, span_of(user)->units);
    if (units < span_of(user)->units) {
        take_back(span_of(user)->first + units, span_of(user)->first + span_of(user)->units);
        span_shrink(span_of(user), units);
        CHECK_EQUAL(span_of(user)->units, units);
    }
}

static void give(unsigned user) {
    take_back(span_of(user)->first, span_of(user)->first + span_of(user)->units);
    span_give(span_of(user));
    span_of(user)->units = 0;
}

static void purge_all(void) {
    size_t dirty_bytes = spans.dirty_units * UNIT;
    size_t purged = span_purge_all();
    CHECK_AT_MOST(purged, spans.free_units * UNIT); /* whole spans, with what is fresh in them */
    if (os_purge_zeroes()) {
        CHECK(purged >= dirty_bytes);
        for (size_t unit = 0; unit < spans.top; unit++) {
            dirty[unit] = dirty[unit] && owner[unit] != NOBODY;
        }
    }
}

/* Every unit is whose the model says, and holds what was written; the sums are the model's; the engine agrees. */
static void check_model(void) {
    size_t live = 0;
    size_t dirty_free = 0;
    for (size_t unit = 0; unit < spans.top; unit++) {
        live += owner[unit] != NOBODY;
        dirty_free += owner[unit] == NOBODY && dirty[unit];
        CHECK(owner[unit] == NOBODY || unit_reads(unit, mark_of(owner[unit], unit)));
    }
    CHECK_EQUAL(spans.live_units, live);
    CHECK_EQUAL(spans.free_units, spans.top - live);
    CHECK_EQUAL(spans.dirty_units, dirty_free);
    CHECK_AT_MOST(spans.top, TOP_MAX);
    CHECK_VALID();
}

static void random_operations_agree_with_an_array(void) {
    CHECK(root_start());
    for (unsigned step = 0; step < affordable(20000); step++) {
        unsigned user = 1 + (unsigned)random_below(&fresh_random, USERS);
        size_t dice = random_below(&fresh_random, 100);
        if (dice == 0) {
            purge_all();
        } else if (span_of(user)->units == 0) {
            take(user);
        } else if (dice < 25) {
            grow(user);
        } else if (dice < 50) {
            shrink(user);
        } else {
            give(user);
        }
        check_model();
    }
    for (unsigned user = 1; user <= USERS; user++) {
        if (span_of(user)->units) {
            give(user);
            check_model();
        }
    }
    CHECK_EQUAL(spans.free_units, spans.top);
}

/* Most spans are kept, so that a request is served at the top, by a free span that lies there and by what is beyond. */
static void an_aligned_span_at_the_top_fits_where_it_may(void) {
    enum { COUNT = 1500 };
    static struct large kept[COUNT];
    CHECK(root_start());
    size_t top = 0;
    unsigned steps = 0;
    for (size_t i = 0; i < COUNT;) {
        size_t units = 1 + random_below(&fresh_random, 8);
        size_t align = (size_t)1 << random_below(&fresh_random, 5);
        bool zero;
        CHECK(span_take(&kept[i].span, units, align, UNIT_PART, &zero));
        CHECK(spans.top >= top);
        top = spans.top;
        for (size_t unit = kept[i].span.first; unit < kept[i].span.first + units; unit++) {
            CHECK(!zero || unit_reads(unit, 0));
            *unit_first_word(unit) = *unit_last_word(unit) = 1;
        }
        if (random_below(&fresh_random, 3) == 0) {
            span_give(&kept[i].span);
        } else {
            i++;
        }
        if (steps++ % 16 == 0) { /* it looks at all spans; and what is wrong stays wrong, because they are kept */
            CHECK_VALID();
        }
    }
    CHECK_VALID();
}

/* Spans of given lengths one behind the other, from an empty window on; they are the users 0, 1, .. */
static struct large *take_row(size_t count, size_t units) {
    struct large *row = calloc(count, sizeof *row);
    bool zero;
    CHECK(row != NULL && root_start());
    os_purge_zeroes(); /* its trial is over */
    for (size_t i = 0; i < count; i++) {
        CHECK(span_take(&row[i].span, units, 1, UNIT_PART, &zero));
        CHECK(zero);
        CHECK_EQUAL(row[i].span.first, i * units);
    }
    return row;
}

static struct free_span *free_span_of(size_t unit) {
    return CONTAINER_OF(window.spans[unit], struct free_span, span);
}

static void need_purging(void) {
    if (!os_purge_zeroes()) {
        child_cannot();
    }
}

/* Holes that an aligned span has left are found again, though none is long enough for every position. */
static void aligned_spans_find_their_places_again(void) {
    enum { COUNT = 100, ALIGN = 16 };
    struct large *row = calloc(COUNT, sizeof *row);
    bool zero;
    CHECK(row != NULL && root_start());
    for (size_t i = 0; i < COUNT; i++) {
        CHECK(span_take(&row[i].span, ALIGN, ALIGN, UNIT_PART, &zero));
    }
    size_t top = spans.top;
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < COUNT; i += 2) {
            span_give(&row[i].span);
        }
        for (size_t i = 0; i < COUNT; i += 2) {
            CHECK(span_take(&row[i].span, ALIGN, ALIGN, UNIT_PART, &zero));
        }
        CHECK_EQUAL(spans.top, top);
        CHECK_VALID();
    }
}

#define DECAY 1000000 /* ms */

static void what_is_old_enough_decays(void) {
    struct large *row = take_row(6, 3);
    need_purging();
    span_give(&row[0].span);
    CHECK_EQUAL(spans.dirty_units, 3);
    span_decay(os_coarse_ms() + DECAY);
    CHECK_EQUAL(spans.dirty_units, 0);
    CHECK_EQUAL(page_map_load(0), UNIT_FRESH);
    CHECK_EQUAL(spans.purges, 1);
    CHECK_EQUAL(spans.purged_units, 3);

    span_give(&row[2].span);
    span_give(&row[4].span);
    free_span_of(row[4].span.first)->freed_ms += DECAY; /* as if it was younger */
    span_decay(os_coarse_ms() + DECAY);
    CHECK_EQUAL(page_map_load(row[2].span.first), UNIT_FRESH);
    CHECK_EQUAL(page_map_load(row[4].span.first), UNIT_DIRTY);
    CHECK_EQUAL(spans.dirty_units, 3);
    CHECK_VALID();
}

static void what_is_young_does_not_decay(void) {
    struct large *row = take_row(3, 3);
    span_give(&row[1].span);
    span_decay(os_coarse_ms());
    CHECK_EQUAL(spans.dirty_units, 3);
    spans_set_decay(0);
    span_give(&row[0].span);
    span_decay(os_coarse_ms());
    CHECK_EQUAL(spans.dirty_units, os_purge_zeroes() ? 0 : 6);
    CHECK_VALID();
}

/* A joined span is as old as its largest dirty part. */
static void neighbours_share_the_age_of_the_largest(void) {
    enum { OLD = 5 };
    struct large *row = take_row(4, 4);
    span_give(&row[1].span);
    free_span_of(row[1].span.first)->freed_ms = OLD;
    span_shrink(&row[0].span, 3);
    CHECK_EQUAL(free_span_of(3)->span.units, 5);
    CHECK_EQUAL(free_span_of(3)->freed_ms, OLD);

    struct large rest = {.span = {.first = row[2].span.first + 2, .units = 2}};
    row[2].span.units = 2; /* cut in two, so that a short span can be freed beside a longer one */
    window.spans[rest.span.first] = window.spans[rest.span.first + 1] = &rest.span;
    spans.taken++;
    span_give(&row[2].span);
    CHECK_EQUAL(free_span_of(3)->span.units, 7);
    CHECK_EQUAL(free_span_of(3)->freed_ms, OLD);
    span_give(&rest.span);
    CHECK_EQUAL(free_span_of(3)->freed_ms, OLD);
    free_span_of(3)->freed_ms = OLD;
    span_give(&row[0].span);
    span_give(&row[3].span);
    CHECK_EQUAL(spans.dirty_units, 16);
    CHECK_EQUAL(free_span_of(0)->freed_ms, OLD);
    CHECK_VALID();
}

static void decay_what_is_due(void) {
    while (spans.due_ms == 0) {
        span_decay(os_coarse_ms());
    }
}

/* Memory that was live a moment ago may stay dirty; when the peak is forgotten, an eighth of what is live, and 32 MiB
 * in any case; what was freed first goes back first. */
static void dirty_memory_is_capped(void) {
    enum { COUNT = 6000 };
    struct large *row = take_row(COUNT, 1);
    need_purging();
    for (size_t i = 0; i < COUNT / 2; i += 2) {
        span_give(&row[i].span);
    }
    CHECK_EQUAL(spans.dirty_units, COUNT / 4);
    for (size_t i = COUNT / 2; i < COUNT; i += 2) {
        spans.peak = spans.peak_before = 0;
        span_give(&row[i].span);
        decay_what_is_due();
        CHECK_AT_MOST(spans.dirty_units, (spans.live_units + 1) / 8 >= 512 ? (spans.live_units + 1) / 8 + 1 : 512);
        CHECK(spans.dirty_units >= 400); /* nor is it all purged */
    }
    size_t oldest_dirty = COUNT / 2 - spans.dirty_units;
    for (size_t i = 0; i < COUNT; i += 2) {
        CHECK_EQUAL(page_map_load(i), i / 2 < oldest_dirty ? UNIT_FRESH : UNIT_DIRTY);
    }
    CHECK_VALID();
}

/* The same after a part of the decay time, in which no more than `taken` dirty units are used. */
static void decay_quietly(size_t taken) {
    static uint64_t passed_ms;
    struct large user;
    bool zero;
    passed_ms += spans.decay_ms / 8;
    const uint64_t now_ms = os_coarse_ms() + passed_ms;
    for (size_t i = 0; i < taken; i++) {
        spans.now_ms = now_ms;
        CHECK(span_take(&user.span, 1, 1, UNIT_PART, &zero));
        span_give(&user.span);
    }
    do {
        span_decay(now_ms);
    } while (spans.due_ms <= now_ms);
}

/* Whether the system takes memory that was never touched back at once. */
static void need_quick_purging(const struct span *span) {
    uint64_t quickest_us = UINT64_MAX;
    need_purging();
    for (unsigned i = 0; i < 10; i++) {
        const uint64_t start_us = os_fine_us();
        os_purge(window_address(span->first), 16 * UNIT);
        const uint64_t took_us = os_fine_us() - start_us;
        quickest_us = took_us < quickest_us ? took_us : quickest_us;
    }
    if (UNDER_TSAN || quickest_us > 2) { /* TSan makes what is done between the purges slow */
        child_cannot();
    }
}

/* Dirty memory that the program never touched goes back in long pieces, unless the thread has to wait meanwhile. */
static void quick_purges_take_more_at_a_time(void) {
    enum { UNITS = 4096, PIECE = 16, TRIES = 100 };
    struct large *row = take_row(2, UNITS);
    bool zero;
    need_quick_purging(&row[1].span);
    uint64_t fewest = UINT64_MAX;
    for (unsigned i = 0; i < TRIES && fewest > UNITS / PIECE; i++) {
        const uint64_t purges = spans.purges;
        const uint64_t purged_units = spans.purged_units;
        span_give(&row[0].span);
        while (spans.dirty_units != 0) {
            span_decay(os_coarse_ms() + DECAY);
        }
        CHECK_EQUAL(spans.purged_units - purged_units, UNITS);
        fewest = spans.purges - purges < fewest ? spans.purges - purges : fewest;
        CHECK(span_take(&row[0].span, UNITS, 1, UNIT_PART, &zero));
    }
    CHECK_AT_MOST(fewest, UNITS / PIECE);
    CHECK_VALID();
}

/* Spans unused for a part of the decay time go back, except as much as was needed again before. */
static void dirty_memory_that_nobody_uses_goes_back_early(void) {
    enum { COUNT = 200, LEAST = 16, PIECE = 8 };
    static const struct round {
        size_t freed;
        size_t kept;
    } rounds[] = {{COUNT / 2, LEAST}, {COUNT / 2, COUNT / 2}, {COUNT, COUNT / 2}, {COUNT, COUNT}};
    struct large *row = take_row(COUNT, 1);
    bool zero;
    need_purging();
    spans.period_ms = os_coarse_ms(); /* no period ends meanwhile, however long the machine has been up */
    for (size_t round = 0; round < sizeof rounds / sizeof *rounds; round++) {
        for (size_t i = 0; i < rounds[round].freed; i++) {
            span_give(&row[i].span);
        }
        decay_quietly(0);
        CHECK_AT_MOST(spans.dirty_units, rounds[round].kept + PIECE);
        CHECK_AT_MOST(rounds[round].kept, spans.dirty_units + PIECE);
        for (size_t i = 0; i < rounds[round].freed; i++) {
            CHECK(span_take(&row[i].span, 1, 1, UNIT_PART, &zero));
        }
        CHECK_VALID();
    }
    /* In time it is forgotten. */
    const size_t kept = spans.kept_units;
    spans_begin_period(spans.period_ms + spans.decay_ms);
    CHECK(spans.kept_units < kept && spans.kept_units >= kept * 3 / 4);
}

/* While some of it is used, none goes back before its time. */
static void dirty_memory_that_is_used_stays(void) {
    enum { COUNT = 200 };
    struct large *row = take_row(COUNT, 1);
    need_purging();
    for (size_t i = 0; i < COUNT; i++) {
        span_give(&row[i].span);
    }
    for (size_t round = 0; round < 4; round++) {
        decay_quietly(COUNT / 4);
        CHECK_EQUAL(spans.dirty_units, COUNT);
    }
    CHECK_VALID();
}

/* However much is due, one call gives back what takes a fraction of a millisecond; the calls after it go on. */
static void the_work_of_a_call_is_bounded(void) {
    enum { COUNT = 3, UNITS = 16384 }; /* 1 GiB each */
    struct large *row = take_row(COUNT, UNITS);
    need_purging();
    uint64_t calls = os_inject_calls(OS_CALL_MADVISE);
    span_give(&row[0].span);
    CHECK_EQUAL(os_inject_calls(OS_CALL_MADVISE), calls); /* to give takes no system call */
    unsigned passes = 0;
    for (; spans.dirty_units != 0; passes++) {
        size_t before = spans.dirty_units;
        span_decay(os_coarse_ms() + DECAY);
        CHECK(spans.dirty_units < before);
        if ((passes & (passes - 1)) == 0) { /* it takes long, and a busy machine needs many passes */
            CHECK_VALID();
        }
    }
    CHECK_VALID();
    CHECK(passes > 3);
    CHECK_EQUAL(page_map_count(0, UNITS, UNIT_FRESH), UNITS);
    CHECK_EQUAL(list_length(&spans.aging), 0);
}

/* What is purged early is as much on a fast machine: where the next blocks lie depends on it. */
static void a_call_without_haste_purges_few_units(void) {
    enum { UNITS = 4096, MOST = 64 };
    struct large *row = take_row(2, UNITS);
    need_purging();
    span_give(&row[0].span);
    spans.peak = spans.peak_before = 0; /* so it is too much, though not old */
    spans_set_due();
    CHECK_EQUAL(spans.due_ms, 0);
    span_decay(os_coarse_ms());
    CHECK(spans.purged_units != 0);
    CHECK_AT_MOST(spans.purged_units, MOST);
    CHECK_VALID();
}

/* The smallest span that fits is taken, however many are a little smaller, and of equal ones the first. */
static void the_best_fit_is_found_among_many(void) {
    enum { COUNT = 3000 };
    struct large *row = take_row(2 * COUNT, 7);
    struct large best = {0};
    bool zero;
    for (size_t i = 0; i < COUNT; i++) {
        size_t units = i == 1234 || i == 2345 ? 6 : 5;
        span_shrink(&row[2 * i].span, 7 - units);
    }
    CHECK(span_take(&best.span, 6, 1, UNIT_PART, &zero));
    CHECK_EQUAL(best.span.first, 2 * 1234 * 7 + 1);
    CHECK_VALID();
}

/* A peak counts for the rest of its period and the whole of the next one. */
static void a_peak_is_forgotten(void) {
    struct large *row = take_row(100, 1);
    span_give(&row[0].span);
    CHECK_EQUAL(spans.peak, 100);
    spans.period_ms -= spans.decay_ms;
    span_give(&row[2].span);
    CHECK_EQUAL(spans.peak_before, 100);
    CHECK_EQUAL(spans.peak, 99);
    spans.period_ms -= 2 * (uint64_t)spans.decay_ms;
    span_give(&row[4].span);
    CHECK_EQUAL(spans.peak_before, 0);
    CHECK_EQUAL(spans.peak, 98);
}

static void a_refused_purge_keeps_everything_usable(void) {
    enum { COUNT = 600 };
    struct large *row = take_row(COUNT, 1);
    bool zero;
    for (size_t i = 0; i < COUNT; i++) {
        *unit_first_word(i) = 1;
    }
    os_inject(OS_CALL_MADVISE, 0, UINT64_MAX, EPERM);
    os_inject(OS_CALL_MMAP, 0, UINT64_MAX, ENOMEM);
    for (size_t i = 0; i < COUNT; i += 2) {
        span_give(&row[i].span);
    }
    CHECK_EQUAL(span_purge_all(), 0);
    spans_set_decay(0);
    span_decay(os_coarse_ms());
    CHECK_EQUAL(spans.dirty_units, COUNT / 2);
    CHECK_EQUAL(spans.purges, 0);
    CHECK_VALID();
    CHECK(span_take(&row[0].span, 1, 1, UNIT_PART, &zero));
    CHECK(!zero);
    span_give(&row[0].span);
    CHECK_VALID();
    os_inject_clear();
    need_purging();
    CHECK_EQUAL(span_purge_all(), COUNT / 2 * UNIT);
    CHECK_EQUAL(spans.dirty_units, 0);
    CHECK(span_take(&row[0].span, 1, 1, UNIT_PART, &zero));
    CHECK(zero);
    CHECK_EQUAL(*unit_first_word(row[0].span.first), 0);
    CHECK_VALID();
}

/* The pages of the live map that tell of a purged span alone go with it; the others stay. */
static void the_live_map_is_purged_too(void) {
    enum { UNITS = 64 };
    static unsigned char before[UNITS], after[UNITS];
    size_t page = os_page_size();
    struct large *row = take_row(3, UNITS);
    need_purging();
    for (size_t unit = 0; unit < 3 * UNITS; unit++) {
        live_set(window_address(unit));
    }
    for (size_t unit = UNITS; unit < 2 * UNITS; unit++) {
        CHECK(live_end(window_address(unit)));
    }
    uintptr_t map = (uintptr_t)window.live_map;
    char *start = (char *)round_up(map + UNITS * LIVE_MAP_BYTES, page);
    char *end = (char *)round_down(map + 2 * UNITS * LIVE_MAP_BYTES, page);
    if (start >= end || mincore(start, (size_t)(end - start), before) != 0 || (before[0] & 1) == 0) {
        child_cannot();
    }
    span_give(&row[1].span);
    span_purge_all();
    CHECK_EQUAL(mincore(start, (size_t)(end - start), after), 0);
    for (size_t i = 0; i < (size_t)(end - start) / page; i++) {
        CHECK_EQUAL(after[i] & 1, 0);
    }
    for (size_t unit = 0; unit < 3 * UNITS; unit++) {
        CHECK_EQUAL(live_end(window_address(unit)), unit < UNITS || unit >= 2 * UNITS);
    }
    CHECK_VALID();
}

/* The others go back all the same. */
static void a_span_that_is_refused_does_not_keep_the_others(void) {
    enum { COUNT = 7 };
    struct large *row = take_row(COUNT, 1);
    for (size_t i = 0; i < COUNT; i += 2) {
        *unit_first_word(i) = 1;
        span_give(&row[i].span);
    }
    need_purging();
    os_inject(OS_CALL_MADVISE, 0, 1, EINVAL);
    os_inject(OS_CALL_MMAP, 0, 1, ENOMEM);
    CHECK_EQUAL(span_purge_all(), COUNT / 2 * UNIT);
    os_inject_clear();
    CHECK_EQUAL(spans.dirty_units, 1);
    CHECK_VALID();
}

/* There is no memory while spans fall apart into as many pieces as possible. */
static void descriptors_suffice_to_give_everything_back(void) {
    enum { COUNT = 500 };
    struct large *row = take_row(COUNT, 3);
    os_inject(OS_CALL_MPROTECT, 0, UINT64_MAX, ENOMEM);
    for (size_t i = 0; i < COUNT; i++) {
        span_shrink(&row[i].span, 2);
    }
    CHECK_VALID();
    for (size_t i = 0; i < COUNT; i++) {
        span_shrink(&row[i].span, 1);
    }
    CHECK_VALID();
    for (size_t i = 0; i < COUNT; i += 2) {
        span_give(&row[i].span);
    }
    CHECK_VALID();
    for (size_t i = 1; i < COUNT; i += 2) {
        span_give(&row[i].span);
    }
    CHECK_VALID();
    CHECK_EQUAL(spans.free_units, COUNT * 3);
    CHECK_EQUAL(spans.taken, 0);
}

static void lost_units_are_never_used_again(void) {
    enum { LOST = 4 };
    struct large *row = take_row(9, 2);
    struct large more[64];
    bool zero;
    span_lose(&row[LOST].span);
    CHECK_VALID();
    for (size_t i = 0; i < 9; i++) {
        if (i != LOST) {
            span_give(&row[i].span);
            CHECK_VALID();
        }
    }
    CHECK_EQUAL(spans.lost_units, 2);
    CHECK_EQUAL(spans.live_units, 0);
    for (size_t i = 0; i < 64; i++) {
        more[i] = (struct large){0};
        CHECK(span_take(&more[i].span, 1, 1, UNIT_PART, &zero));
        CHECK(more[i].span.first / 2 != LOST);
    }
    CHECK_EQUAL(page_map_count(2 * LOST, 2, UNIT_LOST), 2);
    CHECK_VALID();
}

static void a_window_can_be_used_to_its_last_unit(void) {
    enum { COUNT = 64 };
    struct large *row = take_row(COUNT, 1);
    struct large whole = {0};
    bool zero;
    CHECK_EQUAL(window.units_reserved, COUNT);
    CHECK(!span_take(&whole.span, 1, 1, UNIT_PART, &zero));
    CHECK(!span_grow(&row[COUNT - 1].span, 2, UNIT_PART));
    CHECK_VALID();
    for (size_t i = 0; i < COUNT; i++) {
        span_give(&row[i * 37 % COUNT].span);
        CHECK_VALID();
    }
    CHECK(!span_take(&whole.span, COUNT + 1, 1, UNIT_PART, &zero));
    CHECK(!span_take(&whole.span, (size_t)1 << 40, 1, UNIT_PART, &zero));
    CHECK(span_take(&whole.span, COUNT, 1, UNIT_PART, &zero));
    CHECK_EQUAL(whole.span.first, 0);
    CHECK_VALID();
}

static void a_free_span_is_found_around_its_units(void) {
    struct large *row = take_row(8, 3);
    span_give(&row[1].span);
    span_give(&row[2].span);
    span_give(&row[5].span);
    span_purge_all();
    for (size_t unit = 0; unit < 24; unit++) {
        size_t user = unit / 3;
        const struct free_span *around = span_around(unit);
        bool is_free = user == 1 || user == 2 || user == 5;
        CHECK_EQUAL(around != NULL, is_free);
        CHECK(!is_free || around->span.first == (user == 5 ? 15 : 3));
        CHECK(!is_free || around->span.units == (user == 5 ? 3 : 6));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH_WITH(random_operations_agree_with_an_array, UNDECAYED),
        FRESH_WITH(an_aligned_span_at_the_top_fits_where_it_may, UNDECAYED),
        FRESH_WITH(aligned_spans_find_their_places_again, UNDECAYED),
        FRESH_WITH(what_is_old_enough_decays, "decay_ms=1000000"),
        FRESH_WITH(what_is_young_does_not_decay, UNDECAYED),
        FRESH_WITH(neighbours_share_the_age_of_the_largest, UNDECAYED),
        FRESH_WITH(dirty_memory_is_capped, UNDECAYED),
        FRESH_WITH(dirty_memory_that_nobody_uses_goes_back_early, "decay_ms=60000"),
        FRESH_WITH(dirty_memory_that_is_used_stays, "decay_ms=60000"),
        FRESH_WITH(the_work_of_a_call_is_bounded, "decay_ms=1000000"),
        FRESH_WITH(a_call_without_haste_purges_few_units, "decay_ms=1000000"),
        FRESH_WITH(quick_purges_take_more_at_a_time, "decay_ms=1000000"),
        FRESH_WITH(the_best_fit_is_found_among_many, UNDECAYED),
        FRESH_WITH(a_peak_is_forgotten, UNDECAYED),
        FRESH_WITH(a_refused_purge_keeps_everything_usable, UNDECAYED),
        FRESH_WITH(the_live_map_is_purged_too, UNDECAYED),
        FRESH_WITH(a_span_that_is_refused_does_not_keep_the_others, UNDECAYED),
        FRESH_WITH(descriptors_suffice_to_give_everything_back, UNDECAYED),
        FRESH_WITH(lost_units_are_never_used_again, UNDECAYED),
        FRESH_WITH(a_window_can_be_used_to_its_last_unit, UNDECAYED ",window=4m"),
        FRESH_WITH(a_free_span_is_found_around_its_units, UNDECAYED),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
