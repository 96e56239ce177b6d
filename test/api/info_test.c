/*
 * mallinfo2, mallinfo, mallopt, malloc_trim, malloc_stats, malloc_info: they describe this heap, truthfully.
 */
#include "support/family.h"

#include <limits.h>
#include <unistd.h>

#include "support/child.h"
#include "support/kernel.h"

/* How the two libraries differ: HMM has no blocks with their own mapping, groups free blocks by powers of two, and
 * decides itself when the break falls. */
#ifdef LIBRARY_hmm
#define HUGE_BLOCKS 0
#define HEADING "HMM: heap of process"
#define SUM "  region "
#define ROW_OF_100 "<size from=\"64\" to=\"127\" total=\""
#define ROW_OF_HUGE "<total type=\"mmap\" count=\"0\" size=\"0\"/>"
#define TRIMS_ALWAYS 0
#else
#define HUGE_BLOCKS 1
#define HEADING "MeMS "
#define SUM "  accessible "
#define ROW_OF_100 "<size from=\"113\" to=\"128\" total=\""
#define ROW_OF_HUGE "<total type=\"mmap\" count=\"1\" size=\"104857600\"/>"
#define TRIMS_ALWAYS 1
#endif

static void mallinfo2_follows_what_is_allocated(void) {
    struct mallinfo2 before = mallinfo2();
    void *small[100];
    for (size_t i = 0; i < 100; i++) {
        small[i] = malloc(1024);
    }
    void *large = malloc(4 * MIB);
    void *huge = malloc(100 * MIB);
    struct mallinfo2 during = mallinfo2();
    size_t grown = during.uordblks + during.hblkhd - before.uordblks - before.hblkhd;
    assert_true(grown >= 100 * 1024 + 104 * MIB);
    assert_true(grown < 108 * MIB);
    assert_int_equal(during.hblks, before.hblks + HUGE_BLOCKS);
    assert_true(during.hblkhd >= before.hblkhd + HUGE_BLOCKS * 100 * MIB);
    for (size_t i = 0; i < 100; i++) {
        free(small[i]);
    }
    free(large);
    free(huge);
    struct mallinfo2 after = mallinfo2();
    assert_true(after.uordblks < before.uordblks + MIB);
    assert_int_equal(after.hblks, before.hblks);
    assert_int_equal(after.hblkhd, before.hblkhd);
    assert_int_equal(after.usmblks, 0);
}

static void mallinfo2_adds_up(void) {
    free(hidden(malloc(3 * MIB)));
    malloc_trim(0); /* so that some memory counts as the system's */
    free(hidden(malloc(100000)));
    struct mallinfo2 info = mallinfo2();
    assert_int_equal(info.arena, info.uordblks + info.fordblks);
    assert_true(info.keepcost <= info.fordblks);
    assert_true(info.fsmblks <= info.fordblks);
    assert_true(info.arena > 0);
}

static void mallinfo_is_mallinfo2_capped(void) {
    void *volatile block = malloc(10 * MIB);
    assert_non_null(block);
    struct mallinfo2 wide = mallinfo2();
    struct mallinfo narrow = narrow_mallinfo();
    assert_int_equal(narrow.arena, wide.arena);
    assert_int_equal(narrow.uordblks, wide.uordblks);
    assert_int_equal(narrow.fordblks, wide.fordblks);
    assert_int_equal(narrow.hblks, wide.hblks);
    free(block);
    block = malloc((size_t)3 << 30); /* never touched */
    if (block != NULL) {
        assert_int_equal(HUGE_BLOCKS ? narrow_mallinfo().hblkhd : narrow_mallinfo().uordblks, INT_MAX);
    }
    free(block);
}

/* As mallinfo2 predicted. A break moves by whole pages, and part of it may have fallen when the block was freed. */
static void malloc_trim_gives_free_memory_back(void) {
    malloc_trim(0);
    void *block = malloc(8 * MIB);
    memset(block, 1, 8 * MIB);
    size_t held = mallinfo2().arena;
    free(block);
    struct mallinfo2 info = mallinfo2();
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    assert_true(held - info.arena + info.keepcost >= 8 * MIB - page);
    errno = 4711;
    assert_int_equal(malloc_trim(0), info.keepcost >= page);
    assert_int_equal(errno, 4711);
    assert_true(mallinfo2().keepcost < page);
    assert_int_equal(malloc_trim(0), 0);
}

static void mallopt_takes_what_glibc_takes(void) {
    static const struct {
        int parameter, value, answer;
    } calls[] = {
        {M_MXFAST, 0, 1},
        {M_MXFAST, 160, 1},
        {M_MXFAST, 161, 0},
        {M_MXFAST, -1, 0},
        {M_TRIM_THRESHOLD, 128 << 10, 1},
        {M_TRIM_THRESHOLD, -1, 1},
        {M_TOP_PAD, 64 << 10, 1},
        {M_MMAP_THRESHOLD, 1 << 20, 1},
        {M_MMAP_THRESHOLD, 64 << 20, 0},
        {M_MMAP_MAX, 65536, 1},
        {M_CHECK_ACTION, 0, 1},
        {M_CHECK_ACTION, 3, 1},
        {M_PERTURB, 0xa5, 1},
        {M_ARENA_TEST, 1, 1},
        {M_ARENA_MAX, 1, 1},
        {12345, 1, 0},
        {0, 0, 0},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        assert_int_equal(mallopt(calls[i].parameter, calls[i].value), calls[i].answer);
    }
    assert_int_equal(mallopt(M_TRIM_THRESHOLD, 0), 1);
}

