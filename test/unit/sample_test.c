/*
 * sample_test.c - sampled blocks: guarded, claimed by one thread, kept in quarantine and for the peak; what the kernel
 * refuses; a fork in the middle.
 */
#include "support/fresh.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/exponential.h"
#include "engine/heaps/heap.h"
#include "engine/heaps/sample_points.h"
#include "engine/memory/guard_limits.h"
#include "engine/memory/huge.h"
#include "engine/memory/large.h"
#include "engine/memory/span.h"
#include "engine/memory/span_age.h"
#include "engine/modes/sampled_block.h"
#include "engine/reports/profile.h"
#include "engine/reports/stats.h"
#include "engine/samples/sample.h"
#include "engine/slabs/lookup.h"
#include "engine/tables/holding.h"
#include "os/os.h"
#include "support/clock.h"
#include "support/engine_heap.h"
#include "support/engine_locked.h"
#include "support/kernel.h"
#include "support/model.h"
#include "support/thread.h"

static struct sample *sample_of(void *block) {
    CHECK_EQUAL(page_map_load(window_unit(block)), UNIT_SAMPLES);
    struct sample *sample = sample_at(block);
    CHECK(sample != NULL && sample->start == (uintptr_t)block);
    return sample;
}

static bool is_sampled(void *block) {
    return window_holds(block) && page_map_load(window_unit(block)) == UNIT_SAMPLES;
}

static sigjmp_buf before_fault;

static void go_back(int number) {
    siglongjmp(before_fault, number);
}

/* Whether touching a byte is a fault. */
static bool faults(volatile char *byte) {
    struct sigaction usual;
    const struct sigaction action = {.sa_handler = go_back};
    volatile bool faulted = true;
    CHECK(sigaction(SIGSEGV, &action, &usual) == 0);
    if (sigsetjmp(before_fault, 1) == 0) {
        *byte = 1;
        faulted = false;
    }
    CHECK(sigaction(SIGSEGV, &usual, NULL) == 0);
    return faulted;
}

static void random_operations_keep_every_block(void) {
    static struct model model = {.allocator = &allocator, .stride = 512};
    errno = EDOM;
    for (unsigned step = 0; step < (SLOW > 1 ? 2000 : 20000); step++) {
        size_t i = random_below(&fresh_random, MODEL_BLOCKS);
        enum model_operation operation = (enum model_operation)random_below(&fresh_random, MODEL_TRIM);
        unsigned bits = random_below(&fresh_random, 50) == 0 ? 22 : 14;
        size_t size = random_below(&fresh_random, (size_t)1 << random_below(&fresh_random, bits));
        model_step(&model, operation, i, size, (size_t)1 << random_below(&fresh_random, 19));
        if (step % 5000 == 0) {
            engine_trim();
        }
        if (step % 20 == 0) {
            CHECK_VALID();
        }
    }
    model_free_all(&model);
    CHECK(samples.number != 0);
    CHECK_EQUAL(samples.live, 0);
    CHECK_EQUAL(engine_option_set("sample", "0"), 0);
    engine_free(engine_alloc(MIB));
    engine_trim();
    CHECK_VALID();
    CHECK_EQUAL(errno, EDOM);
}

/* --- Guards ------------------------------------------------------------------------------------------------------- */

static void the_byte_behind_the_last_granule_faults(void) {
    for (size_t size = 0; size <= SMALL_MAX; size = size * 3 / 2 + 7) {
        for (size_t alignment = 1; alignment <= OS_PAGE; alignment *= 64) {
            char *block = engine_alloc_aligned(alignment, size);
            const size_t step = alignment > 16 ? alignment : 16;
            CHECK(sample_of(block)->size == size && (uintptr_t)block % step == 0);
            CHECK_EQUAL(engine_usable_size("malloc_usable_size", block), size);
            memset(block, 1, size);
            char *end = block + round_up(size != 0 ? size : 1, step);
            CHECK_EQUAL((uintptr_t)end % os_page_size(), 0);
            CHECK(faults(end));
            engine_free(block);
            CHECK(faults(block));
        }
    }
    CHECK_EQUAL(guarded_table.unguarded, 0);
}

static void the_page_behind_a_large_or_huge_block_faults(void) {
    const size_t sizes[] = {40000, 100 * KIB + 1, 3 * MIB + 5, 65 * MIB + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *block = engine_alloc(sizes[i]);
        CHECK(faults(block + round_up(sizes[i], os_page_size())));
        memset(block, 1, engine_usable_size("malloc_usable_size", block));
        block = engine_realloc("realloc", block, 2 * sizes[i]);
        memset(block + sizes[i], 2, sizes[i]);
        CHECK(faults(block + round_up(2 * sizes[i], os_page_size())));
        CHECK_EQUAL(block[sizes[i] - 1], 1);
        block = engine_realloc("realloc", block, sizes[i] / 2);
        CHECK_VALID();
        engine_free(block);
        CHECK_EQUAL(samples.live, 0);
    }
    /* The next blocks in the same places have no guard in them. */
    CHECK_EQUAL(engine_option_set("sample", "0"), 0);
    for (size_t size = 40000; size < 8 * MIB; size = size * 3 / 2) {
        char *block = engine_alloc(size);
        memset(block, 1, size);
        engine_free(block);
    }
}

