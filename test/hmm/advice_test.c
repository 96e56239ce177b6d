/*
 * advice_test.c - what the program's madvise sets for the pages of a block ends with the block.
 */
#include "support/fresh.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hmm/advice.h"
#include "support/hmm_heap.h"

#define PAGES 16

static size_t page;
static char *before;

/* A block of PAGES whole pages between two others. */
static char *make_block(void) {
    page = os_page_size();
    before = HmmAlloc(3 * page);
    char *block = HmmAlignedAlloc(page, PAGES * page);
    char *behind = HmmAlloc(3 * page);
    CHECK(before != NULL && block != NULL && behind != NULL);
    memset(block, 1, PAGES * page);
    return block;
}

static void set(char *start, size_t size, int advice) {
    int error = os_advise(start, size, advice);
    if (error != 0) {
        child_cannot();
    }
    hmm_advised(start, size, advice);
}

/* Whether a forked child finds a byte of the parent's at an address: that is neither wiped nor missing. */
static bool is_in_child(volatile char *address) {
    *address = 42;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        _exit(*address == 42 ? 0 : 1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void need_advice(char *address) {
    if (is_in_child(address)) {
        child_cannot(); /* an emulator does not pass it on */
    }
}

/* The pages in the middle of a freed block hold nothing of the heap's. */
static void ends_with_the_block(int advice) {
    for (int round = 0; round < 100; round++) { /* more than are remembered one by one */
        char *block = make_block();
        set(block, PAGES * page, advice);
        if (round == 0) {
            need_advice(block + 5 * page);
        }
        HmmFree(block);
        CHECK(round % 33 != 0 || (is_in_child(block + page) && is_in_child(block + (PAGES - 2) * page)));
    }
    CHECK_VALID();
}

static void what_is_not_passed_to_children_ends_with_the_block(void) {
    ends_with_the_block(MADV_DONTFORK);
}

static void what_is_wiped_in_children_ends_with_the_block(void) {
    ends_with_the_block(MADV_WIPEONFORK);
}

static void advice_ends_with_a_block_that_moves_or_shrinks(void) {
    char *block = make_block();
    set(block, PAGES * page, MADV_DONTFORK);
    need_advice(block);
    CHECK(HmmRealloc(block, 4 * page) == block);
    CHECK(!is_in_child(block) && !is_in_child(block + 3 * page)); /* the rest keeps it */
    CHECK(is_in_child(block + 8 * page));
    CHECK(HmmRealloc(block, 4 * PAGES * page) != block);
    CHECK(is_in_child(block + page));
    CHECK_VALID();
}

static void many_blocks_lose_their_advice(void) {
    enum { BLOCKS = 200 };
    char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = make_block();
        set(blocks[i], PAGES * page, MADV_DONTFORK);
    }
    need_advice(blocks[BLOCKS - 1]);
    for (int i = 1; i < BLOCKS; i += 2) {
        HmmFree(blocks[i]);
    }
    for (int i = 0; i < BLOCKS; i++) {
        CHECK(i % 33 != 0 || is_in_child(blocks[i] + page) == (i % 2 == 1));
    }
    CHECK_VALID();
}

static void other_memory_and_neighbours_keep_their_advice(void) {
    char *block = make_block();
    char *mapped = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(mapped != MAP_FAILED);
    set(mapped, 4 * page, MADV_DONTFORK);
    CHECK(!atomic_load(&hmm_advice_given));
    need_advice(mapped);
    set(block, PAGES * page, MADV_DONTFORK);
    HmmFree(before);
    CHECK(!is_in_child(block) && !is_in_child(mapped));
    CHECK_VALID();
}

/* Also the page that the heap writes its links to. */
static void closed_pages_are_open_when_the_heap_needs_them(void) {
    for (int round = 0; round < 100; round++) {
        char *block = make_block();
        CHECK(mprotect(block, 2 * page, round % 2 ? PROT_NONE : PROT_READ) == 0);
        hmm_advised(block, 2 * page, HMM_PROTECTED);
        HmmFree(block);
        block[page] = 1;
    }
    CHECK_VALID();
}

/* A guard is a mark on pages that stay mapped, since Linux 6.13. */
static void guards_end_with_the_block(void) {
    enum { GUARD_INSTALL = 102 };
    char *block = make_block();
    set(block, 2 * page, GUARD_INSTALL);
    HmmFree(block);
    block[page] = 1;
    CHECK_VALID();
}

static void advice_is_kept_if_the_option_says_so(void) {
    char *block = make_block();
    set(block, PAGES * page, MADV_DONTFORK);
    need_advice(block + page);
    HmmFree(block);
    CHECK(!is_in_child(block + page));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(what_is_not_passed_to_children_ends_with_the_block),
        FRESH(what_is_wiped_in_children_ends_with_the_block),
        FRESH(advice_ends_with_a_block_that_moves_or_shrinks),
        FRESH(many_blocks_lose_their_advice),
        FRESH(other_memory_and_neighbours_keep_their_advice),
        FRESH(closed_pages_are_open_when_the_heap_needs_them),
        FRESH(guards_end_with_the_block),
        FRESH_WITH(advice_is_kept_if_the_option_says_so, "advice=off"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
