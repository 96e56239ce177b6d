/*
 * harden_test.c - what harden=light and full find and report, and what they leave in memory.
 */
#include "support/fresh.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bits.h"
#include "engine/calls/arena.h"
#include "engine/heaps/hardened_larges.h"
#include "engine/heaps/heap.h"
#include "engine/heaps/unused_heaps.h"
#include "engine/memory/harden_guards.h"
#include "engine/memory/large.h"
#include "engine/modes/harden.h"
#include "engine/modes/sweep.h"
#include "engine/reports/stats.h"
#include "engine/root/root.h"
#include "engine/tables/canary.h"
#include "engine/upkeep/trim.h"
#include "os/os.h"
#include "support/engine_heap.h"
#include "support/kernel.h"
#include "support/thread.h"

static char *block_of(size_t size) {
    char *block = engine_alloc(size);
    CHECK(block != NULL);
    memset(block, 7, size);
    return block;
}

static void a_byte_behind(void) {
    char *block = block_of(20);
    block[20] = 1;
    engine_free(block);
}

static void a_byte_in_an_aligned_block_of_none(void) {
    char *block = engine_alloc_aligned(64, 0);
    block[0] = 0;
    engine_free(block);
}

/* In the same slot. */
static char *block_resized(size_t from, size_t size) {
    char *block = block_of(from);
    CHECK(engine_realloc("realloc", block, size) == block);
    CHECK(engine_usable_size("malloc_usable_size", block) == size);
    for (size_t at = 0; at < size; at++) {
        CHECK(block[at] == (at < from ? 7 : 0));
    }
    return block;
}

static void a_byte_behind_a_lengthened_block(void) {
    char *block = block_resized(18, 28);
    block[28] = 0;
    engine_free(block);
}

static void a_byte_behind_a_shortened_block(void) {
    char *block = block_resized(28, 18);
    block[18] = 1;
    engine_free(block);
}

static void new_and_realloc(void) {
    (void)engine_realloc("realloc", engine_alloc_as(ORIGIN_NEW, 20), 24);
}

static void a_zero_behind(void) {
    char *block = block_of(24);
    block[24] = 0;
    engine_free(block);
}

static void bytes_behind_a_large_block(void) {
    char *block = block_of(100000);
    memset(block + 100000, 0, 10);
    engine_free(block);
}

static void a_byte_behind_a_huge_block(void) {
    char *block = engine_alloc((100 << 20) + 1);
    block[(100 << 20) + 3] = 1;
    engine_free(block);
}

/* Some two blocks of a class lie side by side: damages one, and frees the other, which is this far behind it. If that
 * does not find it, the sweep at exit does. */
static void damage_in_an_arena(size_t size, void (*end)(const char *operation, struct mems_arena *arena)) {
    struct mems_arena *arena = arena_create("damaged");
    for (unsigned i = 0; i < 100; i++) {
        char *block = arena_alloc("test", arena, size);
        CHECK(block != NULL);
        memset(block, 7, size + (i == 99)); /* the last one: a sweep finds others before */
    }
    end("test", arena);
}

static void a_byte_behind_in_an_arena_that_ends(void) {
    damage_in_an_arena(20, arena_destroy);
}

static void a_byte_behind_in_an_arena_that_is_emptied(void) {
    damage_in_an_arena(20, arena_reset);
}

static void a_byte_behind_a_large_block_of_an_arena(void) {
    damage_in_an_arena(150001, arena_destroy);
}

static void damage_a_neighbour(size_t size, ptrdiff_t distance) {
    char *blocks[256];
    for (unsigned i = 0; i < 256; i++) {
        blocks[i] = block_of(size);
    }
    for (unsigned i = 0; i < 256; i++) {
        for (unsigned j = 0; j < 256; j++) {
            if (blocks[j] == blocks[i] + distance) {
                blocks[i][size + 1] = 1;
                engine_free(blocks[j]);
                return;
            }
        }
    }
}

static void a_neighbour_s_end(void) {
    damage_a_neighbour(40, 48);
}

static void the_next_neighbour_s_end(void) {
    damage_a_neighbour(40, -48);
}

static void a_longer_neighbour_s_end(void) {
    damage_a_neighbour(200, 208);
}

static void the_next_longer_neighbour_s_end(void) {
    damage_a_neighbour(200, -208);
}

static void an_end_before_realloc(void) {
    char *block = block_of(100);
    block[101] = 1;
    (void)engine_realloc("realloc", block, 200);
}

static void a_write_after_free(void) {
    char *block = block_of(40);
    engine_free(block);
    block[8] = 1;
    block[11] = 2;
    sweep_all(heap_mine, "exit");
}

/* The block is in the depot, if not in quarantine. */
static void a_write_after_many_frees(void) {
    enum { MANY = 3000 };
    static char *blocks[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        blocks[i] = block_of(40);
    }
    for (unsigned i = 0; i < MANY; i++) {
        engine_free(blocks[i]);
    }
    CHECK(heap_mine->classes[size_class_of(40)].stock.count != 0 || heaps.harden == HARDEN_FULL);
    for (unsigned i = 0; i < MANY; i++) {
        blocks[i][8] = 1;
    }
    sweep_all(heap_mine, "exit");
}

/* A signal handler may exit after the block's life has ended, and before it is cleared. */
static void a_free_that_was_interrupted_is_no_write(void) {
    for (size_t size = 40; size < 30000; size *= 3) {
        char *block = block_of(size);
        CHECK(live_end(block));
        if (heaps.harden == HARDEN_FULL) {
            const struct slot slot = slot_of(block, harden_class(size));
            record_store(&slot, record_ended(record_load(&slot)));
        }
    }
    sweep_all(heap_mine, "exit");
}

/* The slot is about to be handed out again. */
static void a_write_after_free_and_malloc(void) {
    char *block = block_of(5000);
    engine_free(block);
    block[0] = 1;
    const struct slot slot = slot_of(block, harden_class(5000));
    harden_begin(&slot, 5000, ORIGIN_MALLOC);
}

