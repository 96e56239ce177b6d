/*
 * space_test.c - the MeMS heap in the long run: blocks that grow step by step, limits on address space and on mappings.
 */
#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "mems_heap/complaint.h"
#include "mems_heap/space_report.h"
#include "os/os.h"
#include "support/child.h"
#include "support/space_heap.h"
#include "support/thread.h"

static void hear(const struct mems_error *error, void *context) {
    (void)error;
    (void)context;
}

static void listen(void) {
    complaint_set_handler(hear, NULL);
}

/* --- Growing ----------------------------------------------------------------------------------------------------- */

/* Memory that a block occupies while it grows to 4 MiB in steps of 4 KiB. */
static void grow(const struct mems_space_options *options, size_t most) {
    struct mems_space *space = space_create(options);
    struct mems_stats stats;
    void *block = NULL;
    for (size_t size = 4096; size <= 4 << 20; size += 4096) {
        block = space_realloc("realloc", space, block, size);
        assert_non_null(block);
        char *bytes = space_get("get", space, block);
        bytes[size - 4096] = (char)(size / 4096);
    }
    const char *bytes = space_get("get", space, block);
    for (size_t page = 0; page < 1024; page++) {
        assert_int_equal(bytes[page * 4096], (char)(page + 1));
    }
    space_stats("stats", space, &stats);
    assert_true(stats.pages * stats.page_size <= most);
    CHECK_VALID_SPACE(space);
    space_destroy("destroy", space);
}

static void a_block_that_grows_takes_little_more_than_it_has(void) {
    grow(NULL, 8 << 20);
    grow(&(struct mems_space_options){.movable = MEMS_MOVABLE}, 10 << 20);
}

/* --- Address space ----------------------------------------------------------------------------------------------- */

/* The heap's HOLEs are large enough in total, but in pieces. */
static void ask_at_the_limit(void *options) {
    static void *blocks[200];
    struct os_usage usage;
    struct mems_space *space = space_create(options);
    for (size_t i = 0; i < 200; i++) {
        blocks[i] = space_alloc("malloc", space, 1 << 20);
        CHECK(blocks[i] != NULL);
    }
    os_usage(&usage);
    struct rlimit limit = {usage.mapped + (8 << 20), RLIM_INFINITY};
    if (setrlimit(RLIMIT_AS, &limit) != 0 || usage.mapped == 0) {
        child_cannot();
    }
    for (size_t i = 0; i < 200; i++) {
        space_free("free", space, blocks[i]);
    }
    void *large = space_alloc("malloc", space, 20 << 20);
    CHECK(large != NULL);
    CHECK(space_alloc("malloc", space, 400 << 20) == NULL && errno == ENOMEM);
    CHECK(space_alloc("malloc", space, 100) != NULL);
    CHECK_VALID_SPACE(space);
}

static void before_a_request_fails_holes_are_given_back(void) {
    if (UNDER_TSAN) {
        skip(); /* it maps terabytes */
    }
    expect_success(ask_at_the_limit, &(struct mems_space_options){0});
    expect_success(ask_at_the_limit, &(struct mems_space_options){.movable = MEMS_MOVABLE});
}

/* --- Mappings ---------------------------------------------------------------------------------------------------- */

#define PAGES 60000

static void *pages[PAGES];

static size_t mappings(void) {
    size_t count = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    assert_non_null(file);
    for (int c; (c = getc(file)) != EOF;) {
        count += c == '\n';
    }
    fclose(file);
    return count;
}

/* Every other page is a HOLE, and 100 are twice as large: these go back first, then as many as possible. When all is
 * free, all goes back. */
