/*
 * heap_test.c - the heap's promises one by one: merging, growing in place, the break's way up and down, and what
 * happens when there is no more memory.
 */
#include "trial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hmm/block.h"

#define BUFFER ((size_t)64 << 10)
#define MANY 10000

static _Alignas(16) unsigned char buffer[BUFFER];

static void use_buffer(void) {
    REQUIRE(HmmUseBuffer(buffer, sizeof buffer) == 0);
}

/* One free block and nothing else. */
static void require_empty(void) {
    hmm_trim(BUFFER);
    REQUIRE_VALID();
    struct HmmStats stats = stats_now();
    REQUIRE(stats.used_blocks == 0 && stats.cached_blocks == 0 && stats.free_blocks == 1);
    REQUIRE(stats.largest_free == stats.free && stats.free + stats.overhead == stats.region);
}

static size_t fill(void **blocks, size_t size) {
    size_t count = 0;
    while (count < MANY && (blocks[count] = hmm_alloc(size)) != NULL) {
        memset(blocks[count], 0xA5, size);
        count++;
    }
    return count;
}

/* --- A full buffer ------------------------------------------------------------------------------------------- */

static void exhaust(void *argument) {
    size_t size = *(const size_t *)argument;
    static void *blocks[MANY];
    use_buffer();
    size_t first = 0;
    for (int round = 0; round < 5; round++) {
        errno = 0;
        size_t count = fill(blocks, size);
        REQUIRE(count < MANY && errno == ENOMEM);
        REQUIRE(count >= (BUFFER - 200) / block_size_for(size) - 1);
        REQUIRE(round == 0 || count == first);
        first = count;
        REQUIRE(stats_now().failures == (uint64_t)round + 1);
        REQUIRE_VALID();
        for (size_t i = 0; i < count; i++) { /* odd ones, then even ones, in another order each time */
            size_t j = (i * 7919 + (size_t)round) % count;
            while (blocks[j] == NULL) {
                j = (j + 1) % count;
            }
            hmm_free("test", blocks[j]);
            blocks[j] = NULL;
        }
        require_empty();
    }
    void *all = hmm_alloc(BUFFER - 200);
    REQUIRE(all != NULL && hmm_alloc(200) == NULL);
    hmm_free("test", all);
    require_empty();
}

static void test_exhaustion_and_recovery(void **state) {
    (void)state;
    const size_t sizes[] = {0, 24, 40, 100, 1000, 5000, 20000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        expect_success(exhaust, &(size_t){sizes[i]});
    }
}

/* What waits on quick lists is no loss to those who need it. */
static void use_cached_memory(void *unused) {
    (void)unused;
    static void *blocks[MANY];
    use_buffer();
    for (size_t size = 0; size < 1000; size += 100) {
        for (size_t count = fill(blocks, size); count > 0; count--) {
            hmm_free("test", blocks[count - 1]);
        }
        REQUIRE(stats_now().cached_blocks > 0);
        void *all = hmm_alloc(BUFFER - 200);
        REQUIRE(all != NULL && stats_now().cached_blocks == 0);
        hmm_free("test", all);
        REQUIRE_VALID();
    }
}

static void test_cached_blocks_are_merged_in_need(void **state) {
    (void)state;
    expect_success(use_cached_memory, NULL);
}

static void fail_to_grow(void *unused) {
    (void)unused;
    use_buffer();
    char *block = hmm_alloc(1000);
    memset(block, 7, 1000);
    void *wall = hmm_alloc(10);
    errno = 0;
    REQUIRE(hmm_realloc("test", block, BUFFER) == NULL && errno == ENOMEM);
    REQUIRE(hmm_realloc("test", block, SIZE_MAX) == NULL && errno == ENOMEM);
    for (size_t i = 0; i < 1000; i++) {
        REQUIRE(block[i] == 7);
    }
    hmm_free("test", wall);
    hmm_free("test", block);
    require_empty();
}

