/*
 * public_test.c - the functions of hmm.h as a program uses them, and the options.
 */
#include "trial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void allocate(void *unused) {
    (void)unused;
    unsigned char *block = HmmAlloc(100);
    REQUIRE(block != NULL && (uintptr_t)block % 16 == 0 && HmmUsableSize(block) >= 100);
    memset(block, 9, HmmUsableSize(block));
    block = HmmRealloc(block, 1000);
    REQUIRE(block != NULL && block[0] == 9 && block[99] == 9);
    REQUIRE(HmmRealloc(block, 0) == NULL);
    void *empty = HmmAlloc(0);
    void *other = HmmAlloc(0);
    REQUIRE(empty != NULL && other != NULL && empty != other);
    HmmFree(empty);
    HmmFree(other);
    HmmFree(NULL);
    REQUIRE(HmmUsableSize(NULL) == 0);
    block = HmmRealloc(NULL, 50);
    REQUIRE(block != NULL && HmmUsableSize(block) >= 50);
    HmmFree(block);
    block = HmmCalloc(10, 10);
    for (size_t i = 0; i < 100; i++) {
        REQUIRE(block[i] == 0);
    }
    HmmFree(block);
    errno = 0;
    REQUIRE(HmmAlignedAlloc(48, 10) == NULL && errno == EINVAL);
    errno = 0;
    REQUIRE(HmmAlignedAlloc(0, 10) == NULL && errno == EINVAL);
    block = HmmAlignedAlloc(256, 10);
    REQUIRE((uintptr_t)block % 256 == 0);
    HmmFree(block);
    REQUIRE(stats_now().used_blocks == 0);
    HmmTrim();
    REQUIRE(stats_now().cached_blocks == 0);
}

static void test_allocation(void **state) {
    (void)state;
    expect_success(allocate, NULL);
}

/* --- Buffers -------------------------------------------------------------------------------------------------- */

static void use_buffers(void *unused) {
    (void)unused;
    static unsigned char buffer[4096];
    REQUIRE(HmmUseBuffer(NULL, 4096) == EINVAL);
    REQUIRE(HmmUseBuffer(buffer, 0) == EINVAL);
    REQUIRE(HmmUseBuffer(buffer, 40) == EINVAL);
    REQUIRE(HmmUseBuffer(buffer, SIZE_MAX) == EINVAL);
    REQUIRE(HmmUseBuffer(buffer + 3, 4000) == 0);
    REQUIRE(HmmUseBuffer(buffer, 4096) == EBUSY);
    unsigned char *block = HmmAlloc(3000);
    REQUIRE(block >= buffer + 3 && block + 3000 <= buffer + 4003);
    REQUIRE(HmmAlloc(3000) == NULL);
    REQUIRE(buffer[0] == 0 && buffer[1] == 0 && buffer[2] == 0 && buffer[4003] == 0);
    HmmFree(block);
    REQUIRE_VALID();
}

/* Of every size: what is taken has room for a block, and nothing beyond it is touched. */
static void use_smallest_buffer(void *argument) {
    static unsigned char buffer[512];
    size_t size = *(size_t *)argument;
    memset(buffer, 0x55, sizeof buffer);
    if (HmmUseBuffer(buffer + size % 16, size) != 0) {
        REQUIRE(size < 128);
        return;
    }
    REQUIRE(HmmAlloc(24) != NULL);
    while (HmmAlloc(1) != NULL) {
    }
    REQUIRE_VALID();
    for (size_t i = 0; i < sizeof buffer; i++) {
        REQUIRE((i >= size % 16 && i < size % 16 + size) || buffer[i] == 0x55);
    }
}

static void use_buffer_late(void *unused) {
    (void)unused;
    static unsigned char buffer[4096];
    HmmFree(HmmAlloc(1));
    REQUIRE(HmmUseBuffer(buffer, sizeof buffer) == EBUSY);
}

static void test_buffers(void **state) {
    (void)state;
    expect_success(use_buffers, NULL);
    for (size_t size = 60; size < 200; size++) {
        expect_success(use_smallest_buffer, &size);
    }
    expect_success(use_buffer_late, NULL);
}

/* --- Looking at the heap -------------------------------------------------------------------------------------- */

struct seen {
    const char *end; /* of the last block */
    size_t blocks[3];
    size_t bytes[3];
    size_t left; /* blocks until the walk is to stop */
};

static int see(const struct HmmBlock *block, void *context) {
    struct seen *seen = context;
    REQUIRE((uintptr_t)block->ptr % 16 == 0 && (const char *)block->ptr > seen->end);
    seen->end = (const char *)block->ptr + block->size;
    seen->blocks[block->state]++;
    seen->bytes[block->state] += block->size;
    return --seen->left == 0 ? 42 : 0;
}