static void a_trim_leaves_mappings_to_others(void) {
    struct mems_space *space = space_create(NULL);
    struct mems_stats stats;
    size_t before = mappings(), page = os_page_size(), large = 0;
    for (size_t i = 0; i < PAGES; i++) {
        pages[i] = space_alloc("malloc", space, i % 600 == 301 ? 2 * page : page);
        assert_non_null(pages[i]);
    }
    for (size_t i = 1; i < PAGES; i += 2) {
        large += i % 600 == 301;
        space_free("free", space, pages[i]);
    }
    size_t bytes = space_trim("trim", space);
    space_stats("stats", space, &stats);
    assert_true(stats.pieces <= MAIN_CHAIN_PIECES_MAX && mappings() <= before + MAIN_CHAIN_PIECES_MAX + 16);
    assert_true(bytes >= (MAIN_CHAIN_PIECES_MAX - 200) * page);
    for (struct list *link = space->chain.list.next; link != &space->chain.list; link = link->next) {
        const struct main_node *main = main_node_of(link);
        bool hole = sub_node_kind(sub_chain_first(main)) == SEGMENT_HOLE;
        large -= hole && main_node_size(main) == 2 * page && !main_node_has_memory(main);
    }
    assert_int_equal(large, 0);
    CHECK_VALID_SPACE(space);
    for (size_t i = 0; i < PAGES; i += 2) {
        space_free("free", space, pages[i]);
    }
    space_trim("trim", space);
    space_stats("stats", space, &stats);
    assert_int_equal(stats.pages, 0);
    assert_int_equal(stats.pieces, 0);
    space_destroy("destroy", space);
    assert_true(mappings() <= before + 16);
}

/* Hundreds of thousands of blocks come and go, and leave only a few mappings behind. */
static void nodes_use_few_mappings(void) {
    enum { COUNT = 400000 };
    static void *blocks[COUNT];
    struct mems_space *space = space_create(NULL);
    space_free("free", space, space_alloc("malloc", space, 8 * COUNT)); /* one main node for all */
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = space_alloc("malloc", space, 8);
    }
    size_t before = mappings();
    for (size_t i = 0; i < COUNT; i++) {
        if (i / 64 % 2 == 0) {
            space_free("free", space, blocks[i]);
        }
    }
    assert_true(mappings() <= before + COUNT * sizeof(struct sub_node) / POOL_CHUNK);
    while (space_compact("compact", space, 0) > 0) {
    }
    CHECK_VALID_SPACE(space);
    for (size_t i = 0; i < COUNT; i++) {
        if (i / 64 % 2 != 0) {
            assert_non_null(space_get("get", space, blocks[i]));
        }
    }
    space_destroy("destroy", space);
}

/* --- Cancelling -------------------------------------------------------------------------------------------------- */

static FILE *sink;
static struct mems_space *crowded;

static void *print(void *unused) {
    (void)unused;
    space_report_print("print", crowded, sink);
    return NULL;
}

/* A thread is cancelled in the middle of a picture, because nobody reads its output. */
static void a_cancelled_picture_leaves_its_stream_free(void) {
    int ends[2], waiting = 0, last = -1;
    void *result;
    pthread_t thread;
    crowded = space_create(NULL);
    for (size_t i = 0; i < 20000; i++) {
        assert_non_null(space_alloc("malloc", crowded, 8));
    }
    assert_int_equal(pipe(ends), 0);
    sink = fdopen(ends[1], "w");
    assert_int_equal(pthread_create(&thread, NULL, print, NULL), 0);
    while (waiting == 0 || waiting != last) { /* until the pipe is full */
        last = waiting;
        usleep(20000);
        assert_int_equal(ioctl(ends[0], FIONREAD, &waiting), 0);
    }
    pthread_cancel(thread);
    pthread_join(thread, &result);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    assert_int_equal(ftrylockfile(sink), 0);
    funlockfile(sink);
    CHECK_VALID_SPACE(crowded);
    space_destroy("destroy", crowded);
    signal(SIGPIPE, SIG_IGN);
    close(ends[0]);
    fclose(sink);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN_WITH(a_block_that_grows_takes_little_more_than_it_has, listen, NULL),
        PLAIN_WITH(before_a_request_fails_holes_are_given_back, listen, NULL),
        PLAIN_WITH(a_trim_leaves_mappings_to_others, listen, NULL),
        PLAIN_WITH(nodes_use_few_mappings, listen, NULL),
        PLAIN_WITH(a_cancelled_picture_leaves_its_stream_free, listen, NULL),
    };
    alarm(900);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