static void test_realloc_that_fails_leaves_the_block(void **state) {
    (void)state;
    expect_success(fail_to_grow, NULL);
}

/* The last block grows by less than a block's size, where the buffer has little more, or no more. */
static void grow_by_the_last_bytes(void *argument) {
    size_t left = *(size_t *)argument;
    use_buffer();
    void *block = hmm_alloc(BUFFER - 200 + left);
    REQUIRE(block != NULL);
    while (hmm_realloc("test", block, hmm_usable_size("test", block) + 16) == block) {
        REQUIRE_VALID();
    }
    REQUIRE_VALID();
    REQUIRE(hmm_usable_size("test", block) > BUFFER - 96);
}

static void test_growth_by_the_last_bytes(void **state) {
    (void)state;
    for (size_t left = 0; left < 128; left += 8) {
        expect_success(grow_by_the_last_bytes, &left);
    }
}

/* --- Sizes and alignment -------------------------------------------------------------------------------------- */

static void ask_for_too_much(void *unused) {
    (void)unused;
    const size_t sizes[] = {SIZE_MAX,       SIZE_MAX - 8,       SIZE_MAX - 64,   (size_t)PTRDIFF_MAX + 1,
                            PTRDIFF_MAX,    PTRDIFF_MAX - 4096, (size_t)1 << 45, ((size_t)1 << 40) - 1,
                            (size_t)1 << 39};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        errno = 0;
        REQUIRE(hmm_alloc(sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        REQUIRE(hmm_alloc_aligned(4096, sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        REQUIRE(hmm_alloc_aligned((size_t)1 << 62, sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        REQUIRE(hmm_alloc_zeroed(sizes[i] / 2, 3) == NULL && errno == ENOMEM);
        REQUIRE_VALID();
    }
    errno = 0;
    REQUIRE(hmm_alloc_zeroed((size_t)1 << 33, (size_t)1 << 33) == NULL && errno == ENOMEM);
    errno = 5;
    void *block = hmm_alloc(1);
    hmm_free("test", block);
    hmm_trim(0);
    REQUIRE(errno == 5);
}

/* A break in a buffer, so that no system says yes to a terabyte. */
static void ask_a_buffer_for_too_much(void *unused) {
    use_buffer();
    ask_for_too_much(unused);
}

static void test_sizes_that_cannot_be(void **state) {
    (void)state;
    expect_success(ask_a_buffer_for_too_much, NULL);
}

static void align(void *unused) {
    (void)unused;
    for (size_t alignment = 1; alignment <= (size_t)1 << 20; alignment *= 2) {
        void *blocks[8];
        for (size_t i = 0; i < 8; i++) {
            size_t size = i * 37;
            blocks[i] = hmm_alloc_aligned(alignment, size);
            REQUIRE(blocks[i] != NULL && (uintptr_t)blocks[i] % alignment == 0 && (uintptr_t)blocks[i] % 16 == 0);
            REQUIRE(hmm_usable_size("test", blocks[i]) >= size && hmm_usable_size("test", blocks[i]) < size + 48);
            memset(blocks[i], 1, size);
            REQUIRE_VALID();
        }
        for (size_t i = 0; i < 8; i++) {
            hmm_free("test", blocks[(i * 3) % 8]);
        }
    }
    require_empty();
}

static void test_alignment_up_to_a_mebibyte(void **state) {
    (void)state;
    expect_success(align, NULL);
}

/* --- In place ------------------------------------------------------------------------------------------------- */

static void grow_in_place(void *unused) {
    (void)unused;
    use_buffer();
    char *block = hmm_alloc(2000);
    void *next = hmm_alloc(2000);
    void *wall = hmm_alloc(2000);
    hmm_free("test", next);
    REQUIRE(hmm_realloc("test", block, 3500) == block); /* into the free block behind it */
    REQUIRE_VALID();
    REQUIRE(hmm_realloc("test", block, 100) == block && hmm_usable_size("test", block) < 150);
    REQUIRE_VALID();
    REQUIRE(hmm_realloc("test", wall, 30000) == wall); /* the last block: the break goes up */
    REQUIRE_VALID();
    REQUIRE(hmm_realloc("test", wall, 2008) == wall);
    REQUIRE(hmm_realloc("test", block, 10000) != block); /* more than there is before the wall */
    REQUIRE_VALID();
}

static void test_realloc_in_place(void **state) {
    (void)state;
    expect_success(grow_in_place, NULL);
}

static void merge_both_ways(void *unused) {
    (void)unused;
    use_buffer();
    /* Each order in which three neighbours can be freed. */
    const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int i = 0; i < 6; i++) {
        void *blocks[4];
        for (int j = 0; j < 4; j++) {
            blocks[j] = hmm_alloc(1100 + (size_t)j * 100);
        }
        for (int j = 0; j < 3; j++) {
            hmm_free("test", blocks[orders[i][j]]);
            REQUIRE_VALID();
        }
        REQUIRE(stats_now().free_blocks <= 2);
        REQUIRE(hmm_alloc(3500) == blocks[0]);
        hmm_free("test", blocks[0]);
        hmm_free("test", blocks[3]);
        require_empty();
    }
}

static void test_neighbours_are_merged(void **state) {
    (void)state;
    expect_success(merge_both_ways, NULL);
}

/* --- The break ------------------------------------------------------------------------------------------------ */

static void up_and_down(void *kind) {
    REQUIRE(hmm_option_set("break", kind) == 0);
    const size_t large = (size_t)8 << 20;
    void *small = hmm_alloc(100);
    size_t before = stats_now().region;
    char *block = hmm_alloc(large);
    memset(block, 1, large);
    REQUIRE(stats_now().region >= before + large);
    hmm_free("test", block);
    REQUIRE(stats_now().region < before + large / 4); /* at once: so much is beyond all hysteresis */
    REQUIRE(stats_now().peak >= before + large);
    block = hmm_alloc_zeroed(large, 1);
    for (size_t i = 0; i < large; i++) {
        REQUIRE(block[i] == 0);
    }
    hmm_free("test", block);
    hmm_free("test", small);
    hmm_trim(0);
    REQUIRE(stats_now().region <= 2 * os_page_size());
    REQUIRE_VALID();
}

static void test_break_goes_up_and_down(void **state) {
    (void)state;
    expect_success(up_and_down, "real");
    expect_success(up_and_down, "simulated");
}

static void count_moves(void *unused) {
    (void)unused;
    static void *blocks[MANY];
    for (size_t i = 0; i < MANY; i++) {
        blocks[i] = hmm_alloc(1000);
    }
    REQUIRE(stats_now().break_moves < 100); /* for 10 MB: in steps of 64 KiB it would be 160 */
    for (size_t i = 0; i < MANY; i++) {
        hmm_free("test", blocks[i]);
    }
    REQUIRE(stats_now().break_moves < 110);
    uint64_t moves = stats_now().break_moves;
    for (size_t i = 0; i < MANY; i++) { /* at the edge: one block comes and goes */
        hmm_free("test", hmm_alloc(100000));
    }
    REQUIRE(stats_now().break_moves <= moves + 2);
}

static void test_break_moves_rarely(void **state) {
    (void)state;
    expect_success(count_moves, NULL);
}

static void refuse_break(void *unused) {
    (void)unused;
    void *first = hmm_alloc(100);
    os_inject(OS_CALL_SBRK, 0, UINT64_MAX, ENOMEM);
    os_inject(OS_CALL_MPROTECT, 0, UINT64_MAX, ENOMEM);
    errno = 0;
    REQUIRE(hmm_alloc((size_t)4 << 20) == NULL && errno == ENOMEM);
    REQUIRE_VALID();
    os_inject_clear();
    void *second = hmm_alloc((size_t)4 << 20);
    REQUIRE(second != NULL);
    os_inject(OS_CALL_SBRK, 0, UINT64_MAX, ENOMEM);
    hmm_free("test", second); /* the break cannot go down: the memory stays, and can be had again */
    REQUIRE_VALID();
    REQUIRE(hmm_alloc((size_t)3 << 20) != NULL);
    hmm_free("test", first);
    REQUIRE_VALID();
}

static void test_break_that_is_refused(void **state) {
    (void)state;
    expect_success(refuse_break, NULL);
}

static void fall_back(void *unused) {
    (void)unused;
    os_inject(OS_CALL_SBRK, 0, UINT64_MAX, ENOMEM);
    void *block = hmm_alloc(100000);
    REQUIRE(block != NULL);
    REQUIRE_VALID();
    hmm_free("test", block);
}

/* Where the address space is short, less of it is reserved. */
static void fall_back_further(void *unused) {
    os_inject(OS_CALL_MMAP, 0, 8, ENOMEM);
    fall_back(unused);
    REQUIRE(os_inject_calls(OS_CALL_MMAP) > 8);
}

static void test_without_a_real_break(void **state) {
    (void)state;
    expect_success(fall_back, NULL);
    expect_success(fall_back_further, NULL);
}

/* --- Blame ---------------------------------------------------------------------------------------------------- */

static char *damaged;

static void check_blame(const char *line) {
    char address[32];
    snprintf(address, sizeof address, "(%p)", (void *)damaged);
    REQUIRE(strstr(line, address) != NULL);
    _exit(0);
}

/* Of two free blocks of one bin the one is named that was written to, whichever of them the heap was about to use. */
static void blame_the_neighbour(void *which) {
    char *blocks[5];
    for (int i = 0; i < 5; i++) {
        blocks[i] = hmm_alloc(5000);
    }
    hmm_free("test", blocks[1]);
    hmm_free("test", blocks[3]);
    damaged = blocks[*(int *)which];
    memset(damaged, 'x', 16);
    HmmSetFaultHandler(check_blame);
    hmm_free("test", damaged == blocks[1] ? blocks[4] : blocks[0]); /* merges with the sound one */
    REQUIRE(false);
}

static void test_blame(void **state) {
    (void)state;
    expect_success(blame_the_neighbour, &(int){1});
    expect_success(blame_the_neighbour, &(int){3});
}

/* --- Zeroed memory -------------------------------------------------------------------------------------------- */

static void require_zero(const char *block, size_t size) {
    REQUIRE(block != NULL);
    for (size_t i = 0; i < size; i++) {
        REQUIRE(block[i] == 0);
    }
}

/* The break rises as far as the block needs, over memory that was used before: the block's last bytes are the heap's.
 */
static void zero_to_the_end(void *kind) {
    REQUIRE(hmm_option_set("break", kind) == 0 && hmm_option_set("size", "64k") == 0);
    for (size_t size = 58000; size < 64000; size += 8) {
        char *block = hmm_alloc_zeroed(1, size);
        require_zero(block, size);
        memset(block, 0xFF, hmm_usable_size("test", block));
        hmm_free("test", block);
        hmm_trim(0);
    }
}

/* The system does not take the memory back, and so it is not zero when the break rises again. */
static void zero_when_refused(void *unused) {
    (void)unused;
    os_inject(OS_CALL_MADVISE, 0, UINT64_MAX, EPERM);
    zero_to_the_end("simulated");
}

/* With a used block, or a free one that was used, before what the break rises over. */
static void zero_behind(void *kind) {
    REQUIRE(hmm_option_set("break", kind) == 0);
    for (size_t size = 2000; size < 300000; size = size * 9 / 8 / 8 * 8) {
        char *before = hmm_alloc(size);
        memset(before, 0xFF, size);
        void *wall = hmm_alloc(100000);
        memset(wall, 0xFF, 100000);
        hmm_free("test", before);
        char *block = hmm_alloc_zeroed(2, size);
        require_zero(block, 2 * size);
        memset(block, 0xFF, 2 * size);
        hmm_free("test", wall);
        char *other = hmm_alloc_zeroed(8, size);
        require_zero(other, 8 * size);
        hmm_free("test", block);
        hmm_free("test", other);
        REQUIRE_VALID();
    }
}

static void test_zeroed_memory(void **state) {
    (void)state;
    expect_success(zero_to_the_end, "simulated");
    expect_success(zero_to_the_end, "real");
    expect_success(zero_when_refused, NULL);
    expect_success(zero_behind, "simulated");
    expect_success(zero_behind, "real");
}

/* Others leave the break in the middle of a page that they have written to. */
static void zero_after_others(void *unused) {
    (void)unused;
    for (intptr_t back = 100; back < 5000; back += 700) {
        void *was;
        REQUIRE(os_move_break(8000, &was) == 0);
        memset(was, 0x77, 8000);
        REQUIRE(os_move_break(-back, &was) == 0);
        require_zero(hmm_alloc_zeroed(1, 300000), 300000);
    }
}

static void test_zeroed_memory_after_others(void **state) {
    (void)state;
    if (!real_break_moves()) {
        skip();
    }
    expect_success(zero_after_others, NULL);
}

/* Somebody else's memory lies in between, and is never touched nor given back. */
static void share_the_break(void *unused) {
    (void)unused;
    enum { PIECES = 20, FOREIGN = 5000 };
    void *blocks[PIECES];
    void *foreign[PIECES];
    for (int i = 0; i < PIECES; i++) {
        blocks[i] = hmm_alloc(200000);
        REQUIRE(blocks[i] != NULL && os_move_break(FOREIGN, &foreign[i]) == 0);
        memset(blocks[i], 1, 200000);
        memset(foreign[i], 0x77, FOREIGN);
        REQUIRE_VALID();
    }
    void *end;
    REQUIRE(os_move_break(0, &end) == 0);
    for (int i = 0; i < PIECES; i++) {
        hmm_free("test", blocks[i]);
        REQUIRE_VALID();
    }
    REQUIRE(hmm_trim(0) == 0);
    void *now;
    REQUIRE(os_move_break(0, &now) == 0 && now == end);
    for (int i = 0; i < PIECES; i++) {
        for (int j = 0; j < FOREIGN; j++) {
            REQUIRE(((char *)foreign[i])[j] == 0x77);
        }
    }
    REQUIRE(stats_now().regions == PIECES);
}

/* Somebody has lowered the break into the heap, by mistake: it does not grow over itself. */
static void lose_the_break(void *unused) {
    (void)unused;
    void *was;
    REQUIRE(hmm_alloc(100) != NULL && os_move_break(-16, &was) == 0);
    REQUIRE(hmm_alloc((size_t)1 << 20) == NULL && hmm_trim(0) == 0);
    REQUIRE_VALID();
}

static void test_break_that_others_move(void **state) {
    (void)state;
    if (!real_break_moves()) {
        skip();
    }
    expect_success(share_the_break, NULL);
    expect_success(lose_the_break, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exhaustion_and_recovery),
        cmocka_unit_test(test_cached_blocks_are_merged_in_need),
        cmocka_unit_test(test_growth_by_the_last_bytes),
        cmocka_unit_test(test_realloc_that_fails_leaves_the_block),
        cmocka_unit_test(test_sizes_that_cannot_be),
        cmocka_unit_test(test_alignment_up_to_a_mebibyte),
        cmocka_unit_test(test_realloc_in_place),
        cmocka_unit_test(test_neighbours_are_merged),
        cmocka_unit_test(test_break_goes_up_and_down),
        cmocka_unit_test(test_break_moves_rarely),
        cmocka_unit_test(test_break_that_is_refused),
        cmocka_unit_test(test_without_a_real_break),
        cmocka_unit_test(test_blame),
        cmocka_unit_test(test_zeroed_memory),
        cmocka_unit_test(test_zeroed_memory_after_others),
        cmocka_unit_test(test_break_that_others_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
