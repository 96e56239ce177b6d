/*
 * arena_test.c - arenas: their blocks, who may free them, what ends with them, what a fork makes of them.
 */
#include "support/fresh.h"

#include <errno.h>
#include <stdint.h>

#include "engine/calls/arena.h"
#include "engine/heaps/heap.h"
#include "engine/memory/large.h"
#include "engine/slabs/lookup.h"
#include "engine/slabs/slab.h"
#include "engine/slabs/slot_record.h"
#include "engine/tables/canary.h"
#include "engine/upkeep/idle.h"
#include "engine/upkeep/trim.h"
#include "mems.h"
#include "os/os.h"
#include "support/engine_heap.h"
#include "support/engine_locked.h"
#include "support/marked.h"
#include "support/thread.h"

#define BLOCKS 3000u

static void *blocks[BLOCKS];

static struct mems_arena_stats stats_of(struct mems_arena *arena) {
    struct mems_arena_stats stats;
    arena_stats("test", arena, &stats);
    return stats;
}

/* Small and large ones. */
static size_t size_of(size_t i) {
    return i % 100 == 0 ? 40000 + i * 10 : i % 20 == 0 ? 9000 : 1 + i % 500;
}

static void fill(struct mems_arena *arena) {
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = arena_alloc("test", arena, size_of(i));
        CHECK(blocks[i] != NULL);
        marked_fill(&(struct marked){.memory = blocks[i], .size = size_of(i), .mark = i});
    }
}

static void check_marks(size_t first, size_t step) {
    for (size_t i = first; i < BLOCKS; i += step) {
        CHECK(marked_intact(&(struct marked){.memory = blocks[i], .size = size_of(i), .mark = i}, SIZE_MAX));
    }
}

static void an_arena_has_its_blocks_to_itself_and_all_end_with_it(void) {
    struct mems_arena *arena = arena_create("first");
    struct mems_arena *other = arena_create("second");
    const size_t live = spans.live_units;
    void *apart = arena_alloc("test", other, 48);
    void *mine = engine_alloc(48);
    fill(arena);
    check_marks(0, 1);
    CHECK_VALID();
    const struct mems_arena_stats stats = stats_of(arena);
    CHECK_EQUAL(stats.blocks, BLOCKS);
    CHECK(strcmp(stats.name, "first") == 0 && stats.arena == arena);
    CHECK(stats.held >= stats.bytes);
    const uint32_t id = entry_heap(page_map_load(window_unit(blocks[1])));
    CHECK(id != entry_heap(page_map_load(window_unit(mine))) && id != entry_heap(page_map_load(window_unit(apart))));
    arena_destroy("test", arena);
    CHECK_VALID();
    CHECK_EQUAL(spans.live_units, live + 2 * size_classes[size_class_of(48)].units);
    CHECK(block_at(blocks[1]).kind == BLOCK_FREE);
    engine_free(mine);
    engine_free(apart);
    arena_destroy("test", other);
    CHECK_EQUAL(heaps.arenas, 0);
    check_nothing_left();
}

static void a_reset_arena_is_empty_and_goes_on(void) {
    struct mems_arena *arena = arena_create("again");
    for (int round = 0; round < 5; round++) {
        fill(arena);
        CHECK_VALID();
        arena_reset("test", arena);
        CHECK_EQUAL(stats_of(arena).blocks, 0);
        CHECK_EQUAL(stats_of(arena).held, 0);
        CHECK_VALID();
    }
    arena_destroy("test", arena);
    check_nothing_left();
}

static void *free_some(void *first) {
    for (size_t i = *(size_t *)first; i < BLOCKS; i += 4) {
        engine_free(blocks[i]);
    }
    return NULL;
}

static void any_thread_frees_and_the_memory_is_used_again(void) {
    struct mems_arena *arena = arena_create("");
    fill(arena);
    const size_t held = stats_of(arena).held;
    for (size_t first = 0; first < 3; first++) {
        thread_run(free_some, &first);
    }
    for (size_t i = 3; i < BLOCKS; i += 4) {
        arena_free("test", arena, blocks[i]);
    }
    CHECK_VALID();
    CHECK_EQUAL(stats_of(arena).blocks, 0);
    fill(arena);
    CHECK_AT_MOST(stats_of(arena).held, held);
    arena_destroy("test", arena);
    check_nothing_left();
}