static void write_behind_the_end(void) {
    char *block = engine_alloc(20);
    *(volatile char *)(block + 22) = 0;
    engine_free(block);
}

static void free_twice(void) {
    void *block = engine_alloc(20);
    engine_free(block);
    engine_free(block);
}

static void free_inside(void) {
    char *block = engine_alloc(200);
    engine_free(block + 16);
}

static void free_as_another_size(void) {
    engine_free_sized("free_sized", engine_alloc(20), 24, 0);
}

static void resize_freed(void) {
    void *block = engine_alloc(2000);
    engine_free(block);
    (void)engine_realloc("realloc", block, 10);
}

static void zeroed_blocks_are_zero(void) {
    for (int round = 0; round < 3; round++) {
        char *blocks[100];
        for (size_t i = 0; i < 100; i++) {
            blocks[i] = engine_alloc_zeroed(1, i * 300);
            for (size_t at = 0; at < i * 300; at++) {
                CHECK(blocks[i][at] == 0);
            }
            memset(blocks[i], 1, i * 300);
        }
        for (size_t i = 0; i < 100; i++) {
            engine_free(blocks[i]);
        }
    }
}

static void a_freed_block_stays_in_quarantine(void) {
    void *first = engine_alloc(100);
    engine_free(first);
    for (unsigned i = 0; i < QUARANTINE_MAX - 1; i++) {
        void *block = engine_alloc(100);
        CHECK(block != first);
        engine_free(block);
    }
    CHECK_EQUAL(block_at(first).state, BLOCK_STATE_FREE);
    CHECK_EQUAL(block_at(first).size, 100);
    CHECK_VALID();
    /* The next one comes out. */
    engine_free(engine_alloc(100));
    bool again = false;
    for (unsigned i = 0; i < QUARANTINE_MAX && !again; i++) {
        void *block = engine_alloc(100);
        again = block == first;
        engine_free(block);
    }
    CHECK(again);
}

/* The freed samples have half of the window. */
static void the_quarantine_ends_before_an_allocation_fails(void) {
    for (unsigned i = 0; i < QUARANTINE_MAX; i++) {
        engine_free(engine_alloc(SMALL_MAX));
    }
    CHECK_EQUAL(samples.quarantined, QUARANTINE_MAX);
    CHECK(guarded_table.bytes >= 32 * MIB);
    os_inject(OS_CALL_MMAP, 0, UINT64_MAX, ENOMEM);
    char *block = engine_alloc(40 * MIB);
    os_inject_clear();
    CHECK(block != NULL && window_holds(block));
    memset(block, 1, 40 * MIB);
    CHECK_EQUAL(samples.quarantined, 0);
    CHECK_VALID();
    engine_free(block);
}

/* --- Two threads -------------------------------------------------------------------------------------------------- */

static _Atomic unsigned claimed;
static pthread_barrier_t start;

static void *claim_all(void *argument) {
    struct sample **them = argument;
    for (unsigned i = 0; i < 2000; i++) {
        pthread_barrier_wait(&start);
        claimed += sample_claim(them[i]);
    }
    return NULL;
}

static void of_two_threads_one_claims_a_sample(void) {
    static struct sample *them[2000];
    for (unsigned i = 0; i < 2000; i++) {
        them[i] = sample_of(engine_alloc(16));
    }
    pthread_t thread;
    CHECK(pthread_barrier_init(&start, NULL, 2) == 0);
    CHECK(pthread_create(&thread, NULL, claim_all, them) == 0);
    claim_all(them);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_EQUAL(claimed, 2000);
}

static void *free_it(void *block) {
    engine_free(block);
    return NULL;
}

static void any_thread_frees_a_sample(void) {
    struct sample *sample = sample_of(engine_alloc(100));
    thread_run(free_it, (void *)sample->start);
    CHECK_EQUAL(sample->state, SAMPLE_DEAD);
    CHECK_EQUAL(sample->freed.thread, 0); /* it had no heap */
    CHECK(sample->freed.pointer != sample->allocated.pointer && sample->freed.stack != NULL);
    CHECK_EQUAL(sample->allocated.thread, heap_mine->thread_number);
    CHECK_VALID();
}

/* --- What the kernel refuses -------------------------------------------------------------------------------------- */

/* Emulators and older kernels have none. */
static void need_guards_of_the_kernel(void) {
    void *page;
    CHECK(os_map(os_page_size(), os_page_size(), &page) == 0);
    if (os_guard(page, os_page_size()) != 0) {
        child_cannot();
    }
    CHECK(os_unmap(page, os_page_size()) == 0);
}

