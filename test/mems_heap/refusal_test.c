/*
 * refusal_test.c - the kernel refuses: at each operation of a scenario each of its mmaps or munmaps fails in turn, once
 * or for the rest of the operation. A failed operation changes nothing, and the scenario continues to its end.
 */
#include "support/test.h"

#include "os/os.h"
#include "support/random.h"
#include "twin.h"

/* Enough for several chunks of nodes, and for main nodes that are trimmed, backed and split. */
#define OPERATIONS 160
#define FOREVER UINT64_MAX

static struct twin twin;

/* --- Trimming, when some pages stay ------------------------------------------------------------------------------ */

/* Trims what can be trimmed, and makes the model follow. As many bytes as are reported unmapped are reserved, or are
 * no longer in pages. */
static void trim(void) {
    struct mems_stats before, after;
    if (!twin.refusals) {
        twin_trim(&twin);
        return;
    }
    twin_listen();
    space_stats("stats", twin.space, &before);
    size_t bytes = space_trim("trim", twin.space);
    space_stats("stats", twin.space, &after);
    CHECK(after.reserved_bytes - before.reserved_bytes == bytes);
    CHECK(before.pages - after.pages == bytes / after.page_size);
    twin_expect_silence();
}

/* --- The scenario ------------------------------------------------------------------------------------------------ */

static bool is_trim(size_t number) {
    return number % 16 == 15;
}

/* The same operations each time, from the same random numbers. Most blocks are small, so there are many. */
static void operate(size_t number, struct random *random) {
    size_t what = random_below(random, 12);
    size_t size = what % 3 == 0 ? 2000 + random_below(random, 8000) : 1 + random_below(random, 300);
    size_t index = layout_process(&twin.layout, random_below(random, OPERATIONS));
    if (is_trim(number)) {
        trim();
    } else if (what < 7 || index == LAYOUT_NONE) {
        twin_alloc(&twin, size, what < 2);
    } else if (what < 10) {
        twin_realloc(&twin, index, size);
    } else {
        twin_free(&twin, index);
    }
}

/* Which calls fail: `count` of a kind, after an operation has made `after` others. */
struct trial {
    enum os_call call;
    size_t operation;
    uint64_t after;
    uint64_t count;
};

static uint64_t calls_made[OPERATIONS];

/* Runs the scenario in a space of its own, counting the calls of each operation. */
static void run(const struct trial *trial) {
    struct random random = {.state = 4711};
    twin_begin(&twin, space_create(NULL), PAGE_SIZE, 8);
    for (size_t number = 0; number < OPERATIONS; number++) {
        uint64_t calls = os_inject_calls(trial->call);
        twin.refusals = trial->count > 0 && number == trial->operation;
        if (twin.refusals) {
            os_inject(trial->call, trial->after, trial->count, ENOMEM);
        }
        operate(number, &random);
        calls_made[number] = os_inject_calls(trial->call) - calls;
        if (twin.refusals) {
            os_inject_clear();
            if (is_trim(number)) {
                twin_follow(&twin, NULL, 0);
            }
            twin_compare(&twin);
            twin_check_contents(&twin);
        }
        twin_learn(&twin);
    }
    twin_compare(&twin);
    twin_check_contents(&twin);
    twin_listen();
    space_destroy("mems_space_destroy", twin.space);
    twin_expect_silence();
}

/* Makes each call of the undisturbed scenario fail in turn; there are at least `expected`. */
static void refuse_each(enum os_call call, uint64_t expected) {
    static uint64_t calls[OPERATIONS];
    uint64_t sum = 0;
    run(&(struct trial){.call = call});
    memcpy(calls, calls_made, sizeof calls);
    for (size_t operation = 0; operation < OPERATIONS; operation++) {
        sum += calls[operation];
        for (uint64_t after = 0; after < calls[operation]; after++) {
            run(&(struct trial){call, operation, after, 1});
            run(&(struct trial){call, operation, after, FOREVER});
        }
    }
    assert_true(sum >= expected);
}

static void what_a_refused_mmap_fails_has_changed_nothing(void) {
    refuse_each(OS_CALL_MMAP, 30);
}

static void what_a_refused_munmap_fails_has_changed_nothing(void) {
    refuse_each(OS_CALL_MUNMAP, 6);
}

/* --- Functions without a model ----------------------------------------------------------------------------------- */

static int visit_nothing(const struct mems_segment *segment, void *context) {
    (void)segment;
    (void)context;
    return 0;
}

static void a_report_without_memory_is_an_error(void) {
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    twin_begin(&twin, space_create(NULL), PAGE_SIZE, 8);
    twin_alloc(&twin, 100, false);
    os_inject(OS_CALL_MMAP, 0, FOREVER, ENOMEM);
    twin_listen();
    assert_int_equal(space_report_walk("walk", twin.space, visit_nothing, NULL), -1);
    twin_expect_error(ENOMEM, 0);
    twin_listen();
    space_report_print("print", twin.space, stream);
    twin_expect_error(ENOMEM, 0);
    twin_listen();
    space_report_json("json", twin.space, stream);
    twin_expect_error(ENOMEM, 0);
    twin_listen();
    assert_null(space_create(NULL));
    twin_expect_error(ENOMEM, 0);
    os_inject_clear();
    fclose(stream);
    assert_int_equal(length, 0);
    free(text);
    twin_compare(&twin);
    space_destroy("mems_space_destroy", twin.space);
}

/* The default space with three main nodes, the second one trimmed. */
static void begin_default(void) {
    assert_int_equal(space_start("mems_init"), 0);
    twin_begin(&twin, &space_default, PAGE_SIZE, 8);
    for (unsigned i = 0; i < 3; i++) {
        twin_alloc(&twin, PAGE_SIZE, false);
    }
    twin_free(&twin, 1);
    twin_trim(&twin);
}

/* A temporary refusal is made up for; a lasting one is reported, and the space ends all the same. */
static void a_space_is_finished_although_munmap_is_refused(void) {
    for (uint64_t after = 0; after < 5; after++) {
        begin_default();
        twin_listen();
        os_inject(OS_CALL_MUNMAP, after, 1, ENOMEM);
        space_finish("mems_finish");
        os_inject_clear();
        twin_expect_silence();
    }
    begin_default();
    twin_listen();
    os_inject(OS_CALL_MUNMAP, 1, FOREVER, ENOMEM);
    space_finish("mems_finish");
    os_inject_clear();
    twin_expect_error(ENOMEM, 0);
    twin_listen();
    assert_null(space_alloc("mems_malloc", &space_default, 1));
    twin_expect_error(EPERM, 0);
    begin_default();
    twin_compare(&twin);
    twin_listen();
    space_finish("mems_finish");
    twin_expect_silence();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(what_a_refused_mmap_fails_has_changed_nothing),
        PLAIN(what_a_refused_munmap_fails_has_changed_nothing),
        PLAIN(a_report_without_memory_is_an_error),
        PLAIN(a_space_is_finished_although_munmap_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