static void blocks_keep_their_contents_and_their_arena_when_they_are_resized(void) {
    static const size_t sizes[] = {1, 100, 90, 20, 5000, 32768, 32769, 100000, 3000000, 2900000, 70000, 64, 0};
    struct mems_arena *arena = arena_create("resized");
    size_t before = 16;
    unsigned char *block = arena_alloc("test", arena, before);
    memset(block, 7, before);
    for (size_t i = 0; sizes[i] != 0; i++) {
        block = arena_realloc("test", arena, block, sizes[i]);
        for (size_t at = 0; at < before && at < sizes[i]; at++) {
            CHECK_EQUAL(block[at], 7);
        }
        memset(block, 7, sizes[i]);
        before = sizes[i];
        CHECK_EQUAL(stats_of(arena).blocks, 1);
        CHECK_VALID();
    }
    CHECK(arena_realloc("test", arena, block, SIZE_MAX) == NULL && errno == ENOMEM);
    block = arena_realloc("test", arena, NULL, 10);
    CHECK(block != NULL);
    arena_destroy("test", arena);
    check_nothing_left();
}

static void large_blocks_that_are_freed_leave_the_arena(void) {
    struct mems_arena *arena = arena_create("left");
    for (size_t i = 0; i < 40; i++) {
        blocks[i] = arena_alloc("test", arena, 40000 + i * 10000);
    }
    for (size_t i = 0; i < 40; i += 2) {
        engine_free(blocks[i]);
        arena_free("test", arena, blocks[i + 1]);
        CHECK_VALID();
    }
    CHECK_EQUAL(stats_of(arena).blocks, 0);
    CHECK(arena_alloc("test", arena, 50000) != NULL);
    arena_destroy("test", arena);
    check_nothing_left();
}

/* Else the next slab in its place would seem to have blocks. */
static void records_of_empty_blocks_end_with_the_arena(void) {
    struct slot slots[100];
    struct mems_arena *arena = arena_create("empty");
    for (size_t i = 0; i < 100; i++) {
        slots[i] = slot_of(arena_alloc("test", arena, 0), EMPTY_CLASS);
        CHECK(record_is_live(record_load(&slots[i])));
    }
    arena_destroy("test", arena);
    for (size_t i = 0; i < 100; i++) {
        CHECK(!record_is_live(record_load(&slots[i])));
    }
    check_nothing_left();
}

/* As if the thread that was freeing it had not come along into a forked child. */
static void a_block_that_was_being_freed_is_cleared(void) {
    struct mems_arena *arena = arena_create("forked");
    struct heap *heap = heap_of((uint32_t)((uintptr_t)arena & ARENA_ID_MASK));
    void *block = arena_alloc("test", arena, 100000);
    memset(block, 7, 100000);
    CHECK(large_end(block) != NULL);
    lock_take(&heap->lock);
    heap_let_ended_go(heap);
    lock_give(&heap->lock);
    CHECK(zero_intact(block, 100000));
    arena_destroy("test", arena);
    check_nothing_left();
}

/* From some sizes on it does so by moving pages. */
static void realloc_takes_large_blocks_out_of_the_arena(void) {
    struct mems_arena *arena = arena_create("left");
    for (size_t size = 100000; size < (size_t)100 << 20; size *= 3) {
        unsigned char *block = arena_alloc("test", arena, size);
        CHECK(arena_alloc("test", arena, size) != NULL); /* in the way */
        memset(block, 7, size);
        block = engine_realloc("realloc", block, 3 * size);
        CHECK(block != NULL && block[0] == 7 && block[size - 1] == 7);
        CHECK_VALID();
        engine_free(block);
        arena_reset("test", arena);
    }
    arena_destroy("test", arena);
    check_nothing_left();
}

static void zeroed_and_aligned_blocks_are_so(void) {
    struct mems_arena *arena = arena_create("zeroed");
    static const size_t sizes[] = {1, 100, 30000, 40000, 2000000, (size_t)70 << 20, 0};
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; sizes[i] != 0; i++) {
            unsigned char *block = arena_alloc_zeroed("test", arena, sizes[i], 1);
            CHECK(block != NULL && window_holds(block));
            CHECK(marked_zero(&(struct marked){.memory = block, .size = sizes[i]}));
            memset(block, 1, sizes[i]);
        }
        arena_reset("test", arena);
    }
    for (size_t alignment = 1; alignment <= (size_t)1 << 22; alignment *= 2) {
        void *block = arena_alloc_aligned("test", arena, alignment, 100);
        CHECK(block != NULL && (uintptr_t)block % alignment == 0);
    }
    CHECK(arena_alloc_zeroed("test", arena, SIZE_MAX / 2, 3) == NULL && errno == ENOMEM);
    CHECK(arena_alloc("test", arena, SIZE_MAX) == NULL && errno == ENOMEM);
    CHECK_VALID();
    arena_destroy("test", arena);
    check_nothing_left();
}