static void guards_are_mappings(void) {
    os_inject(OS_CALL_MADVISE, 0, UINT64_MAX, EINVAL);
    char *block = engine_alloc(100);
    CHECK(faults(block + 112));
    const uint32_t mappings = guarded_table.mappings;
    CHECK_EQUAL(mappings, 2 * GUARDED_CELLS_MAX - 1);
    engine_free(block);
    CHECK(faults(block));
    CHECK_EQUAL(guarded_table.mappings, mappings + 1);
    os_inject_clear();
    CHECK_VALID();
}

static void beyond_the_bound_blocks_have_no_guard_and_are_counted(void) {
    os_inject(OS_CALL_MADVISE, 0, UINT64_MAX, EINVAL);
    for (unsigned i = 0; i < SAMPLE_GUARDS_MAX + 50; i++) {
        memset(engine_alloc(100), 1, 100);
    }
    CHECK_EQUAL(guarded_table.mappings, SAMPLE_GUARDS_MAX);
    CHECK_EQUAL(guarded_table.unguarded, 50);
    os_inject_clear();
    CHECK_VALID();
}

/* No memory needs to be made accessible from now on. */
static void make_accessible(void) {
    engine_free(engine_alloc(32 * MIB));
    engine_trim();
}

static void where_nothing_can_be_guarded_blocks_are_used_all_the_same(void) {
    make_accessible();
    os_inject(OS_CALL_MADVISE, 0, UINT64_MAX, EINVAL);
    os_inject(OS_CALL_MPROTECT, 0, UINT64_MAX, ENOMEM);
    for (unsigned i = 0; i < 2 * QUARANTINE_MAX; i++) {
        char *block = engine_alloc_zeroed(1, 100);
        for (unsigned at = 0; at < 100; at++) {
            CHECK(block[at] == 0);
        }
        memset(block, 1, 100);
        engine_free(block);
    }
    CHECK(guarded_table.unguarded != 0);
    CHECK_EQUAL(guarded_table.mappings, 0);
    os_inject_clear();
    CHECK_VALID();
}

/* A cell whose guard stays is passed over: the block is none of the samples. */
static void a_cell_that_stays_closed_is_not_used(void) {
    need_guards_of_the_kernel();
    for (unsigned i = 0; i < 2 * QUARANTINE_MAX; i++) {
        engine_free(engine_alloc(100));
    }
    const uint64_t missed = samples.missed;
    os_inject(OS_CALL_MADVISE, 0, UINT64_MAX, ENOMEM);
    char *block = engine_alloc(100);
    memset(block, 1, 100);
    CHECK(!is_sampled(block));
    CHECK_EQUAL(samples.missed, missed + 1);
    os_inject_clear();
    engine_free(block);
    CHECK_VALID();
}

/* Neither freed blocks in quarantine nor cells that none has are in use, as mallinfo2 and statistics have it. */
static void what_samples_keep_is_not_live(void) {
    char *blocks[50];
    struct mems_engine_stats stats;
    for (unsigned i = 0; i < 50; i++) {
        blocks[i] = engine_alloc(100);
        CHECK(is_sampled(blocks[i]));
    }
    stats_collect(&stats);
    CHECK_EQUAL(stats.live, 50 * os_page_size());
    CHECK_EQUAL(stats.sampled_blocks, 50);
    CHECK_EQUAL(stats.sampled_bytes, stats.live);
    for (unsigned i = 0; i < 50; i++) {
        engine_free(blocks[i]);
    }
    stats_collect(&stats);
    CHECK_EQUAL(stats.live, 0);
    CHECK_EQUAL(stats.sampled_blocks, 0);
    CHECK(stats.quarantined >= 50 * 2 * os_page_size());
    CHECK(stats.slack < UNIT);
}

/* A span that another block has used and dirtied gives up that memory, but for the pages of live samples. */
static void cells_without_a_block_hold_no_memory(void) {
    struct span dirty;
    bool zero;
    engine_free(engine_alloc(100));                    /* starts the engine, and takes cells of another kind */
    CHECK(span_take(&dirty, 16, 1, UNIT_PART, &zero)); /* also for the slab of the block that a sample replaces */
    memset(window_address(dirty.first), 1, 16 * UNIT);
    const size_t first = dirty.first;
    span_give(&dirty);
    char *block = engine_alloc(2 * os_page_size());
    CHECK(is_sampled(block));
    const size_t unit = window_unit(block);
    CHECK(unit > first && unit < first + 16);
    memset(block, 1, 2 * os_page_size());
    CHECK(present_bytes(window_address(unit), UNIT) <= 2 * os_page_size());
    engine_free(block);
    CHECK_VALID();
}

