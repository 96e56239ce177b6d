/*
 * heap_test.c - the heap's promises one by one: merging, growing in place, moving the break, and running out of memory.
 */
#include "support/fresh.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "hmm/block.h"
#include "hmm/hmm_options.h"
#include "support/hmm_heap.h"

#define BUFFER ((size_t)64 << 10)
#define MANY 10000

static _Alignas(16) unsigned char buffer[BUFFER];

static void use_buffer(void) {
    CHECK(HmmUseBuffer(buffer, sizeof buffer) == 0);
}

/* One free block and nothing else. */
static void require_empty(void) {
    hmm_trim(&hmm_heap, BUFFER);
    CHECK_VALID();
    struct HmmStats stats = stats_now();
    CHECK(stats.used_blocks == 0 && stats.cached_blocks == 0 && stats.free_blocks == 1);
    CHECK(stats.largest_free == stats.free && stats.free + stats.overhead == stats.region);
}

static size_t fill(void **blocks, size_t size) {
    size_t count = 0;
    while (count < MANY && (blocks[count] = HmmAlloc(size)) != NULL) {
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
        CHECK(count < MANY && errno == ENOMEM);
        CHECK(count >= (BUFFER - 200) / block_size_for(size) - 1);
        CHECK(round == 0 || count == first);
        first = count;
        CHECK(stats_now().failures == (uint64_t)round + 1);
        CHECK_VALID();
        for (size_t i = 0; i < count; i++) { /* odd ones, then even ones, each time in another order */
            size_t j = (i * 7919 + (size_t)round) % count;
            while (blocks[j] == NULL) {
                j = (j + 1) % count;
            }
            HmmFree(blocks[j]);
            blocks[j] = NULL;
        }
        require_empty();
    }
    void *all = HmmAlloc(BUFFER - 200);
    CHECK(all != NULL && HmmAlloc(200) == NULL);
    HmmFree(all);
    require_empty();
}

static void a_full_buffer_serves_as_much_again_once_it_is_freed(void) {
    const size_t sizes[] = {0, 24, 40, 100, 1000, 5000, 20000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        expect_success(exhaust, &(size_t){sizes[i]});
    }
}

/* Blocks on quick lists are not lost to those who need them. */
static void cached_blocks_are_merged_in_need(void) {
    static void *blocks[MANY];
    use_buffer();
    for (size_t size = 0; size < 1000; size += 100) {
        for (size_t count = fill(blocks, size); count > 0; count--) {
            HmmFree(blocks[count - 1]);
        }
        CHECK(stats_now().cached_blocks > 0);
        void *all = HmmAlloc(BUFFER - 200);
        CHECK(all != NULL && stats_now().cached_blocks == 0);
        HmmFree(all);
        CHECK_VALID();
    }
}

static void a_realloc_that_fails_leaves_the_block(void) {
    use_buffer();
    char *block = HmmAlloc(1000);
    memset(block, 7, 1000);
    void *wall = HmmAlloc(10);
    errno = 0;
    CHECK(HmmRealloc(block, BUFFER) == NULL && errno == ENOMEM);
    CHECK(HmmRealloc(block, SIZE_MAX) == NULL && errno == ENOMEM);
    for (size_t i = 0; i < 1000; i++) {
        CHECK(block[i] == 7);
    }
    HmmFree(wall);
    HmmFree(block);
    require_empty();
}

/* The last block grows by less than a block's size while the buffer has little or nothing left. */
static void grow_by_the_last_bytes(void *argument) {
    size_t left = *(size_t *)argument;
    use_buffer();
    void *block = HmmAlloc(BUFFER - 200 + left);
    CHECK(block != NULL);
    while (HmmRealloc(block, HmmUsableSize(block) + 16) == block) {
        CHECK_VALID();
    }
    CHECK_VALID();
    CHECK(HmmUsableSize(block) > BUFFER - 96);
}

static void the_last_block_grows_into_the_last_bytes(void) {
    for (size_t left = 0; left < 128; left += 8) {
        expect_success(grow_by_the_last_bytes, &left);
    }
}

/* --- Sizes and alignment -------------------------------------------------------------------------------------- */