static void look(void *unused) {
    (void)unused;
    struct seen seen = {.left = SIZE_MAX};
    REQUIRE(HmmWalk(see, &seen) == 0 && seen.blocks[HMM_USED] == 0);
    void *blocks[30];
    for (size_t i = 0; i < 30; i++) {
        blocks[i] = HmmAlloc(i * 300);
    }
    for (size_t i = 0; i < 30; i += 3) {
        HmmFree(blocks[i]);
    }
    struct HmmStats stats;
    HmmStats(&stats);
    REQUIRE(HmmWalk(see, &seen) == 0);
    REQUIRE(seen.blocks[HMM_USED] == 20 && stats.used_blocks == 20 && seen.bytes[HMM_USED] == stats.used);
    REQUIRE(seen.blocks[HMM_CACHED] == stats.cached_blocks && seen.bytes[HMM_CACHED] == stats.cached);
    REQUIRE(seen.blocks[HMM_FREE] == stats.free_blocks && seen.bytes[HMM_FREE] == stats.free);
    REQUIRE(stats.cached_blocks > 0 && stats.free_blocks > 0 && stats.regions == 1 && stats.peak == stats.region);
    seen = (struct seen){.left = 5};
    REQUIRE(HmmWalk(see, &seen) == 42);
    HmmFree(blocks[1]); /* the heap can be used again */
}

static void test_walk_and_stats(void **state) {
    (void)state;
    expect_success(look, NULL);
}

/* A stream that allocates from the heap whenever it is written to, as any stream does under libhmm. */
struct sink {
    char text[4096];
    size_t length;
};

static ssize_t write_with_heap(void *cookie, const char *text, size_t size) {
    struct sink *sink = cookie;
    void *block = HmmAlloc(size);
    REQUIRE(block != NULL && sink->length + size < sizeof sink->text);
    memcpy(sink->text + sink->length, text, size);
    sink->length += size;
    HmmFree(block);
    return (ssize_t)size;
}

static void print(void *unused) {
    (void)unused;
    static struct sink sink;
    FILE *stream = fopencookie(&sink, "w", (cookie_io_functions_t){.write = write_with_heap});
    REQUIRE(stream != NULL && setvbuf(stream, NULL, _IONBF, 0) == 0);
    void *blocks[40];
    for (size_t i = 0; i < 40; i++) {
        blocks[i] = HmmAlloc(2000);
    }
    for (size_t i = 0; i < 40; i += 2) {
        HmmFree(blocks[i]);
    }
    HmmPrintFreelist(stream);
    char line[64];
    snprintf(line, sizeof line, "[0x%lx %zu]", (unsigned long)(uintptr_t)blocks[30], HmmUsableSize(blocks[1]));
    /* The stream's own block lies where one of the twenty was. */
    REQUIRE(strstr(sink.text, "\n19 free, 38152 bytes: ") != NULL);
    REQUIRE(strstr(sink.text, line) != NULL && strstr(sink.text, " ...\n") != NULL);
}

/* All that is free is what the only block was cut from. */
static void print_cut(void *unused) {
    (void)unused;
    static char text[1000];
    static char buffer[1000];
    FILE *stream = fmemopen(text, sizeof text, "w");
    REQUIRE(stream != NULL && setvbuf(stream, buffer, _IOFBF, sizeof buffer) == 0);
    char *block = HmmAlloc(100);
    HmmPrintFreelist(stream);
    fflush(stream);
    char line[64];
    snprintf(line, sizeof line, "[0x%lx ", (unsigned long)(uintptr_t)(block + HmmUsableSize(block) + 8));
    REQUIRE(strstr(text, "\n1 free, ") != NULL && strstr(text, line) != NULL);
}

static void test_print_freelist(void **state) {
    (void)state;
    expect_success(print, NULL);
    expect_success(print_cut, NULL);
}

/* --- Options -------------------------------------------------------------------------------------------------- */

static void set_options(void *unused) {
    (void)unused;
    char value[32];
    REQUIRE(hmm_option_get("break", value, sizeof value) == 0 && strcmp(value, "real") == 0);
    REQUIRE(hmm_option_get("size", value, sizeof value) == 0 && strcmp(value, "1g") == 0);
    REQUIRE(hmm_option_get("colour", value, sizeof value) == EINVAL);
    REQUIRE(hmm_option_set("colour", "red") == EINVAL && hmm_option_set("break", "legs") == EINVAL);
    REQUIRE(hmm_option_set("break", "simulated") == 0 && hmm_option_set("size", "1m") == 0);
    REQUIRE(HmmAlloc(2 << 20) == NULL && HmmAlloc(900 << 10) != NULL);
    REQUIRE(hmm_option_set("size", "2m") == EBUSY);
    REQUIRE(hmm_option_get("size", value, sizeof value) == 0 && strcmp(value, "1m") == 0);
}

#define CANNOT 77 /* exit status of a child that could not try */

/* In a program of its own, for the variable is read once. */
static void run_with_variable(void *unused) {
    (void)unused;
    setenv("HMM_OPTIONS", "break=simulated,size=512k,colour=red", 1);
    execl("/proc/self/exe", "public_test", "variable", (char *)NULL);
    _exit(CANNOT); /* under an emulator the program is none that the kernel can start */
}

static int read_variable(void) {
    return HmmAlloc(600 << 10) == NULL && HmmAlloc(400 << 10) != NULL ? 0 : 1;
}

static void test_options(void **state) {
    (void)state;
    expect_success(set_options, NULL);
    struct child_result result;
    child_run(&result, run_with_variable, NULL);
    if (result.status == CANNOT) {
        skip();
    }
    assert_int_equal(result.signal, 0);
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.err, "colour"));
}

int main(int count, char **arguments) {
    if (count == 2 && strcmp(arguments[1], "variable") == 0) {
        return read_variable();
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allocation),     cmocka_unit_test(test_buffers), cmocka_unit_test(test_walk_and_stats),
        cmocka_unit_test(test_print_freelist), cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