/* Nobody else may have memory with a guard in it. */
static void a_large_block_whose_guard_stays_is_not_used_again(void) {
    need_guards_of_the_kernel();
    char *block = engine_alloc(100 * KIB);
    memset(block, 7, 100 * KIB);
    os_inject(OS_CALL_MADVISE, 0, UINT64_MAX, ENOMEM);
    char *moved = engine_realloc("realloc", block, 101 * KIB);
    CHECK(moved != block && moved[100 * KIB - 1] == 7);
    os_inject_clear();
    CHECK_EQUAL(engine_option_set("sample", "0"), 0);
    engine_free(moved);
    for (unsigned i = 0; i < 100; i++) {
        char *other = engine_alloc(100 * KIB + i * KIB);
        CHECK(other != block);
        memset(other, 1, 100 * KIB + i * KIB);
    }
    CHECK_VALID();
}

static void spans_are_given_back_without_their_guards(void) {
    void *blocks[200];
    for (unsigned i = 0; i < 200; i++) {
        blocks[i] = engine_alloc(100);
    }
    CHECK_EQUAL(engine_option_set("sample", "0"), 0);
    engine_free(engine_alloc(MIB));
    for (unsigned i = 0; i < 200; i++) {
        engine_free(blocks[i]);
    }
    CHECK_EQUAL(engine_option_set("sample", "1"), 0);
    engine_free(engine_alloc(MIB));
    for (unsigned i = 0; i < QUARANTINE_MAX; i++) {
        engine_free(engine_alloc(20000)); /* of another kind: those of a page come out of quarantine */
    }
    const uint32_t before = guarded_table.spans;
    engine_trim();
    CHECK(guarded_table.spans < before);
    CHECK_VALID();
    CHECK_EQUAL(engine_option_set("sample", "0"), 0);
    engine_free(engine_alloc(MIB));
    memset(engine_alloc(30 * MIB), 1, 30 * MIB);
}

static void without_memory_for_a_record_there_is_no_sample(void) {
    void *first = engine_alloc(16);
    while (first != NULL) {
        first = engine_alloc(16);
    }
    CHECK(samples.missed != 0);
    CHECK_VALID();
}

/* --- What is counted ---------------------------------------------------------------------------------------------- */

static void the_peak_is_all_that_was_live_then(void) {
    void *blocks[30];
    for (unsigned i = 0; i < 20; i++) {
        blocks[i] = engine_alloc(1000);
    }
    CHECK_EQUAL((uint64_t)samples.peak_bytes, 20000);
    const uint64_t peak = samples.peak_number;
    for (unsigned i = 0; i < 10; i++) {
        engine_free(blocks[i]);
    }
    CHECK_EQUAL(list_length(&samples.died), 10);
    blocks[0] = engine_alloc(1000);
    engine_free(blocks[0]); /* after the peak, and gone before the next */
    CHECK_EQUAL(list_length(&samples.died), 10);
    CHECK_EQUAL(samples.peak_number, peak);
    for (unsigned i = 0; i < 10; i++) {
        blocks[i] = engine_alloc(1001);
    }
    CHECK_EQUAL((uint64_t)samples.peak_bytes, 20010);
    CHECK_EQUAL(list_length(&samples.died), 0);
    CHECK_EQUAL(samples.allocated.samples, 31);
    CHECK_EQUAL(samples.freed.samples, 11);
    CHECK_VALID();
}

/* The estimates of a long run are near what was allocated, in blocks and in bytes, whatever their sizes. */
static void estimates_are_near_the_truth(void) {
    double bytes = 0;
    double blocks = 0;
    for (unsigned i = 0; i < (SLOW > 1 ? 300000 : 3000000); i++) {
        size_t size = random_below(&fresh_random, (size_t)1 << random_below(&fresh_random, 10)) + 1;
        engine_free(engine_alloc(size));
        bytes += (double)size;
        blocks++;
    }
    const double bytes_off = samples.allocated.bytes - bytes;
    const double blocks_off = samples.allocated.blocks - blocks;
    CHECK(samples.number > (SLOW > 1 ? 1000 : 10000));
    CHECK(bytes_off * bytes_off < 25 * samples.allocated.bytes_variance);
    CHECK(blocks_off * blocks_off < 25 * samples.allocated.blocks_variance);
}

/* Requests as many bytes as it takes until the thread has noticed. */
static void beat(void) {
    for (size_t bytes = 0; bytes <= HEAP_BEAT; bytes += 1000) {
        engine_free(engine_alloc(1000));
    }
}

/* Makes the heap hold this many MiB more, without a sample, and lets the thread notice. */
static char *hold(size_t mib) {
    const uint64_t interval = atomic_exchange(&samples.interval, 0);
    beat();
    char *large = engine_alloc(mib * MIB);
    atomic_store(&samples.interval, interval);
    beat();
    return large;
}