/* A break in a buffer, so that no system grants a terabyte. */
static void sizes_that_cannot_be_granted_fail_with_enomem(void) {
    use_buffer();
    const size_t sizes[] = {SIZE_MAX,       SIZE_MAX - 8,       SIZE_MAX - 64,   (size_t)PTRDIFF_MAX + 1,
                            PTRDIFF_MAX,    PTRDIFF_MAX - 4096, (size_t)1 << 45, ((size_t)1 << 40) - 1,
                            (size_t)1 << 39};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        errno = 0;
        CHECK(HmmAlloc(sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(HmmAlignedAlloc(4096, sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(HmmAlignedAlloc((size_t)1 << 62, sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(HmmCalloc(sizes[i] / 2, 3) == NULL && errno == ENOMEM);
        CHECK_VALID();
    }
    errno = 0;
    CHECK(HmmCalloc((size_t)1 << 33, (size_t)1 << 33) == NULL && errno == ENOMEM);
    errno = 5;
    void *block = HmmAlloc(1);
    HmmFree(block);
    hmm_trim(&hmm_heap, 0);
    CHECK(errno == 5);
}

static void every_alignment_up_to_a_mebibyte_is_kept(void) {
    for (size_t alignment = 1; alignment <= (size_t)1 << 20; alignment *= 2) {
        void *blocks[8];
        for (size_t i = 0; i < 8; i++) {
            size_t size = i * 37;
            blocks[i] = HmmAlignedAlloc(alignment, size);
            CHECK(blocks[i] != NULL && (uintptr_t)blocks[i] % alignment == 0 && (uintptr_t)blocks[i] % 16 == 0);
            CHECK(HmmUsableSize(blocks[i]) >= size && HmmUsableSize(blocks[i]) < size + 48);
            memset(blocks[i], 1, size);
            CHECK_VALID();
        }
        for (size_t i = 0; i < 8; i++) {
            HmmFree(blocks[(i * 3) % 8]);
        }
    }
    require_empty();
}

/* --- In place ------------------------------------------------------------------------------------------------- */

static void realloc_stays_in_place_where_it_can(void) {
    use_buffer();
    char *block = HmmAlloc(2000);
    void *next = HmmAlloc(2000);
    void *wall = HmmAlloc(2000);
    HmmFree(next);
    CHECK(HmmRealloc(block, 3500) == block); /* into the free block behind it */
    CHECK_VALID();
    CHECK(HmmRealloc(block, 100) == block && HmmUsableSize(block) < 150);
    CHECK_VALID();
    CHECK(HmmRealloc(wall, 30000) == wall); /* the last block: the break rises */
    CHECK_VALID();
    CHECK(HmmRealloc(wall, 2008) == wall);
    CHECK(HmmRealloc(block, 10000) != block); /* more than there is before the wall */
    CHECK_VALID();
}

static void neighbours_are_merged_in_whatever_order_they_are_freed(void) {
    use_buffer();
    /* Three neighbours are freed in every order. */
    const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int i = 0; i < 6; i++) {
        void *blocks[4];
        for (int j = 0; j < 4; j++) {
            blocks[j] = HmmAlloc(1100 + (size_t)j * 100);
        }
        for (int j = 0; j < 3; j++) {
            HmmFree(blocks[orders[i][j]]);
            CHECK_VALID();
        }
        CHECK(stats_now().free_blocks <= 2);
        CHECK(HmmAlloc(3500) == blocks[0]);
        HmmFree(blocks[0]);
        HmmFree(blocks[3]);
        require_empty();
    }
}

/* --- The break ------------------------------------------------------------------------------------------------ */

static void the_break_goes_up_and_down(void) {
    const size_t large = (size_t)8 << 20;
    void *small = HmmAlloc(100);
    size_t before = stats_now().region;
    char *block = HmmAlloc(large);
    memset(block, 1, large);
    CHECK(stats_now().region >= before + large);
    HmmFree(block);
    CHECK(stats_now().region < before + large / 4); /* at once: this much exceeds all hysteresis */
    CHECK(stats_now().peak >= before + large);
    block = HmmCalloc(large, 1);
    for (size_t i = 0; i < large; i++) {
        CHECK(block[i] == 0);
    }
    HmmFree(block);
    HmmFree(small);
    hmm_trim(&hmm_heap, 0);
    CHECK(stats_now().region <= 2 * os_page_size());
    CHECK_VALID();
}

static void the_break_moves_rarely(void) {
    static void *blocks[MANY];
    for (size_t i = 0; i < MANY; i++) {
        blocks[i] = HmmAlloc(1000);
    }
    CHECK(stats_now().break_moves < 100); /* for 10 MB; in steps of 64 KiB it would be 160 */
    for (size_t i = 0; i < MANY; i++) {
        HmmFree(blocks[i]);
    }
    CHECK(stats_now().break_moves < 110);
    uint64_t moves = stats_now().break_moves;
    for (size_t i = 0; i < MANY; i++) { /* at the limit one block comes and goes */
        HmmFree(HmmAlloc(100000));
    }
    CHECK(stats_now().break_moves <= moves + 2);
}

static void a_break_that_is_refused_leaves_a_valid_heap(void) {
    void *first = HmmAlloc(100);
    os_inject(OS_CALL_BRK, 0, UINT64_MAX, ENOMEM);
    os_inject(OS_CALL_MPROTECT, 0, UINT64_MAX, ENOMEM);
    errno = 0;
    CHECK(HmmAlloc((size_t)4 << 20) == NULL && errno == ENOMEM);
    CHECK_VALID();
    os_inject_clear();
    void *second = HmmAlloc((size_t)4 << 20);
    CHECK(second != NULL);
    os_inject(OS_CALL_BRK, 0, UINT64_MAX, ENOMEM);
    HmmFree(second); /* the break cannot fall: the memory stays available */
    CHECK_VALID();
    CHECK(HmmAlloc((size_t)3 << 20) != NULL);
    HmmFree(first);
    CHECK_VALID();
}

static void a_reserved_break_replaces_one_that_is_refused(void) {
    os_inject(OS_CALL_BRK, 0, UINT64_MAX, ENOMEM);
    void *block = HmmAlloc(100000);
    CHECK(block != NULL);
    CHECK_VALID();
    HmmFree(block);
}

/* If address space is short, less is reserved. */
static void less_is_reserved_where_the_address_space_is_short(void) {
    os_inject(OS_CALL_MMAP, 0, 8, ENOMEM);
    a_reserved_break_replaces_one_that_is_refused();
    CHECK(os_inject_calls(OS_CALL_MMAP) > 8);
}

/* --- Blame ---------------------------------------------------------------------------------------------------- */

static char *damaged;

static void check_blame(const char *line) {
    char address[32];
    snprintf(address, sizeof address, "(%p)", (void *)damaged);
    CHECK(strstr(line, address) != NULL);
    _exit(0);
}

/* The report names the block that was written to, whichever of the two in its bin the heap was about to use. */
static void blame_the_neighbour(void *which) {
    char *blocks[5];
    for (int i = 0; i < 5; i++) {
        blocks[i] = HmmAlloc(5000);
    }
    HmmFree(blocks[1]);
    HmmFree(blocks[3]);
    damaged = blocks[*(int *)which];
    memset(damaged, 'x', 16);
    HmmSetFaultHandler(check_blame);
    HmmFree(damaged == blocks[1] ? blocks[4] : blocks[0]); /* merges with the undamaged one */
    CHECK(false);
}

static void of_two_free_blocks_the_damaged_one_is_named(void) {
    expect_success(blame_the_neighbour, &(int){1});
    expect_success(blame_the_neighbour, &(int){3});
}

/* --- Zeroed memory -------------------------------------------------------------------------------------------- */

static void require_zero(const char *block, size_t size) {
    CHECK(block != NULL);
    for (size_t i = 0; i < size; i++) {
        CHECK(block[i] == 0);
    }
}

/* The break rises exactly as far as the block needs, over memory used before: the heap had written its last bytes. */
static void calloc_is_zero_to_the_end_of_the_block(void) {
    for (size_t size = 58000; size < 64000; size += 8) {
        char *block = HmmCalloc(1, size);
        require_zero(block, size);
        memset(block, 0xFF, HmmUsableSize(block));
        HmmFree(block);
        hmm_trim(&hmm_heap, 0);
    }
}

/* The system does not take the memory back, so it is not zero when the break rises again. */
static void calloc_is_zero_where_the_system_keeps_the_pages(void) {
    os_inject(OS_CALL_MADVISE, 0, UINT64_MAX, EPERM);
    calloc_is_zero_to_the_end_of_the_block();
}

/* With a used block, or a free one that was used, before the memory that the break rises over. */
static void calloc_is_zero_behind_memory_that_was_used(void) {
    for (size_t size = 2000; size < 300000; size = size * 9 / 8 / 8 * 8) {
        char *before = HmmAlloc(size);
        memset(before, 0xFF, size);
        void *wall = HmmAlloc(100000);
        memset(wall, 0xFF, 100000);
        HmmFree(before);
        char *block = HmmCalloc(2, size);
        require_zero(block, 2 * size);
        memset(block, 0xFF, 2 * size);
        HmmFree(wall);
        char *other = HmmCalloc(8, size);
        require_zero(other, 8 * size);
        HmmFree(block);
        HmmFree(other);
        CHECK_VALID();
    }
}

static void need_the_real_break(void) {
    if (!real_break_moves()) {
        child_cannot();
    }
}

/* Others leave the break in the middle of a page that they have written to. */
static void calloc_is_zero_where_others_have_moved_the_break(void) {
    need_the_real_break();
    for (intptr_t back = 100; back < 5000; back += 700) {
        void *was;
        CHECK(os_move_break(8000, &was) == 0);
        memset(was, 0x77, 8000);
        CHECK(os_move_break(-back, &was) == 0);
        require_zero(HmmCalloc(1, 300000), 300000);
    }
}

/* Somebody else's memory lies in between; it is never touched or given back. */
static void memory_of_others_on_the_break_is_left_alone(void) {
    enum { PIECES = 20, FOREIGN = 5000 };
    void *blocks[PIECES];
    void *foreign[PIECES];
    need_the_real_break();
    for (int i = 0; i < PIECES; i++) {
        blocks[i] = HmmAlloc(200000);
        CHECK(blocks[i] != NULL && os_move_break(FOREIGN, &foreign[i]) == 0);
        memset(blocks[i], 1, 200000);
        memset(foreign[i], 0x77, FOREIGN);
        CHECK_VALID();
    }
    void *end;
    CHECK(os_move_break(0, &end) == 0);
    for (int i = 0; i < PIECES; i++) {
        HmmFree(blocks[i]);
        CHECK_VALID();
    }
    hmm_trim(&hmm_heap, 0); /* gives back pages, but no part of the break */
    void *now;
    CHECK(os_move_break(0, &now) == 0 && now == end);
    for (int i = 0; i < PIECES; i++) {
        for (int j = 0; j < FOREIGN; j++) {
            CHECK(((char *)foreign[i])[j] == 0x77);
        }
    }
    CHECK(stats_now().regions == PIECES);
}

/* Somebody has mistakenly lowered the break into the heap. It does not grow over itself, but continues elsewhere. */
static void a_break_that_others_have_lowered_is_not_grown_over(void) {
    void *was;
    need_the_real_break();
    CHECK(HmmAlloc(100) != NULL && os_move_break(-16, &was) == 0);
    char *block = HmmAlloc((size_t)1 << 20);
    CHECK(block != NULL && (block + ((size_t)1 << 20) < (char *)was || block > (char *)was));
    memset(block, 1, (size_t)1 << 20);
    CHECK(stats_now().regions == 2);
    CHECK_VALID();
}

/* --- Further regions ------------------------------------------------------------------------------------------ */

/* Maps somebody else's page right behind the break, or 8 MiB above it. */
static void block_the_break(size_t distance) {
    void *now;
    need_the_real_break();
    HmmFree(HmmAlloc(100));
    CHECK(os_move_break(0, &now) == 0);
    uintptr_t at = round_up((uintptr_t)now + distance, os_page_size());
    void *obstacle = mmap((char *)now + (at - (uintptr_t)now), os_page_size(), PROT_READ,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    CHECK(obstacle != MAP_FAILED);
}

static void use_much_memory(void) {
    enum { BLOCKS = 200 };
    const size_t size = (size_t)512 << 10;
    char *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = HmmCalloc(1, size);
        CHECK(blocks[i] != NULL && blocks[i][0] == 0 && blocks[i][size - 1] == 0);
        blocks[i][size / 2] = 1;
    }
    CHECK_VALID();
    for (size_t i = 0; i < BLOCKS; i++) {
        HmmFree(blocks[(i * 7) % BLOCKS]);
        CHECK_VALID();
    }
}

static void the_heap_goes_on_where_something_lies_behind_the_break(void) {
    block_the_break(0);
    use_much_memory();
    CHECK(stats_now().regions == 2 && stats_now().region < (size_t)4 << 20);
}

static void the_heap_goes_on_where_something_lies_above_the_break(void) {
    block_the_break((size_t)8 << 20);
    use_much_memory();
    use_much_memory();
    CHECK(stats_now().regions == 2);
}

/* With little address space left, further regions take what they need of it, one by one. */
static void further_regions_are_small_where_the_address_space_is_limited(void) {
    struct os_usage usage;
    block_the_break(0);
    os_usage(&usage);
    const struct rlimit limit = {usage.mapped + ((size_t)64 << 20), usage.mapped + ((size_t)64 << 20)};
    hmm_confine(); /* as the library's own setrlimit does */
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    hmm_ask_limits();
    if (os_address_limit() != limit.rlim_cur) {
        child_cannot(); /* an emulator needs address space itself */
    }
    size_t got = 0;
    while (HmmAlloc((size_t)1 << 20) != NULL) {
        got++;
    }
    CHECK(got >= 40 && stats_now().regions > 2);
    CHECK_VALID();
}

/* However often others move the break, the heap continues: in reserved memory once it has many regions. */
static void a_break_that_others_move_again_and_again_is_given_up(void) {
    void *foreign;
    need_the_real_break();
    for (int i = 0; i < 100; i++) {
        CHECK(HmmAlloc(200000) != NULL && os_move_break(5000, &foreign) == 0);
    }
    CHECK(stats_now().regions <= 32);
    CHECK_VALID();
    use_much_memory();
}

/* Memory between regions is not ours, and may not be mapped. */
static void free_in_a_gap(void *unused) {
    (void)unused;
    void *gap;
    CHECK(HmmAlloc(1000) != NULL && os_move_break(1 << 20, &gap) == 0 && HmmAlloc(1000000) != NULL);
    char *page = (char *)gap + (round_up((uintptr_t)gap, os_page_size()) - (uintptr_t)gap);
    CHECK(munmap(page, (size_t)1 << 19) == 0);
    HmmFree(page + 4096);
}

static void what_lies_between_regions_is_not_from_this_heap(void) {
    if (real_break_moves()) {
        expect_fault(free_in_a_gap, NULL, "HmmFree(@): not from this heap");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(a_full_buffer_serves_as_much_again_once_it_is_freed),
        FRESH(cached_blocks_are_merged_in_need),
        PLAIN(the_last_block_grows_into_the_last_bytes),
        FRESH(a_realloc_that_fails_leaves_the_block),
        FRESH(sizes_that_cannot_be_granted_fail_with_enomem),
        FRESH(every_alignment_up_to_a_mebibyte_is_kept),
        FRESH(realloc_stays_in_place_where_it_can),
        FRESH(neighbours_are_merged_in_whatever_order_they_are_freed),
        ON_BOTH_BREAKS(the_break_goes_up_and_down),
        FRESH(the_break_moves_rarely),
        FRESH(a_break_that_is_refused_leaves_a_valid_heap),
        FRESH(a_reserved_break_replaces_one_that_is_refused),
        FRESH(less_is_reserved_where_the_address_space_is_short),
        PLAIN(of_two_free_blocks_the_damaged_one_is_named),
        FRESH_WITH(calloc_is_zero_to_the_end_of_the_block, "break=simulated,size=64k"),
        FRESH_WITH(calloc_is_zero_to_the_end_of_the_block, "break=real,size=64k"),
        FRESH_WITH(calloc_is_zero_where_the_system_keeps_the_pages, "break=simulated,size=64k"),
        ON_BOTH_BREAKS(calloc_is_zero_behind_memory_that_was_used),
        FRESH(calloc_is_zero_where_others_have_moved_the_break),
        FRESH(memory_of_others_on_the_break_is_left_alone),
        FRESH(a_break_that_others_have_lowered_is_not_grown_over),
        FRESH(the_heap_goes_on_where_something_lies_behind_the_break),
        FRESH(the_heap_goes_on_where_something_lies_above_the_break),
        FRESH(further_regions_are_small_where_the_address_space_is_limited),
        FRESH(a_break_that_others_move_again_and_again_is_given_up),
        PLAIN(what_lies_between_regions_is_not_from_this_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