/* Writes and frees a hundred MiB in blocks; returns how much of them the process has afterwards. */
static size_t kept_bytes(void) {
    static void *blocks[100];
    size_t before = resident_bytes();
    for (int i = 0; i < 100; i++) {
        blocks[i] = malloc(MIB);
        memset(blocks[i], 1, MIB);
    }
    for (int i = 0; i < 100; i++) {
        free(blocks[i]);
    }
    size_t after = resident_bytes();
    return after > before ? after - before : 0;
}

static void trim_never(void *argument) {
    (void)argument;
    CHECK_EQUAL(mallopt(M_TRIM_THRESHOLD, -1), 1);
    CHECK_AT_MOST(90 * MIB, kept_bytes());
    usleep(700000);
    for (int i = 0; i < 1000; i++) {
        free(malloc(100000));
    }
    CHECK_AT_MOST(90 * MIB, resident_bytes());
}

static void trim_always(void *argument) {
    (void)argument;
    CHECK_EQUAL(mallopt(M_TRIM_THRESHOLD, 0), 1);
    CHECK_AT_MOST(kept_bytes(), 10 * MIB);
}

static void map_nothing(void *argument) {
    (void)argument;
    CHECK_EQUAL(mallopt(M_MMAP_MAX, 0), 1);
    void *huge = malloc(100 * MIB);
    CHECK(huge != NULL);
    CHECK_EQUAL(mallinfo2().hblks, 0);
    memset(huge, 1, 100 * MIB);
    huge = realloc(huge, 120 * MIB);
    CHECK(huge != NULL && mallinfo2().hblks == 0);
    free(huge);
    CHECK_EQUAL(mallopt(M_MMAP_MAX, 65536), 1);
    huge = malloc(100 * MIB);
    CHECK_EQUAL(mallinfo2().hblks, HUGE_BLOCKS);
    free(huge);
}

static void mallopt_does_what_it_takes(void) {
    if (TRIMS_ALWAYS && purging_zeroes()) {
        expect_success(trim_never, NULL);
        expect_success(trim_always, NULL);
    }
    expect_success(map_nothing, NULL);
}

static void call_malloc_stats(void *argument) {
    (void)argument;
    malloc_stats();
}

static void malloc_stats_go_to_standard_error(void) {
    struct child_result result;
    child_run(&result, call_malloc_stats, NULL);
    assert_int_equal(result.signal, 0);
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.err, HEADING));
    assert_non_null(strstr(result.err, SUM));
}

static void malloc_info_is_xml(void) {
    void *huge = malloc(100 * MIB);
    void *kept = malloc(100);
    free(malloc(100));
    char text[32768];
    FILE *stream = tmpfile();
    assert_non_null(stream);
    assert_int_equal(malloc_info(0, stream), 0);
    rewind(stream);
    size_t length = fread(text, 1, sizeof text - 1, stream);
    text[length] = '\0';
    fclose(stream);
    assert_memory_equal(text, "<malloc version=\"1\">\n", 21);
    assert_string_equal(text + length - 10, "</malloc>\n");
    assert_non_null(strstr(text, ROW_OF_100));
    assert_non_null(strstr(text, ROW_OF_HUGE));
    /* The heap's rows, and the same for all heaps: there is one. */
    static const char *const elements[] = {"<total type=\"fast\"",     "<total type=\"rest\"",
                                           "<system type=\"current\"", "<system type=\"max\"",
                                           "<aspace type=\"total\"",   "<aspace type=\"mprotect\""};
    char *end = strstr(text, "</heap>\n");
    assert_non_null(end);
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
        char *of_heap = strstr(text, elements[i]), *of_all = strstr(end, elements[i]);
        assert_true(of_heap != NULL && of_heap < end && of_all != NULL);
        size_t line = strcspn(of_all, "\n");
        assert_memory_equal(of_heap, of_all, line);
    }
    assert_true(strstr(text, ROW_OF_HUGE) > end);
    free(kept);
    free(huge);
}

static void malloc_info_refuses_options_and_a_full_device(void) {
    errno = 0;
    assert_int_equal(malloc_info(1, stdout), -1);
    assert_int_equal(errno, EINVAL);
    FILE *full = fopen("/dev/full", "w");
    if (full != NULL) {
        setvbuf(full, NULL, _IONBF, 0);
        assert_int_equal(malloc_info(0, full), -1);
        fclose(full);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(mallinfo2_follows_what_is_allocated),
        PLAIN(mallinfo2_adds_up),
        PLAIN(mallinfo_is_mallinfo2_capped),
        PLAIN(malloc_trim_gives_free_memory_back),
        PLAIN(malloc_stats_go_to_standard_error),
        PLAIN(malloc_info_is_xml),
        PLAIN(malloc_info_refuses_options_and_a_full_device),
        PLAIN(mallopt_does_what_it_takes),
        PLAIN(mallopt_takes_what_glibc_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