static void a_heap_is_sampled_once_it_has_held_enough(void) {
    engine_free(engine_alloc(100));
    char *large = hold(SAMPLE_BEGIN_HELD - 1);
    CHECK_EQUAL(heap_mine->interval, 0);
    CHECK_EQUAL(samples.held_before, 0);
    engine_free(large);
    large = hold(SAMPLE_BEGIN_HELD);
    CHECK_EQUAL(heap_mine->interval, SAMPLE_SMALL_TIMES * MIB);
    CHECK(samples.held_before >= SAMPLE_BEGIN_HELD * MIB && samples.held_before <= holding_held() + 1);
    engine_free(large);
    engine_trim();
    beat();
    CHECK(heap_mine->interval != 0);
}

/* A core by gcore has what is behind these. */
static void guards_of_rare_samples_are_mappings(void) {
    engine_free(engine_alloc(100));
    char *large = hold(SAMPLE_BEGIN_HELD);
    char *block = engine_alloc(1000);
    while (!is_sampled(block)) {
        engine_free(block);
        block = engine_alloc(1000);
    }
    CHECK(guarded_table.mappings >= GUARDED_CELLS_MAX);
    CHECK_EQUAL(sample_of(block)->cell.of->behind[0], GUARD_CLOSED);
    CHECK(faults(block + 1008));
    engine_free(block);
    CHECK(faults(block));
    engine_free(large);
    CHECK_VALID();
}

/* Its samples are farther apart, and stand for more. */
static void a_small_heap_has_fewer_samples(void) {
    const uint64_t interval = MIB;
    engine_free(engine_alloc(100));
    char *large = hold(SAMPLE_SMALL_HELD);
    CHECK_EQUAL(heap_mine->interval, interval);
    engine_free(large);
    engine_trim();
    beat();
    CHECK_EQUAL(heap_mine->interval, SAMPLE_SMALL_TIMES * interval);
    for (;;) {
        char *block = engine_alloc(1000);
        if (is_sampled(block)) {
            CHECK_EQUAL(sample_of(block)->interval, SAMPLE_SMALL_TIMES * interval);
            break;
        }
        engine_free(block);
    }
}

/* Takes samples of this many blocks of 1000 bytes, which stay. */
static void take_samples(unsigned count) {
    while (count != 0) {
        char *block = engine_alloc(1000);
        if (is_sampled(block)) {
            count--;
        } else {
            engine_free(block);
        }
    }
}

/* By the option: a small heap's samples are four times as far apart, a fast thread's farther still. */
static void guards_of_frequent_samples_are_marks(void) {
    need_guards_of_the_kernel();
    engine_free(engine_alloc(100));
    char *large = hold(1);
    take_samples(20);
    CHECK(heap_mine->interval >= GUARDED_FREQUENT);
    CHECK_EQUAL(guarded_table.mappings, 0);
    engine_free(large);
    CHECK_VALID();
}

/* The live bytes that a reader of a profile estimates: it scales each line by the interval of the first one. */
static double bytes_read(FILE *profile) {
    char line[2048];
    uint64_t interval = 0;
    double sum = 0;
    while (fgets(line, sizeof line, profile) != NULL) {
        uint64_t blocks;
        uint64_t bytes;
        if (interval == 0) {
            CHECK(sscanf(line, "heap profile: %*u: %*u [%*u: %*u] @ heap_v2/%" SCNu64, &interval) == 1);
        } else if (sscanf(line, "%" SCNu64 ": %" SCNu64 " [", &blocks, &bytes) == 2 && blocks != 0) {
            sum += (double)bytes / exponential_share(bytes / blocks, interval);
        }
    }
    return sum;
}

/* Allocates and frees a block; if it is a sample, its interval is the one that its point was drawn with. */
static void check_pair(size_t size) {
    const uint64_t interval = heap_mine->interval;
    char *block = engine_alloc(size);
    const struct sample *sample = is_sampled(block)   ? sample_of(block)
                                  : size <= SMALL_MAX ? NULL
                                                      : large_of(block)->sample;
    CHECK(sample == NULL || sample->interval == interval);
    engine_free(block);
}

/* A process that allocates fast takes few samples, which stand for all that it has allocated. Returns what makes the
 * heap large enough. A busy machine's emulator may be too slow to be ahead of the pace. */
static char *outpace(size_t size, unsigned pairs) {
    char *held = hold(SAMPLE_SMALL_HELD);
    const struct stack_sums before = samples.allocated;
    const uint64_t start_ms = os_coarse_ms();
    uint64_t longest = 0;
    for (unsigned i = 0; i < pairs; i++) {
        check_pair(size);
        longest = heap_mine->interval > longest ? heap_mine->interval : longest;
    }
    const uint64_t taken = samples.allocated.samples - before.samples;
    const uint64_t paced = (os_coarse_ms() - start_ms) * SAMPLE_PACE / MIB;
    const double off = samples.allocated.bytes - before.bytes - (double)size * pairs;
    const double variance = samples.allocated.bytes_variance - before.bytes_variance;
    CHECK(taken >= SAMPLE_BURST &&
          taken <= paced + SAMPLE_AHEAD_MS * SAMPLE_PACE / MIB + SAMPLE_BURST * SAMPLE_DOUBLINGS);
    CHECK(longest > MIB || (uint64_t)size * pairs / MIB < 2 * (paced + SAMPLE_AHEAD_MS * SAMPLE_PACE / MIB));
    CHECK(off * off < 25 * variance);
    return held;
}