/* No slot from this one on was handed out yet. */
static void a_write_behind_the_slots_in_use(void) {
    char *block = block_of(200);
    struct slab *slab = slab_of(block);
    const unsigned used = slab_used(slab);
    CHECK(used < slab->slots);
    ((char *)window_address(slab->span.first))[used * size_classes[slab_class(slab)].size + 8] = 1;
    sweep_all(heap_mine, "exit");
}

static void a_write_before_a_refill(void) {
    char *block = block_of(40);
    engine_free(block);
    block[8] = 1;
    block_of(500);
}

/* The magazine has more slots, so no slow path is taken. */
static void a_write_before_the_next_call(void) {
    char *block = block_of(40);
    engine_free(block);
    block[8] = 1;
    block_of(40);
}

static void a_write_to_what_is_used_again(void) {
    char *block = block_of(40);
    engine_free(block);
    block[8] = 1;
    for (unsigned i = 0; i < 1000; i++) {
        block_of(40);
    }
}

static void a_write_to_a_freed_large_block(void) {
    char *block = block_of(100000);
    engine_free(block);
    block[50000] = 1;
    sweep_all(heap_mine, "exit");
}

/* The block freed last does not come back. */
static void a_write_to_a_large_block_that_is_used_again(void) {
    char *block = block_of(100000);
    char *other = block_of(100000);
    engine_free(block);
    block[0] = 1;
    engine_free(other);
    block_of(100000);
}

static void *wait_for_it(void *flag) {
    while (!atomic_load((_Atomic bool *)flag)) {
    }
    return NULL;
}

/* A thread may have been clearing a slot when the kernel copied its page. */
static void a_child_of_several_threads_checks_nothing(void) {
    _Atomic bool ends = false;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, wait_for_it, &ends) == 0);
    char *block = block_of(40);
    engine_free(block);
    const pid_t child = fork();
    if (child == 0) {
        block[8] = 1;
        block_of(500);
        sweep_all(heap_mine, "exit");
        _exit(0);
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    atomic_store(&ends, true);
    CHECK(pthread_join(thread, NULL) == 0);
}

