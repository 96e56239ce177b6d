/*
 * mallinfo2, mallinfo, mallopt, malloc_trim, malloc_stats, malloc_info: the answers are this heap's, and true.
 */
#include "support/family.h"

#include <limits.h>
#include <unistd.h>

#include "support/child.h"

/* What is different in the two libraries: HMM has no blocks with a mapping of their own, groups free blocks by powers
 * of two, and chooses itself when the break goes down. */
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
#define ROW_OF_100 "<size from=\"97\" to=\"112\" total=\""
#define ROW_OF_HUGE "<total type=\"mmap\" count=\"1\" size=\"104857600\"/>"
#define TRIMS_ALWAYS 1
#endif

static void mallinfo2_follows_what_is_allocated(void **state) {
    (void)state;
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

static void mallinfo2_adds_up(void **state) {
    (void)state;
    free(hidden(malloc(3 * MIB)));
    malloc_trim(0); /* so that there is memory which counts as the system's */
    free(hidden(malloc(100000)));
    struct mallinfo2 info = mallinfo2();
    assert_int_equal(info.arena, info.uordblks + info.fordblks);
    assert_true(info.keepcost <= info.fordblks);
    assert_true(info.fsmblks <= info.fordblks);
    assert_true(info.arena > 0);
}

static void mallinfo_is_mallinfo2_capped(void **state) {
    (void)state;
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

/* As mallinfo2 has said it would. A break moves by whole pages, and in part it may have gone down at the free. */
static void malloc_trim_gives_free_memory_back(void **state) {
    (void)state;
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

static void mallopt_is_truthful(void **state) {
    (void)state;
    assert_int_equal(mallopt(M_CHECK_ACTION, 3), 1);
    assert_int_equal(mallopt(M_CHECK_ACTION, 0), 0); /* checks cannot be turned off */
    assert_int_equal(mallopt(M_MMAP_THRESHOLD, 1 << 20), 0);
    assert_int_equal(mallopt(12345, 1), 0);
    assert_int_equal(mallopt(M_TRIM_THRESHOLD, 1 << 20), 0);
    assert_int_equal(mallopt(M_TRIM_THRESHOLD, 0), TRIMS_ALWAYS);
}

static void call_malloc_stats(void *argument) {
    (void)argument;
    malloc_stats();
}

static void malloc_stats_go_to_standard_error(void **state) {
    (void)state;
    struct child_result result;
    child_run(&result, call_malloc_stats, NULL);
    assert_int_equal(result.signal, 0);
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.err, HEADING));
    assert_non_null(strstr(result.err, SUM));
}

static void malloc_info_is_xml(void **state) {
    (void)state;
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
    assert_non_null(strstr(text, "<system type=\"current\" size=\""));
    free(kept);
    free(huge);
}

static void malloc_info_refuses_options_and_a_full_device(void **state) {
    (void)state;
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
        cmocka_unit_test(mallinfo2_follows_what_is_allocated),
        cmocka_unit_test(mallinfo2_adds_up),
        cmocka_unit_test(mallinfo_is_mallinfo2_capped),
        cmocka_unit_test(malloc_trim_gives_free_memory_back),
        cmocka_unit_test(malloc_stats_go_to_standard_error),
        cmocka_unit_test(malloc_info_is_xml),
        cmocka_unit_test(malloc_info_refuses_options_and_a_full_device),
        cmocka_unit_test(mallopt_is_truthful),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