static void samples_of_large_blocks_keep_a_pace(void) {
    engine_free(outpace(3 * MIB, 100000));
}

static void samples_of_small_blocks_keep_a_pace(void) {
    engine_free(outpace(SMALL_MAX, 1000000));
}

/* By how much a sample gets the process ahead of the clock, which stands. */
static uint64_t ms_of_a_sample(void) {
    const uint64_t ahead_ms = sample_points_ahead_ms();
    const size_t before = samples.allocated.samples;
    while (samples.allocated.samples == before) {
        engine_free(engine_alloc(SMALL_MAX));
    }
    return sample_points_ahead_ms() - ahead_ms;
}

/* The milliseconds of a sample are rounded up, and of a long interval few enough for a burst. */
static void samples_stand_for_no_more_than_the_pace_allows(void) {
    char *held = hold(SAMPLE_SMALL_HELD);
    clock_stop();
    CHECK_EQUAL(ms_of_a_sample(), 2);
    atomic_store(&samples.interval, (uint64_t)1 << 30);
    CHECK_EQUAL(ms_of_a_sample(), SAMPLE_AHEAD_MS / SAMPLE_BURST);
    engine_free(held);
}

static void *allocate_much(void *unused) {
    for (unsigned i = 0; i < 3000; i++) {
        engine_free(engine_alloc(SMALL_MAX));
    }
    return unused;
}

/* Each of these threads could have as many samples as the process may have ahead of the clock. */
static void threads_keep_the_pace_together(void) {
    char *held = hold(SAMPLE_SMALL_HELD);
    const struct stack_sums before = samples.allocated;
    const uint64_t start_ms = os_coarse_ms();
    for (unsigned i = 0; i < 8; i++) {
        thread_run(allocate_much, NULL);
    }
    const uint64_t taken = samples.allocated.samples - before.samples;
    const uint64_t paced = (os_coarse_ms() - start_ms) * SAMPLE_PACE / MIB;
    CHECK(taken <= paced + SAMPLE_AHEAD_MS * SAMPLE_PACE / MIB + SAMPLE_BURST * SAMPLE_DOUBLINGS);
    engine_free(held);
}

static void a_process_that_slows_down_has_more_samples(void) {
    char *held = outpace(3 * MIB, 10000);
    /* Meanwhile the clock catches up by more than the sample that a beat may take. */
    while (sample_points_ahead_ms() != 0) {
        usleep(1000 * (4 * MIB / SAMPLE_PACE));
        beat();
    }
    CHECK_EQUAL(heap_mine->interval, MIB);
    engine_free(held);
}

/* However far ahead of the clock, which stands, samples of another interval have been. */
static void a_new_interval_begins_with_a_new_pace(void) {
    static const uint64_t intervals[] = {4 * KIB, MIB, MIB / 2};
    char *held = hold(SAMPLE_SMALL_HELD);
    os_inject_clock(os_coarse_ms());
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned pairs = 0; pairs < 10000; pairs++) {
            engine_free(engine_alloc(3 * MIB));
        }
        CHECK(i == 1 || heap_mine->interval > MIB);
        char value[24];
        snprintf(value, sizeof value, "%" PRIu64, intervals[i]);
        CHECK(engine_option_set("sample", value) == 0);
        beat();
        CHECK_EQUAL(heap_mine->interval, intervals[i]);
    }
    os_inject_clock(0);
    engine_free(held);
}

/* Making a guard takes a system call: pairs of large blocks, each a sample, have few. */
static void one_large_block_gets_a_guard_in_a_tick(void) {
    engine_free(engine_alloc(100));
    const uint64_t start_ms = os_coarse_ms();
    for (unsigned i = 0; i < 3000; i++) {
        engine_free(engine_alloc(100 * KIB));
    }
    const uint64_t guards = samples.number - guarded_table.unguarded;
    CHECK(samples.number > 2500);
    CHECK(guards != 0 && guards <= os_coarse_ms() - start_ms + 2);
    CHECK_VALID();
}

/* Readers know one interval, but those of a heap that has grown differ; the set one may have changed, too. */
static void a_profile_scales_samples_of_all_intervals(void) {
    static const uint64_t set[] = {MIB, 0, 8 * MIB};
    engine_free(hold(SAMPLE_BEGIN_HELD));
    take_samples(20);
    char *large = hold(SAMPLE_SMALL_HELD);
    take_samples(20);
    for (size_t i = 0; i < sizeof set / sizeof *set; i++) {
        FILE *profile = tmpfile();
        atomic_store(&samples.interval, set[i]);
        profile_write(fileno(profile), PROFILE_LIVE);
        rewind(profile);
        const double read = bytes_read(profile);
        CHECK(read > 0.97 * samples.live_bytes && read < 1.03 * samples.live_bytes);
        fclose(profile);
    }
    engine_free(large);
}