static void nobody_takes_memory_from_an_arena(void) {
    struct mems_arena *arena = arena_create("kept");
    fill(arena);
    size_t first = 0;
    thread_run(free_some, &first);
    struct heap *heap = heap_of(entry_heap(page_map_load(window_unit(blocks[1]))));
    CHECK(!collect(heap, SIZE_MAX, false));
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        CHECK(idle_steal_anywhere(heap_mine != &heap_none ? heap_mine : begin_heap(), size_class) == NULL);
    }
    fill(arena); /* what was collected by somebody else is settled */
    CHECK_VALID();
    arena_destroy("test", arena);
    check_nothing_left();
}

/* A thread's abandoned slabs have blocks that are not the arena's. */
static void *leave_blocks(void *unused) {
    (void)unused;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = engine_alloc(300);
        memset(blocks[i], 5, 300);
    }
    for (size_t i = 0; i < BLOCKS; i += 2) {
        engine_free(blocks[i]);
    }
    return NULL;
}

static void an_arena_adopts_no_slab(void) {
    thread_run(leave_blocks, NULL);
    struct mems_arena *arena = arena_create("apart");
    for (size_t i = 0; i < BLOCKS; i++) {
        CHECK(arena_alloc("test", arena, 300) != NULL);
    }
    arena_destroy("test", arena);
    for (size_t i = 1; i < BLOCKS; i += 2) {
        CHECK_EQUAL(*(unsigned char *)blocks[i], 5);
        engine_free(blocks[i]);
    }
    check_nothing_left();
}

static void what_an_idle_arena_caches_goes_back(void) {
    struct mems_arena *arena = arena_create("idle");
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = arena_alloc("test", arena, 200);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        arena_free("test", arena, blocks[i]);
    }
    CHECK(stats_of(arena).held > 0);
    upkeep_reclaim_all(NULL);
    CHECK_EQUAL(stats_of(arena).held, 0);
    CHECK_VALID();
    arena_destroy("test", arena);
    check_nothing_left();
}

static void handles_are_told_from_earlier_ones(void) {
    struct mems_arena *handles[8];
    struct mems_arena *first = arena_create("a");
    arena_destroy("test", first);
    struct mems_arena *second = arena_create("a name that is much longer than an arena's name can be");
    CHECK(first != second);
    CHECK_EQUAL(heaps.made, 1);
    CHECK_EQUAL(strlen(stats_of(second).name), ARENA_NAME_MAX - 1);
    struct mems_arena *third = arena_create(NULL);
    CHECK_EQUAL(arena_list(handles, 8), 2);
    CHECK(handles[0] == second && handles[1] == third);
    CHECK_EQUAL(arena_list(handles, 0), 2);
    arena_destroy("test", second);
    arena_destroy("test", third);
    CHECK_EQUAL(arena_list(handles, 8), 0);
}

static void allocate_in_the_first(void) {
    struct mems_arena *first = arena_create("a");
    arena_destroy("test", first);
    (void)arena_create("b");
    (void)arena_alloc("arena_alloc", first, 1);
}

static void free_in_another(void) {
    struct mems_arena *first = arena_create("a");
    struct mems_arena *second = arena_create("b");
    arena_free("arena_free", second, arena_alloc("test", first, 100));
}

static void free_a_large_block_in_another(void) {
    struct mems_arena *arena = arena_create("a");
    arena_free("arena_free", arena, engine_alloc(100000));
}

static void free_after_the_end(void) {
    struct mems_arena *arena = arena_create("a");
    void *block = arena_alloc("test", arena, 100);
    arena_destroy("test", arena);
    engine_free(block);
}

static void free_a_large_block_after_the_end(void) {
    struct mems_arena *arena = arena_create("a");
    void *block = arena_alloc("test", arena, 100000);
    arena_destroy("test", arena);
    engine_free(block);
}

static void free_twice_here(void) {
    struct mems_arena *arena = arena_create("a");
    void *block = arena_alloc("test", arena, 100);
    arena_free("test", arena, block);
    arena_free("test", arena, block);
}

static void a_thread_without_a_heap_may_use_an_arena(void) {
    struct mems_arena *arena = arena_create("alone");
    CHECK(heap_mine == &heap_none);
    void *block = arena_alloc("test", arena, 100);
    CHECK(block != NULL && heap_mine == &heap_none);
    arena_free("test", arena, block);
    CHECK(heap_mine == &heap_none);
    arena_destroy("test", arena);
    CHECK_VALID();
}