/* What a child's malloc returns, after one call. */
static void allocate_in_a_child(void **blocks, unsigned count) {
    const pid_t child = fork();
    if (child == 0) {
        block_of(40);
        for (unsigned i = 0; i < count; i++) {
            blocks[i] = block_of(40);
        }
        _exit(0);
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void children_choose_differently(void) {
    enum { KEPT = 1000, COMPARED = 32 };
    void *kept[KEPT];
    for (unsigned i = 0; i < KEPT; i++) {
        kept[i] = block_of(40);
    }
    for (unsigned i = 0; i < KEPT; i += 2) {
        engine_free(kept[i]);
    }
    void **blocks =
        mmap(NULL, 2 * COMPARED * sizeof *blocks, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(blocks != MAP_FAILED);
    allocate_in_a_child(blocks, COMPARED);
    allocate_in_a_child(blocks + COMPARED, COMPARED);
    CHECK(memcmp(blocks, blocks + COMPARED, COMPARED * sizeof *blocks) != 0);
}

static void a_block_that_is_never_freed(void) {
    char *block = block_of(40);
    block[40] = 1;
    sweep_all(heap_mine, "exit");
}

/* Its heap must have slabs: a thread's first blocks of a class come from the shared slab. */
static void *overflow_after_others(void *unused) {
    for (unsigned i = 0; i < 64; i++) {
        block_of(40);
    }
    block_of(40)[40] = 1;
    return unused;
}

static void a_block_of_an_ended_thread(void) {
    thread_run(overflow_after_others, NULL);
}

static void *allocate_one(void *block) {
    *(char **)block = block_of(40);
    return NULL;
}

static void a_block_that_an_ended_thread_left(void) {
    char *block = NULL;
    thread_run(allocate_one, &block);
    block[41] = 1;
    sweep_all(heap_mine, "exit");
}

static void a_large_block_that_is_never_freed(void) {
    if (!os_single_threaded()) {
        child_cannot(); /* a sanitizer has a thread of its own */
    }
    char *block = block_of(100000);
    block[100001] = 1;
    sweep_all(heap_mine, "exit");
}

static void new_and_free(void) {
    char *block = engine_alloc_as(ORIGIN_NEW, 40);
    engine_free(block);
}

static void new_array_and_delete(void) {
    char *block = engine_alloc_as(ORIGIN_NEW_ARRAY, 40000);
    engine_free_as("operator delete", block);
}

/* What C++ does with an alignment that malloc gives anyway is no mistake. */
static void kinds_that_belong_together(void) {
    engine_free_as("operator delete", engine_alloc_as(ORIGIN_NEW, 40));
    engine_free_as("operator delete[]", engine_alloc_as(ORIGIN_NEW_ARRAY, 40));
    engine_free_sized("operator delete[]", engine_alloc_as(ORIGIN_NEW_ARRAY, 40), 40, 0);
    for (size_t alignment = 8; alignment <= 8192; alignment *= 2) {
        for (size_t size = 0; size < 100000; size = size * 3 + 8) {
            engine_free_aligned("aligned operator delete", engine_alloc_aligned_as(ORIGIN_NEW_ALIGNED, alignment, size),
                                alignment);
            engine_free_aligned("aligned operator delete[]",
                                engine_alloc_aligned_as(ORIGIN_NEW_ARRAY_ALIGNED, alignment, size), alignment);
            engine_free_sized("aligned operator delete", engine_alloc_aligned_as(ORIGIN_NEW_ALIGNED, alignment, size),
                              size, alignment);
        }
    }
    CHECK_VALID();
}

static void aligned_array_and_delete(void) {
    engine_free_aligned("aligned operator delete", engine_alloc_aligned_as(ORIGIN_NEW_ARRAY_ALIGNED, 64, 40), 64);
}

static void an_alignment_that_it_does_not_have(void) {
    engine_free_aligned("aligned operator delete", engine_alloc_aligned_as(ORIGIN_NEW_ALIGNED, 64, 40),
                        (size_t)1 << 40);
}

static void an_alignment_of_another_class(void) {
    engine_free_aligned("aligned operator delete", engine_alloc_aligned_as(ORIGIN_NEW_ALIGNED, 128, 40), 32);
}

static void another_size(void) {
    engine_free_sized("free_sized", block_of(40), 41, 0);
}

static void *free_it(void *block) {
    engine_free(block);
    return NULL;
}

static void a_byte_behind_freed_by_another_thread(void) {
    char *block = block_of(20);
    block[21] = 1;
    thread_run(free_it, block);
}

static void twice(void) {
    char *block = block_of(40);
    engine_free(block);
    engine_free(block);
}

static void twice_after_others(void) {
    for (unsigned i = 0; i < EARLY_FREES; i++) {
        engine_free(block_of(40));
    }
    twice();
}

static void twice_by_threads(void) {
    char *block = block_of(40);
    thread_run(free_it, block);
    thread_run(free_it, block);
}

/* --- What is left ------------------------------------------------------------------------------------------------- */

static void a_block_has_its_exact_size(void) {
    for (size_t size = 0; size < 70000; size += 1 + size / 50) {
        char *block = engine_alloc(size);
        CHECK_EQUAL(engine_usable_size("malloc_usable_size", block), size);
        block = engine_realloc("realloc", block, size + 1);
        CHECK_EQUAL(engine_usable_size("malloc_usable_size", block), size + 1);
        engine_free(block);
    }
    CHECK_VALID();
}

static void a_freed_block_reads_as_zero(void) {
    for (size_t size = 1; size < 30000; size += 1 + size / 3) {
        char *block = block_of(size);
        engine_free(block);
        for (size_t i = 0; i < size; i++) {
            CHECK_EQUAL(block[i], 0);
        }
    }
    CHECK_VALID();
}

/* In its old room it gains bytes, and behind that whole pages: all read as zero, and the canary is behind them. */
static void a_huge_block_grows(void) {
    const size_t old_size = (65 << 20) + 10;
    char *block = block_of(old_size);
    for (size_t size = old_size + 100; size < old_size + (16 << 20); size += 5 << 20) {
        block = engine_realloc("realloc", block, size);
        CHECK(block != NULL && block[old_size - 1] == 7);
        for (size_t at = old_size; at < size; at += at < old_size + OS_PAGE ? 1 : 100) {
            CHECK_EQUAL(block[at], 0);
        }
    }
    block = engine_realloc("realloc", block, old_size);
    CHECK(block != NULL && block[old_size - 1] == 7);
    engine_free(block);
}

/* Checks that a block grew from `old_size` bytes of 7 to `size` without a trace of anything else, and fills it. */
static void check_grown(char *block, size_t old_size, size_t size) {
    CHECK(block != NULL && block[0] == 7 && block[old_size / 2] == 7 && block[old_size - 1] == 7);
    for (size_t at = old_size; at < size; at += at < old_size + OS_PAGE ? 1 : 500) {
        CHECK_EQUAL(block[at], 0);
    }
    CHECK_EQUAL(engine_usable_size("malloc_usable_size", block), size);
    memset(block + old_size, 7, size - old_size);
}

/* In place while there is room, which grows with the block, then by moving its pages. */
static void a_large_block_grows(void) {
    size_t size = 40000;
    char *block = block_of(size);
    unsigned moves = 0;
    while (size < (6 << 20)) {
        const size_t old_size = size;
        char *before = block;
        size += 7001;
        block = engine_realloc("realloc", block, size);
        check_grown(block, old_size, size);
        moves += block != before;
    }
    CHECK(moves < 40);
    CHECK_EQUAL(guards.set != 0, guard_size() != 0);
    engine_free(block);
    CHECK_VALID();
}

static void a_large_block_moves_with_its_pages(void) {
    const size_t size = (2 << 20) + 10;
    char *block = block_of(size);
    (void)engine_alloc(100000);
    char *moved = engine_realloc("realloc", block, 5 << 20);
    CHECK(moved != block);
    CHECK_EQUAL(mems_root.pages_moved, pages_can_move() ? 1 : 0);
    check_grown(moved, size, 5 << 20);
    engine_free(moved);
    CHECK_VALID();
}

static void a_large_block_shrinks(void) {
    char *block = block_of(3 << 20);
    const uint32_t guards_before = atomic_load(&guards.set);
    for (size_t size = 3 << 20; size > 50000; size /= 3) {
        CHECK(engine_realloc("realloc", block, size) == block);
        CHECK_EQUAL(block[size - 1], 7);
        CHECK_EQUAL(engine_usable_size("malloc_usable_size", block), size);
        CHECK_EQUAL(atomic_load(&guards.set), guards_before);
        CHECK_VALID();
    }
    block = engine_realloc("realloc", block, 3 << 20);
    CHECK(block != NULL && block[100000] == 7 && block[200000] == 0 && block[(3 << 20) - 1] == 0);
    engine_free(block);
    CHECK_VALID();
}

/* Freed blocks that are kept are not in use, as mallinfo2 and statistics have it. */
static void kept_blocks_are_not_live(void) {
    char *blocks[8];
    struct mems_engine_stats stats;
    for (unsigned i = 0; i < 8; i++) {
        blocks[i] = block_of(200000);
    }
    stats_collect(&stats);
    CHECK_EQUAL(stats.large_blocks, 8);
    CHECK(stats.live >= 8 * 200000);
    for (unsigned i = 0; i < 8; i++) {
        engine_free(blocks[i]);
    }
    stats_collect(&stats);
    CHECK_EQUAL(stats.live + stats.slack, 0);
    CHECK_EQUAL(stats.large_blocks, 0);
    CHECK(stats.quarantined >= (size_t)UNIT);
    CHECK_EQUAL(stats.cached, stats.quarantined);
}

/* One behind each large block, wherever it ends. */
static void guards_are_counted(void) {
    char *blocks[20];
    engine_free(engine_alloc(100));
    for (unsigned i = 0; i < 20; i++) {
        const uint32_t before = atomic_load(&guards.set);
        blocks[i] = block_of(40000 + i * 3000);
        CHECK_EQUAL(atomic_load(&guards.set), before + (guard_size() != 0));
    }
    for (unsigned i = 0; i < 20; i++) {
        const uint32_t before = atomic_load(&guards.set);
        blocks[i] = engine_realloc("realloc", blocks[i], 40000 + i * 3000 + 10);
        CHECK_EQUAL(atomic_load(&guards.set), before);
    }
    CHECK_VALID();
}

/* The fence is where the block now ends: a write behind it is found. */
static void a_byte_behind_a_grown_block(void) {
    char *block = engine_realloc("realloc", block_of(100000), 150001);
    block[150001] = 1;
    engine_free(block);
}

static void a_byte_behind_a_moved_block(void) {
    char *block = block_of(2 << 20);
    (void)engine_alloc(100000);
    block = engine_realloc("realloc", block, (4 << 20) + 1);
    block[(4 << 20) + 1] = 1;
    engine_free(block);
}

static void touch_a_page_behind(void) {
    char *block = engine_realloc("realloc", block_of(100000), 150000);
    *(volatile char *)(block + round_up(150000, OS_PAGE)) = 1;
}

static void touch_what_was_moved(void) {
    char *block = block_of(2 << 20);
    (void)engine_alloc(100000);
    char *moved = engine_realloc("realloc", block, 8 << 20);
    CHECK(moved != block);
    *(volatile char *)block = 1;
}

/* The thread has freed nothing else, and has ended. */
static void touch_what_another_thread_freed(void) {
    char *block = block_of(100000);
    thread_run(free_it, block);
    block[50000] = 1;
}

enum { SOME = 8 };

/* What a thread freed before it ended, and its heap. */
struct some {
    char *blocks[SOME];
    const struct heap *heap;
};

static void *free_some(void *argument) {
    struct some *some = argument;
    for (unsigned i = 0; i < SOME; i++) {
        some->blocks[i] = block_of(100000);
    }
    for (unsigned i = 0; i < SOME; i++) {
        engine_free(some->blocks[i]);
    }
    some->heap = heap_mine;
    return NULL;
}

static void run_threads_that_free(unsigned count, struct some *last) {
    for (unsigned i = 0; i < count; i++) {
        thread_run(free_some, last);
    }
}

/* The first blocks that ending threads leave are fenced; afterwards the next thread gets them with their memory. A
 * fenced block is not reused, nor is the one freed last. */
static void threads_that_end_leave_memory_to_the_next(void) {
    struct some last, next;
    run_threads_that_free(16, &last);
    run_threads_that_free(1, &next);
    unsigned reused = 0;
    for (unsigned i = 0; i < SOME * SOME; i++) {
        reused += next.blocks[i / SOME] == last.blocks[i % SOME];
    }
    CHECK(reused >= SOME / 2);
    CHECK_VALID();
}

static void memory_left_by_threads_is_given_back(void) {
    struct some last;
    run_threads_that_free(16, &last);
    const struct hardened *hardened = last.heap->hardened;
    const size_t left = hardened->larges_left;
    CHECK(left != 0 && left <= HARDENED_LARGES_LEFT);
    CHECK(unused_heaps_bare(SIZE_MAX) >= left);
    CHECK_EQUAL(hardened->larges_left, 0);
    for (unsigned place = 0; place < HARDENED_LARGES; place++) {
        CHECK(hardened->larges[place] == NULL || hardened->larges[place]->fence == FENCE_ALL);
    }
    run_threads_that_free(1, &last);
    CHECK_VALID();
}

static void faults(void **state) {
    struct child_result result;
    child_run(&result, fresh_child, *state);
    assert_true(result.signal == SIGSEGV);
}

static void a_large_block_twice(void) {
    char *block = block_of(200000);
    engine_free(block);
    engine_free(block);
}

static void cleared_by_another_thread(void) {
    char *block = block_of(200);
    thread_run(free_it, block);
    for (size_t i = 0; i < 200; i++) {
        CHECK_EQUAL(block[i], 0);
    }
    CHECK_VALID();
}

/* Nor does it among as many frees as the quarantine has places. */
static void a_freed_block_does_not_come_back_at_once(void) {
    for (unsigned round = 0; round < 200; round++) {
        char *block = engine_alloc(40);
        engine_free(block);
        CHECK(engine_alloc(40) != block);
    }
    CHECK_VALID();
}

/* The first ones find free places, and the addresses of those that leave a place wait in a queue. */
static void freed_large_blocks_are_kept(void) {
    const bool queued = heaps.harden == HARDEN_FULL;
    const unsigned count = queued ? HARDENED_LARGES_ALL : HARDENED_LARGES;
    char *blocks[HARDENED_LARGES_ALL];
    for (unsigned i = 0; i < count; i++) {
        blocks[i] = block_of(100000);
    }
    for (unsigned i = 0; i < count; i++) {
        engine_free(blocks[i]);
    }
    struct mems_engine_stats stats;
    stats_collect(&stats);
    CHECK_EQUAL(stats.quarantined, count * 2 * UNIT);
    CHECK_VALID();
}

static void a_locked_page_may_be_in_a_freed_block(void) {
    static const size_t sizes[] = {300000, GUARD_CLOSED_LEAST + 1};
    for (unsigned i = 0; i < 2; i++) {
        char *block = block_of(sizes[i]);
        if (mlock(block + 2 * UNIT, OS_PAGE) != 0) {
            child_cannot();
        }
        engine_free(block);
        for (int again = 0; again < 100; again++) {
            engine_free(block_of(sizes[i]));
        }
        CHECK_VALID();
    }
}

/* As where a block lies in two mappings, and there may be no third. */
static void what_is_closed_in_part_is_opened(void) {
    engine_free(block_of(100000));
    if (guards.means != GUARDS_BY_MARKS) {
        child_cannot();
    }
    char *block = mmap(NULL, GUARD_CLOSED_LEAST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(block != MAP_FAILED && munmap(block + GUARD_CLOSED_LEAST - OS_PAGE, OS_PAGE) == 0);
    const uint32_t before = atomic_load(&guards.set);
    CHECK(!guard_set_freed(block, GUARD_CLOSED_LEAST));
    CHECK_EQUAL(atomic_load(&guards.set), before);
    memset(block, 1, GUARD_CLOSED_LEAST - OS_PAGE);
}

static void an_address_is_not_used_again_soon(void) {
    char *first = block_of(100000);
    engine_free(first);
    for (unsigned i = 0; i < HARDENED_LARGES_QUEUED; i++) {
        char *block = block_of(100000);
        CHECK(block != first);
        engine_free(block);
    }
}

static void *fill_a_quarantine(void *unused) {
    void *blocks[3 * QUARANTINE_MOST];
    for (unsigned i = 0; i < 3 * QUARANTINE_MOST; i++) {
        blocks[i] = block_of(40);
    }
    for (unsigned i = 0; i < 3 * QUARANTINE_MOST; i++) {
        engine_free(blocks[i]);
    }
    struct mems_engine_stats stats;
    stats_collect(&stats);
    CHECK(stats.quarantined >= QUARANTINE_MOST * 48);
    return unused;
}

/* A block that was forgotten would count as live. */
static void a_thread_gives_its_quarantine_back(void) {
    struct mems_engine_stats before;
    struct mems_engine_stats after;
    stats_collect(&before);
    thread_run(fill_a_quarantine, NULL);
    stats_collect(&after);
    CHECK_EQUAL(after.live, before.live);
    CHECK_EQUAL(after.quarantined, 0);
    CHECK_VALID();
}

static void *give_everything_back(void *unused) {
    struct mems_engine_stats stats;
    upkeep_reclaim_all(NULL);
    stats_collect(&stats);
    CHECK_EQUAL(stats.quarantined, 0);
    CHECK_VALID();
    return unused;
}

/* Its pages are marked, or closed if there are many. */
static void a_freed_block_has_no_memory_left(void) {
    static const size_t sizes[] = {300000, GUARD_CLOSED_LEAST, GUARD_CLOSED_LEAST + 16};
    for (unsigned i = 0; i < 3; i++) {
        const uint32_t before = atomic_load(&guards.set);
        char *block = block_of(sizes[i]);
        engine_free(block);
        CHECK_EQUAL(atomic_load(&guards.set), before + (guard_size() != 0));
        CHECK_EQUAL(os_purge_zeroes() ? present_bytes(block, sizes[i]) : 0, 0);
        thread_run(give_everything_back, NULL);
        CHECK_EQUAL(atomic_load(&guards.set), before);
        block = engine_alloc_zeroed(1, sizes[i]);
        CHECK(block != NULL && zero_intact(block, sizes[i] / 16 * 16));
        engine_free(block);
        thread_run(give_everything_back, NULL);
    }
}

/* Its addresses are then lost, rather than given to somebody whom they would make fault. */
static void what_cannot_be_opened_is_not_used_again(void) {
    char *block = block_of(GUARD_CLOSED_LEAST);
    engine_free(block);
    os_inject(OS_CALL_MPROTECT, 0, UINT64_MAX, ENOMEM);
    thread_run(give_everything_back, NULL);
    os_inject_clear();
    for (unsigned i = 0; i < 10; i++) {
        (void)block_of(GUARD_CLOSED_LEAST);
    }
    CHECK_VALID();
}

static void what_another_thread_keeps_is_given_back(void) {
    engine_free(block_of(100000));
    engine_free(block_of(3 << 20));
    thread_run(give_everything_back, NULL);
}

static void blocks_lie_in_no_order(void) {
    unsigned ascending = 0;
    char *before = engine_alloc(40);
    for (unsigned i = 0; i < 400; i++) {
        char *block = engine_alloc(40);
        ascending += block - before == 48;
        before = block;
    }
    CHECK(ascending < 100);
}

/* Where no page can be guarded, all else is as ever. */
static void refused_guards_are_counted(void) {
    os_inject(OS_CALL_MADVISE, 0, UINT64_MAX, EINVAL);
    os_inject(OS_CALL_MMAP, 1000, UINT64_MAX, ENOMEM);
    char *blocks[100];
    for (unsigned i = 0; i < 100; i++) {
        blocks[i] = block_of(40000 + i);
    }
    for (unsigned i = 0; i < 100; i++) {
        engine_free(blocks[i]);
    }
    char *empty = engine_alloc(0);
    CHECK(empty != NULL);
    engine_free(empty);
    os_inject_clear();
    CHECK_VALID();
}

/* Whatever the secret is: nor a zero, nor 0xff. */
static void a_canary_is_no_text(void) {
    for (unsigned i = 0; i < 1000; i++) {
        canary_start();
        const uint64_t canary = canary_of((void *)(uintptr_t)(i * 16));
        for (unsigned at = 0; at < 64; at += 8) {
            CHECK((canary >> at & 0xc0) == 0x80);
        }
    }
}

#define LONGEST_ROOM 1040u
#define ROOM_END (OS_PAGE - 2 * sizeof(canary_pair))

/* Rooms of all lengths end here, on a page of sevens. */
static char *room_of(size_t room) {
    static _Alignas(16) char page[OS_PAGE];
    memset(page, 7, sizeof page);
    return page + ROOM_END - room;
}

static bool is_filled(const char *from, const char *end, char with) {
    while (from < end && *from == with) {
        from++;
    }
    return from == end;
}

/* Flips each byte of canaries of all lengths. */
static void each_byte_of_a_canary_counts(void) {
    static const size_t rooms[] = {16, 32, 48, 64, 80, 96, 144, 256};
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        char *block = room_of(rooms[i]);
        for (size_t size = 0; size < rooms[i]; size++) {
            canary_write(block, size, rooms[i]);
            CHECK(canary_intact(block, size, rooms[i]));
            for (size_t at = 0; at < rooms[i]; at++) {
                block[at] ^= 1;
                CHECK(canary_intact(block, size, rooms[i]) == (at < size));
                block[at] ^= 1;
            }
            CHECK(is_filled(block - ROOM_END + rooms[i], block + size, 7));
            CHECK(is_filled(block + rooms[i], block + rooms[i] + 2 * sizeof(canary_pair), 7));
            memset(block, 7, rooms[i]);
        }
    }
}

/* And no byte beyond. */
static void each_byte_of_a_room_is_cleared_and_checked(void) {
    for (size_t room = 16; room <= LONGEST_ROOM; room += 16) {
        char *start = room_of(room);
        zero_write(start, room);
        CHECK(is_filled(start - ROOM_END + room, start, 7));
        CHECK(is_filled(start, start + room, 0));
        CHECK(is_filled(start + room, start + room + 2 * sizeof(canary_pair), 7));
        CHECK(zero_intact(start, room));
        for (size_t at = 0; at < room; at++) {
            start[at] = 1;
            CHECK(!zero_intact(start, room));
            start[at] = 0;
        }
    }
}

/* A slab may have ended since a sweep stopped in it, and one of other slots have come to its place. */
static void a_sweep_goes_on_in_another_slab(void) {
    char *blocks[64];
    for (unsigned i = 0; i < 64; i++) {
        blocks[i] = block_of(5000);
    }
    for (unsigned i = 0; i < 64; i += 2) {
        engine_free(blocks[i]);
    }
    for (size_t offset = 0; offset < UNIT; offset += GRANULE) {
        heap_mine->hardened->sweep_unit = window_unit(blocks[1]);
        heap_mine->hardened->sweep_offset = offset;
        sweep_step(heap_mine, "test");
    }
}

/* A fresh slot is read before it is written. */
static void a_fresh_page_costs_one_fault(void) {
    enum { COUNT = 100000, SIZE = 60 };
    struct os_usage before;
    struct os_usage after;
    engine_free(engine_alloc(SIZE));
    os_usage(&before);
    for (unsigned i = 0; i < COUNT; i++) {
        *(char *)engine_alloc(SIZE) = 1;
    }
    os_usage(&after);
    /* Those of the tables included. A sanitizer has its own memory for each page, and an emulator may read first. */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
    CHECK_AT_MOST(after.minor_faults - before.minor_faults, COUNT * 64 / OS_PAGE * 3 / 2);
#endif
}

static void reports_and_goes_on(void) {
    char *block = block_of(20);
    block[20] = 1;
    engine_free(block);
    engine_free(block);
    engine_free(block + 8);
    CHECK(engine_realloc("realloc", block, 100) == NULL);
    CHECK_EQUAL(engine_usable_size("malloc_usable_size", block), 0);
    CHECK_VALID();
    _exit(0);
}

static void reporting_goes_on(void) {
    struct child_result result;
    struct fresh fresh = {reports_and_goes_on, allocator.option_set, allocator.usual, "harden=full,on_fault=report",
                          NULL};
    child_run(&result, fresh_child, &fresh);
    assert_int_equal(result.signal, 0);
    assert_int_equal(result.status, 0);
    const char *line = result.err;
    for (unsigned i = 0; i < 5; i++) {
        line = strchr(line, '\n');
        assert_non_null(line);
        line++;
    }
    assert_string_equal(line, "");
}

static void large_blocks_are_swept(void) {
    struct child_result result;
    struct fresh fresh = {a_large_block_that_is_never_freed, allocator.option_set, allocator.usual, "harden=full",
                          NULL};
    child_run(&result, fresh_child, &fresh);
    child_skip_if_cannot(&result);
    assert_int_equal(result.signal, SIGABRT);
    assert_true(text_matches(result.err, "mems: exit(@): overflow: a live block of 100000 bytes: 1 byte changed, 1 "
                                         "bytes behind its end [thread #]\n"));
}

static void trapping_is_no_abort(void) {
    struct child_result result;
    struct fresh fresh = {twice, allocator.option_set, allocator.usual, "harden=full,on_fault=trap", NULL};
    child_run(&result, fresh_child, &fresh);
    assert_true(result.signal == SIGILL || result.signal == SIGTRAP);
}

#define SLOT(size, class) "a live block of " #size " bytes, slot # of a " #class "-byte slab"
#define FAULTS(function, options)                                          \
    {                                                                      \
        #function " " options, faults, NULL, NULL, &(struct fresh) {       \
            function, allocator.option_set, allocator.usual, options, NULL \
        }                                                                  \
    }
#define FULL(function, report) FRESH_FAULT(function, "harden=full", report)

int main(void) {
    const struct CMUnitTest tests[] = {
        FULL(a_byte_behind, "free(@): overflow: " SLOT(20, 32) ": 1 byte changed, 0 bytes behind its end"),
        FULL(a_byte_in_an_aligned_block_of_none,
             "free(@): overflow: " SLOT(0, 64) ": 1 byte changed, 0 bytes behind its end"),
        FULL(a_byte_behind_a_lengthened_block,
             "free(@): overflow: " SLOT(28, 32) ": 1 byte changed, 0 bytes behind its end"),
        FULL(a_byte_behind_a_shortened_block,
             "free(@): overflow: " SLOT(18, 32) ": 1 byte changed, 0 bytes behind its end"),
        FULL(new_and_realloc, "realloc(@): wrong kind: " SLOT(20, 32) ", from operator new"),
        FULL(a_zero_behind, "free(@): overflow: " SLOT(24, 32) ": 1 byte changed, 0 bytes behind its end"),
        FULL(bytes_behind_a_large_block,
             "free(@): overflow: a live block of 100000 bytes: 10 bytes changed, 0 to 9 bytes behind its end"),
        FRESH_FAULT(bytes_behind_a_large_block, "harden=light",
                    "free(@): overflow: a live block of 100000 bytes: 10 bytes changed, 0 to 9 bytes behind its end"),
        FRESH_FAULT(bytes_behind_a_large_block, "harden=full,sample=1",
                    "allocated by thread # (@):~\nmems: free(@): overflow: a live block of 100000 bytes: 10 bytes "
                    "changed, 0 to 9 bytes behind its end"),
        FULL(a_byte_behind_a_huge_block,
             "free(@): overflow: a live block of 104857601 bytes: 1 byte changed, 2 bytes behind its end"),
        FULL(a_byte_behind_in_an_arena_that_ends,
             "test(@): overflow: " SLOT(20, 32) ": 1 byte changed, 0 bytes behind its end"),
        FULL(a_byte_behind_in_an_arena_that_is_emptied,
             "test(@): overflow: " SLOT(20, 32) ": 1 byte changed, 0 bytes behind its end"),
        FULL(a_byte_behind_a_large_block_of_an_arena,
             "test(@): overflow: a live block of 150001 bytes: 1 byte changed, 0 bytes behind its end"),
        FULL(a_neighbour_s_end, "free(@): overflow: " SLOT(40, 48) ": 1 byte changed, 1 bytes behind its end"),
        FULL(the_next_neighbour_s_end, "free(@): overflow: " SLOT(40, 48) ": 1 byte changed, 1 bytes behind its end"),
        FULL(a_longer_neighbour_s_end, "free(@): overflow: " SLOT(200, 208) ": 1 byte changed, 1 bytes behind its end"),
        FULL(the_next_longer_neighbour_s_end,
             "free(@): overflow: " SLOT(200, 208) ": 1 byte changed, 1 bytes behind its end"),
        FULL(an_end_before_realloc, "realloc(@): overflow: " SLOT(100, 112) ": 1 byte changed, 1 bytes behind its end"),
        FULL(a_write_after_free,
             "exit(@): write after free: a quarantined block of 40 bytes, slot # of a 48-byte slab: "
             "2 bytes changed, 8 to 11 bytes behind its start"),
        FRESH_FAULT(a_write_after_free, "harden=light",
                    "exit(@): write after free: a freed block of 48 bytes, slot # of a 48-byte slab: "
                    "2 bytes changed, 8 to 11 bytes behind its start"),
        FRESH_FAULT(a_write_after_many_frees, "harden=light",
                    "exit(@): write after free: a freed block of 48 bytes, slot # of a 48-byte slab: "
                    "1 byte changed, 8 bytes behind its start"),
        FULL(a_write_after_many_frees,
             "exit(@): write after free: a freed block of 40 bytes, slot # of a 48-byte slab: "
             "1 byte changed, 8 bytes behind its start"),
        FRESH_WITH(a_free_that_was_interrupted_is_no_write, "harden=light"),
        FRESH_WITH(a_free_that_was_interrupted_is_no_write, "harden=full"),
        FRESH_FAULT(a_write_before_a_refill, "harden=light",
                    "malloc(@): write after free: a freed block of 48 bytes, slot # of a 48-byte slab: "
                    "1 byte changed, 8 bytes behind its start"),
        FULL(a_write_before_the_next_call,
             "malloc(@): write after free: a quarantined block of 40 bytes, slot # of a 48-byte slab: "
             "1 byte changed, 8 bytes behind its start"),
        FRESH_FAULT(a_write_to_what_is_used_again, "harden=light",
                    "malloc(@): write after free: a freed block of 48 bytes, slot # of a 48-byte slab: "
                    "1 byte changed, 8 bytes behind its start"),
        FRESH_FAULT(a_write_to_a_freed_large_block, "harden=light",
                    "exit(@): write after free: a quarantined block of 100000 bytes: "
                    "1 byte changed, 50000 bytes behind its start"),
        FRESH_FAULT(a_write_to_a_large_block_that_is_used_again, "harden=light",
                    "malloc(@): write after free: a quarantined block of 100000 bytes: "
                    "1 byte changed, 0 bytes behind its start"),
        FRESH_WITH(a_child_of_several_threads_checks_nothing, "harden=light"),
        FRESH_WITH(children_choose_differently, "harden=light"),
        FRESH_WITH(children_choose_differently, "harden=full"),
        FRESH_WITH(threads_that_end_leave_memory_to_the_next, "harden=light,decay_ms=4294967295"),
        FRESH_WITH(memory_left_by_threads_is_given_back, "harden=light,decay_ms=4294967295"),
        FULL(a_write_after_free_and_malloc,
             "malloc(@): write after free: a quarantined block of 5000 bytes, slot # of a "
             "5440-byte slab: 1 byte changed, 0 bytes behind its start"),
        FULL(a_write_behind_the_slots_in_use,
             "exit(@): write after free: a freed block of 208 bytes, slot # of a 208-byte slab: "
             "1 byte changed, 8 bytes behind its start"),
        FULL(a_block_that_is_never_freed,
             "exit(@): overflow: " SLOT(40, 48) ": 1 byte changed, 0 bytes behind its end"),
        FULL(a_block_of_an_ended_thread,
             "pthread_exit(@): overflow: " SLOT(40, 48) ": 1 byte changed, 0 bytes behind its end"),
        FULL(a_block_that_an_ended_thread_left,
             "exit(@): overflow: " SLOT(40, 48) ": 1 byte changed, 1 bytes behind its end"),
        FRESH_FAULT(new_and_free, "harden=full", "free(@): wrong kind: " SLOT(40, 48) ", from operator new"),
        FRESH_FAULT(new_array_and_delete, "harden=full,kinds=abort",
                    "operator delete(@): wrong kind: a live block of 40000 bytes, from operator new[]"),
        FRESH_FAULT(new_array_and_delete, "harden=light",
                    "operator delete(@): wrong kind: a live block of 40000 bytes, from operator new[]"),
        FULL(aligned_array_and_delete,
             "aligned operator delete(@): wrong kind: " SLOT(40, 64) ", from operator new[] with an alignment"),
        FRESH_FAULT(an_alignment_that_it_does_not_have, "harden=off",
                    "aligned operator delete(@): alignment mismatch: slot # of a 64-byte slab, live, freed with an "
                    "alignment of 1099511627776 bytes"),
        FULL(an_alignment_that_it_does_not_have,
             "aligned operator delete(@): alignment mismatch: slot # of a 64-byte slab, live, of 40 bytes, freed with "
             "an alignment of 1099511627776 bytes"),
        FULL(an_alignment_of_another_class,
             "aligned operator delete(@): alignment mismatch: slot # of a 128-byte slab, live, of 40 bytes, freed with "
             "an alignment of 32 bytes"),
        FULL(another_size,
             "free_sized(@): size mismatch: slot # of a 48-byte slab, live, of 40 bytes, freed as 41 bytes"),
        FULL(a_byte_behind_freed_by_another_thread,
             "free(@): overflow: " SLOT(20, 32) ": 1 byte changed, 1 bytes behind its end"),
        FULL(twice, "free(@): double free: slot # of a 48-byte slab, quarantined, of 40 bytes"),
        FULL(a_large_block_twice, "free(@): double free: a large block of # bytes, quarantined"),
        FRESH_FAULT(twice, "harden=light", "free(@): double free: slot # of a 48-byte slab, free"),
        FRESH_FAULT(twice_after_others, "harden=light", "free(@): double free: slot # of a 48-byte slab, cached"),
        FULL(twice_by_threads, "free(@): double free: slot # of a 48-byte slab, freed by another thread, of 40 bytes"),
        FRESH_FAULT(twice_by_threads, "harden=light",
                    "free(@): double free: slot # of a 48-byte slab, freed by another thread"),
        FRESH_WITH(kinds_that_belong_together, "harden=full,kinds=abort"),
        FRESH_WITH(kinds_that_belong_together, "harden=light,kinds=abort"),
        FRESH_WITH(a_block_has_its_exact_size, "harden=full"),
        FRESH_WITH(a_freed_block_reads_as_zero, "harden=full"),
        FRESH_WITH(a_freed_block_reads_as_zero, "harden=light"),
        FRESH_WITH(a_huge_block_grows, "harden=full"),
        FRESH_WITH(a_huge_block_grows, "harden=light"),
        FRESH_WITH(a_large_block_grows, "harden=full"),
        FRESH_WITH(a_large_block_grows, "harden=light"),
        FRESH_WITH(a_large_block_moves_with_its_pages, "harden=full"),
        FRESH_WITH(a_large_block_moves_with_its_pages, "harden=light"),
        FRESH_WITH(a_large_block_shrinks, "harden=full"),
        FRESH_WITH(a_large_block_shrinks, "harden=light"),
        FRESH_WITH(kept_blocks_are_not_live, "harden=full"),
        FRESH_WITH(kept_blocks_are_not_live, "harden=light"),
        FRESH_WITH(guards_are_counted, "harden=full"),
        FRESH_WITH(guards_are_counted, "harden=light"),
        FULL(a_byte_behind_a_grown_block,
             "free(@): overflow: a live block of 150001 bytes: 1 byte changed, 0 bytes behind its end"),
        FULL(a_byte_behind_a_moved_block,
             "free(@): overflow: a live block of 4194305 bytes: 1 byte changed, 0 bytes behind its end"),
        FAULTS(touch_a_page_behind, "harden=full"),
        FAULTS(touch_a_page_behind, "harden=light"),
        FAULTS(touch_what_another_thread_freed, "harden=full"),
        FAULTS(touch_what_another_thread_freed, "harden=light"),
        FAULTS(touch_what_was_moved, "harden=full"),
        FAULTS(touch_what_was_moved, "harden=light"),
        FRESH_WITH(cleared_by_another_thread, "harden=full"),
        FRESH_WITH(cleared_by_another_thread, "harden=light"),
        FRESH_WITH(a_freed_block_does_not_come_back_at_once, "harden=full"),
        FRESH_WITH(a_thread_gives_its_quarantine_back, "harden=full"),
        FRESH_WITH(freed_large_blocks_are_kept, "harden=full"),
        FRESH_WITH(freed_large_blocks_are_kept, "harden=light"),
        FRESH_WITH(a_locked_page_may_be_in_a_freed_block, "harden=light"),
        FRESH_WITH(a_freed_block_has_no_memory_left, "harden=light"),
        FRESH_WITH(a_freed_block_has_no_memory_left, "harden=full"),
        FRESH_WITH(a_locked_page_may_be_in_a_freed_block, "harden=full"),
        FRESH_WITH(what_is_closed_in_part_is_opened, "harden=light"),
        FRESH_WITH(what_cannot_be_opened_is_not_used_again, "harden=light"),
        FRESH_WITH(an_address_is_not_used_again_soon, "harden=full"),
        FRESH_WITH(what_another_thread_keeps_is_given_back, "harden=full"),
        FRESH_WITH(what_another_thread_keeps_is_given_back, "harden=light"),
        FRESH_WITH(blocks_lie_in_no_order, "harden=full"),
        FRESH_WITH(blocks_lie_in_no_order, "harden=light"),
        FRESH_WITH(refused_guards_are_counted, "harden=full"),
        FRESH_WITH(refused_guards_are_counted, "harden=light"),
        FRESH_WITH(a_canary_is_no_text, "harden=full"),
        FRESH_WITH(each_byte_of_a_canary_counts, "harden=full"),
        FRESH_WITH(each_byte_of_a_room_is_cleared_and_checked, "harden=full"),
        FRESH_WITH(a_sweep_goes_on_in_another_slab, "harden=full"),
        FRESH_WITH(a_fresh_page_costs_one_fault, "harden=full"),
        PLAIN(reporting_goes_on),
        PLAIN(large_blocks_are_swept),
        PLAIN(trapping_is_no_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