/* How often the heap's thread is slow, or does upkeep, while it allocates and frees small and cached large blocks. */
static uint32_t calls_of_pairs(void) {
    const uint32_t before = heap_mine->slow_calls;
    for (size_t i = 0; i < 50000; i++) {
        engine_free(engine_alloc(1000));
    }
    for (size_t i = 0; i < 320; i++) {
        engine_free(engine_alloc(8 * MIB));
    }
    return heap_mine->slow_calls - before;
}

/* Otherwise what a program does with samples would differ from what it does without. */
static void samples_cause_no_upkeep(void) {
    const uint64_t interval = atomic_exchange(&samples.interval, 0);
    beat();
    (void)calls_of_pairs();
    const uint32_t without = calls_of_pairs();
    CHECK_EQUAL(samples.number, 0);
    atomic_store(&samples.interval, interval);
    beat();
    const uint32_t with = calls_of_pairs();
    CHECK(samples.number > 300);
    CHECK_AT_MOST(with, without + 1);
    CHECK_AT_MOST(without, with + 1);
}

/* Although there is too much dirty memory, of which each slow call purges some. */
static void the_end_of_a_large_sample_purges_nothing(void) {
    enum { UNITS = 8192, PAIRS = 64, UPKEEP = 20, MOST = 64 };
    struct span dirty;
    bool zero;
    engine_free(engine_alloc(8 * MIB));
    CHECK(span_take(&dirty, UNITS, 1, UNIT_PART, &zero));
    span_give(&dirty);
    spans.peak = spans.peak_before = 0;
    spans_set_due();
    const uint64_t before = samples.number;
    for (size_t i = 0; i < PAIRS; i++) {
        engine_free(engine_alloc(8 * MIB));
    }
    CHECK(samples.number > before + PAIRS / 2);
    CHECK_AT_MOST(spans.purged_units, UPKEEP * MOST);
    CHECK_VALID();
}

static void sampling_starts_and_stops_in_a_running_process(void) {
    char *before = engine_alloc(100);
    CHECK(!is_sampled(before));
    CHECK_EQUAL(engine_option_set("sample", "1"), 0);
    for (size_t bytes = 0; bytes <= HEAP_BEAT; bytes += 100) {
        engine_free(engine_alloc(100));
    }
    CHECK(is_sampled(engine_alloc(100)));
    CHECK_EQUAL(engine_option_set("sample", "0"), 0);
    engine_free(engine_alloc(100));
    CHECK(!is_sampled(engine_alloc(100)));
    engine_free(before);
}

/* --- Fork --------------------------------------------------------------------------------------------------------- */

static pthread_barrier_t step;

/* Half way through taking one sample and freeing another. */
static void *be_in_the_middle(void *unused) {
    (void)unused;
    const struct sample_site site = {.frames = NULL};
    void *block = engine_alloc(100);
    CHECK(sample_claim(sample_of(block)));
    CHECK(sample_make(SAMPLE_SMALL, 100, 1, &site) != NULL);
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    return NULL;
}

static void a_forked_child_has_no_half_written_sample(void) {
    void *own = engine_alloc(100);
    memset(own, 3, 100);
    pthread_t thread = thread_hold(be_in_the_middle, NULL, &step);
    const uint64_t live = samples.live;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_VALID();
        CHECK_EQUAL(samples.live, live - 1);
        CHECK_EQUAL(samples.missed, 1);
        CHECK(*(char *)own == 3);
        engine_free(own);
        engine_free(engine_alloc(100));
        CHECK_VALID();
        _exit(0);
    }
    child_wait(child);
    thread_release(thread, &step);
}

/* About to open a cell of which the guards are mappings. */
static void *be_before_the_opening(void *unused) {
    (void)unused;
    const struct sample_site site = {.frames = NULL};
    atomic_store(&samples.interval, GUARDED_FREQUENT);
    CHECK(sample_make(SAMPLE_SMALL, 12000, GUARDED_FREQUENT, &site) != NULL);
    atomic_store(&samples.interval, 1);
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    return NULL;
}

static void a_forked_child_opens_a_cell_however_it_is_guarded(void) {
    engine_free(engine_alloc(100));
    pthread_t thread = thread_hold(be_before_the_opening, NULL, &step);
    void *own = engine_alloc(100);
    CHECK(is_sampled(own) && atomic_load(&guarded_table.marks_first));
    const uint32_t mappings = atomic_load(&guarded_table.mappings);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(atomic_load(&guarded_table.mappings) <= mappings);
        char *block = engine_alloc(12000);
        CHECK(is_sampled(block));
        memset(block, 1, 12000);
        engine_free(block);
        engine_free(own);
        CHECK_VALID();
        _exit(0);
    }
    child_wait(child);
    thread_release(thread, &step);
}