static void memory_that_is_refused_is_an_error_and_the_arena_whole(void) {
    struct mems_arena *arena = arena_create("refused");
    size_t count = 0;
    os_inject(OS_CALL_MPROTECT, 0, UINT64_MAX, ENOMEM);
    while (count < BLOCKS && (blocks[count] = arena_alloc("test", arena, 30000)) != NULL) {
        count++;
    }
    CHECK(count < BLOCKS && errno == ENOMEM);
    CHECK(arena_alloc("test", arena, (size_t)1 << 30) == NULL && errno == ENOMEM);
    os_inject_clear();
    CHECK_VALID();
    CHECK_EQUAL(stats_of(arena).blocks, count);
    CHECK(arena_alloc("test", arena, 30000) != NULL);
    arena_destroy("test", arena);
    check_nothing_left();
}

static void use_in_child(void *arena) {
    CHECK_VALID();
    CHECK_EQUAL(stats_of(arena).blocks, BLOCKS - BLOCKS / 4);
    check_marks(1, 4);
    free_some(&(size_t){1});
    fill(arena);
    CHECK_VALID();
    arena_destroy("test", arena);
    CHECK_VALID();
    arena_destroy("test", arena_create("of the child"));
}

static pthread_barrier_t step;

/* A second thread, so that the child has something to make whole. */
static void *wait_for_the_end(void *unused) {
    (void)unused;
    engine_free(engine_alloc(100));
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    return NULL;
}

static void a_forked_child_has_the_arena_whole(void) {
    struct mems_arena *arena = arena_create("inherited");
    pthread_t thread = thread_hold(wait_for_the_end, NULL, &step);
    fill(arena);
    free_some(&(size_t){0});
    child_succeeds(use_in_child, arena);
    check_marks(1, 4);
    thread_release(thread, &step);
    arena_destroy("test", arena);
    check_nothing_left();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_BOTH_MODES(an_arena_has_its_blocks_to_itself_and_all_end_with_it),
        IN_BOTH_MODES(a_reset_arena_is_empty_and_goes_on),
        IN_BOTH_MODES(any_thread_frees_and_the_memory_is_used_again),
        FRESH(blocks_keep_their_contents_and_their_arena_when_they_are_resized),
        FRESH(large_blocks_that_are_freed_leave_the_arena),
        FRESH_WITH(large_blocks_that_are_freed_leave_the_arena, "harden=light"),
        FRESH_WITH(large_blocks_that_are_freed_leave_the_arena, "harden=full"),
        FRESH_WITH(records_of_empty_blocks_end_with_the_arena, "harden=full"),
        FRESH_WITH(a_block_that_was_being_freed_is_cleared, "harden=light"),
        FRESH_WITH(a_block_that_was_being_freed_is_cleared, "harden=full"),
        FRESH(realloc_takes_large_blocks_out_of_the_arena),
        FRESH_WITH(realloc_takes_large_blocks_out_of_the_arena, "harden=light"),
        FRESH_WITH(realloc_takes_large_blocks_out_of_the_arena, "harden=full"),
        FRESH(zeroed_and_aligned_blocks_are_so),
        IN_BOTH_MODES(nobody_takes_memory_from_an_arena),
        IN_BOTH_MODES(an_arena_adopts_no_slab),
        IN_BOTH_MODES(what_an_idle_arena_caches_goes_back),
        FRESH(handles_are_told_from_earlier_ones),
        FRESH_FAULT(allocate_in_the_first, "",
                    "arena_alloc(@): not an arena: none was made with this handle, or it has been destroyed"),
        FRESH_FAULT(free_in_another, "",
                    "arena_free(@): not a block of this arena: it belongs to another arena, or to none"),
        FRESH_FAULT(free_a_large_block_in_another, "",
                    "arena_free(@): not a block of this arena: it belongs to another arena, or to none"),
        FRESH_FAULT(free_after_the_end, "", "free(@): double free: in free memory of the window (a span of # bytes)"),
        FRESH_FAULT(free_a_large_block_after_the_end, "",
                    "free(@): double free: in free memory of the window (a span of # bytes)"),
        FRESH_FAULT(free_twice_here, "", "test(@): not a live block: slot # of a 112-byte slab, cached"),
        FRESH(a_thread_without_a_heap_may_use_an_arena),
        FRESH(memory_that_is_refused_is_an_error_and_the_arena_whole),
        IN_BOTH_MODES(a_forked_child_has_the_arena_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