static void a_forked_child_has_other_random_numbers(void) {
    engine_free(engine_alloc(16));
    const uint64_t random = heap_mine->random;
    CHECK(random != 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(heap_mine->random != random);
        _exit(0);
    }
    child_wait(child);
}

/* The stacks of a sampled block come before the report. */
#define ALLOCATED "allocated by thread # (@):~\nmems: "
#define FREED ALLOCATED "freed by thread # (@):~\nmems: "

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH_WITH(random_operations_keep_every_block, "sample=1"),
        FRESH_WITH(random_operations_keep_every_block, "sample=10k"),
        FRESH_WITH(random_operations_keep_every_block, "sample=1,check=deferred"),
        FRESH_WITH(the_byte_behind_the_last_granule_faults, "sample=1"),
        FRESH_WITH(the_page_behind_a_large_or_huge_block_faults, "sample=1"),
        FRESH_FAULT(write_behind_the_end, "sample=1",
                    ALLOCATED
                    "free(@): written behind its end: a sampled block of 20 bytes, of which byte 22 is not one"),
        FRESH_FAULT(free_twice, "sample=1", FREED "free(@): double free: a sampled block of 20 bytes, free"),
        FRESH_FAULT(free_inside, "sample=1",
                    ALLOCATED "free(@): not a block's start: 16 bytes into a sampled block of 200 bytes, live"),
        FRESH_FAULT(free_as_another_size, "sample=1",
                    ALLOCATED "free_sized(@): size mismatch: a sampled block of 20 bytes, live, freed as 24 bytes"),
        FRESH_FAULT(resize_freed, "sample=1",
                    FREED "realloc(@): not a live block: a sampled block of 2000 bytes, free"),
        FRESH_WITH(zeroed_blocks_are_zero, "sample=1"),
        FRESH_WITH(a_freed_block_stays_in_quarantine, "sample=1"),
        FRESH_WITH(the_quarantine_ends_before_an_allocation_fails, "sample=1,window=64m"),
        FRESH_WITH(of_two_threads_one_claims_a_sample, "sample=1"),
        FRESH_WITH(any_thread_frees_a_sample, "sample=1"),
        FRESH_WITH(guards_are_mappings, "sample=1"),
        FRESH_WITH(beyond_the_bound_blocks_have_no_guard_and_are_counted, "sample=1"),
        FRESH_WITH(where_nothing_can_be_guarded_blocks_are_used_all_the_same, "sample=1"),
        FRESH_WITH(a_cell_that_stays_closed_is_not_used, "sample=1"),
        FRESH_WITH(what_samples_keep_is_not_live, "sample=1"),
        FRESH_WITH(cells_without_a_block_hold_no_memory, "sample=1"),
        FRESH_WITH(a_large_block_whose_guard_stays_is_not_used_again, "sample=1"),
        FRESH_WITH(spans_are_given_back_without_their_guards, "sample=1"),
        FRESH_WITH(without_memory_for_a_record_there_is_no_sample, "sample=1,window=4m"),
        FRESH_WITH(the_peak_is_all_that_was_live_then, "sample=1"),
        FRESH_WITH(estimates_are_near_the_truth, "sample=10k"),
        FRESH_WITH(a_heap_is_sampled_once_it_has_held_enough, "sample=1m"),
        FRESH_WITH(guards_of_rare_samples_are_mappings, "sample=1m"),
        FRESH_WITH(guards_of_frequent_samples_are_marks, "sample=128k"),
        FRESH_WITH(a_small_heap_has_fewer_samples, "sample=1m"),
        FRESH_WITH(a_profile_scales_samples_of_all_intervals, "sample=1m"),
        FRESH_WITH(samples_of_large_blocks_keep_a_pace, "sample=1m"),
        FRESH_WITH(samples_of_small_blocks_keep_a_pace, "sample=1m"),
        FRESH_WITH(samples_stand_for_no_more_than_the_pace_allows, "sample=130k"),
        FRESH_WITH(threads_keep_the_pace_together, "sample=1m"),
        FRESH_WITH(a_process_that_slows_down_has_more_samples, "sample=1m"),
        FRESH_WITH(a_new_interval_begins_with_a_new_pace, "sample=1m"),
        FRESH_WITH(one_large_block_gets_a_guard_in_a_tick, "sample=2"),
        FRESH_WITH(samples_cause_no_upkeep, "sample=60k,decay_ms=3600000"),
        FRESH_WITH(the_end_of_a_large_sample_purges_nothing, "sample=60k,decay_ms=3600000"),
        FRESH(sampling_starts_and_stops_in_a_running_process),
        FRESH_WITH(a_forked_child_has_no_half_written_sample, "sample=1"),
        FRESH_WITH(a_forked_child_opens_a_cell_however_it_is_guarded, "sample=1"),
        FRESH_WITH(a_forked_child_has_other_random_numbers, "sample=1"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
