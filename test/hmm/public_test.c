/*
 * public_test.c - the functions of hmm.h as a program uses them, and the options.
 */
#include "support/fresh.h"

#include <errno.h>
#include <unistd.h>

#include "support/hmm_heap.h"

static void blocks_are_what_hmm_h_promises(void) {
    unsigned char *block = HmmAlloc(100);
    CHECK(block != NULL && (uintptr_t)block % 16 == 0 && HmmUsableSize(block) >= 100);
    memset(block, 9, HmmUsableSize(block));
    block = HmmRealloc(block, 1000);
    CHECK(block != NULL && block[0] == 9 && block[99] == 9);
    CHECK(HmmRealloc(block, 0) == NULL);
    void *empty = HmmAlloc(0);
    void *other = HmmAlloc(0);
    CHECK(empty != NULL && other != NULL && empty != other);
    HmmFree(empty);
    HmmFree(other);
    HmmFree(NULL);
    CHECK(HmmUsableSize(NULL) == 0);
    block = HmmRealloc(NULL, 50);
    CHECK(block != NULL && HmmUsableSize(block) >= 50);
    HmmFree(block);
    block = HmmCalloc(10, 10);
    for (size_t i = 0; i < 100; i++) {
        CHECK(block[i] == 0);
    }
    HmmFree(block);
    errno = 0;
    CHECK(HmmAlignedAlloc(48, 10) == NULL && errno == EINVAL);
    errno = 0;
    CHECK(HmmAlignedAlloc(0, 10) == NULL && errno == EINVAL);
    block = HmmAlignedAlloc(256, 10);
    CHECK((uintptr_t)block % 256 == 0);
    HmmFree(block);
    CHECK(stats_now().used_blocks == 0);
    HmmTrim();
    CHECK(stats_now().cached_blocks == 0);
}

/* --- Buffers -------------------------------------------------------------------------------------------------- */

static void a_buffer_serves_blocks_and_nothing_beyond_it_is_touched(void) {
    static unsigned char buffer[4096];
    CHECK(HmmUseBuffer(NULL, 4096) == EINVAL);
    CHECK(HmmUseBuffer(buffer, 0) == EINVAL);
    CHECK(HmmUseBuffer(buffer, 40) == EINVAL);
    CHECK(HmmUseBuffer(buffer, SIZE_MAX) == EINVAL);
    CHECK(HmmUseBuffer(buffer + 3, 4000) == 0);
    CHECK(HmmUseBuffer(buffer, 4096) == EBUSY);
    unsigned char *block = HmmAlloc(3000);
    CHECK(block >= buffer + 3 && block + 3000 <= buffer + 4003);
    CHECK(HmmAlloc(3000) == NULL);
    CHECK(buffer[0] == 0 && buffer[1] == 0 && buffer[2] == 0 && buffer[4003] == 0);
    HmmFree(block);
    CHECK_VALID();
}

/* Of every size: what is taken has room for a block, and nothing beyond it is touched. */
static void use_smallest_buffer(void *argument) {
    static unsigned char buffer[512];
    size_t size = *(size_t *)argument;
    memset(buffer, 0x55, sizeof buffer);
    if (HmmUseBuffer(buffer + size % 16, size) != 0) {
        CHECK(size < 128);
        return;
    }
    CHECK(HmmAlloc(24) != NULL);
    while (HmmAlloc(1) != NULL) {
    }
    CHECK_VALID();
    for (size_t i = 0; i < sizeof buffer; i++) {
        CHECK((i >= size % 16 && i < size % 16 + size) || buffer[i] == 0x55);
    }
}

static void a_buffer_is_refused_once_the_heap_is_in_use(void) {
    static unsigned char buffer[4096];
    HmmFree(HmmAlloc(1));
    CHECK(HmmUseBuffer(buffer, sizeof buffer) == EBUSY);
}

static void the_smallest_buffers_are_used_within_their_bounds(void **state) {
    (void)state;
    for (size_t size = 60; size < 200; size++) {
        expect_success(use_smallest_buffer, &size);
    }
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
    CHECK((uintptr_t)block->ptr % 16 == 0 && (const char *)block->ptr > seen->end);
    seen->end = (const char *)block->ptr + block->size;
    seen->blocks[block->state]++;
    seen->bytes[block->state] += block->size;
    return --seen->left == 0 ? 42 : 0;
}

static void the_walk_agrees_with_the_statistics(void) {
    struct seen seen = {.left = SIZE_MAX};
    CHECK(HmmWalk(see, &seen) == 0 && seen.blocks[HMM_USED] == 0);
    void *blocks[30];
    for (size_t i = 0; i < 30; i++) {
        blocks[i] = HmmAlloc(i * 300);
    }
    for (size_t i = 0; i < 30; i += 3) {
        HmmFree(blocks[i]);
    }
    struct HmmStats stats;
    HmmStats(&stats);
    CHECK(HmmWalk(see, &seen) == 0);
    CHECK(seen.blocks[HMM_USED] == 20 && stats.used_blocks == 20 && seen.bytes[HMM_USED] == stats.used);
    CHECK(seen.blocks[HMM_CACHED] == stats.cached_blocks && seen.bytes[HMM_CACHED] == stats.cached);
    CHECK(seen.blocks[HMM_FREE] == stats.free_blocks && seen.bytes[HMM_FREE] == stats.free);
    CHECK(stats.cached_blocks > 0 && stats.free_blocks > 0 && stats.regions == 1 && stats.peak == stats.region);
    seen = (struct seen){.left = 5};
    CHECK(HmmWalk(see, &seen) == 42);
    HmmFree(blocks[1]); /* the heap can be used again */
}

/* A stream that allocates from the heap whenever it is written to, as any stream does under libhmm. */
struct sink {
    char text[4096];
    size_t length;
};

static ssize_t write_with_heap(void *cookie, const char *text, size_t size) {
    struct sink *sink = cookie;
    void *block = HmmAlloc(size);
    CHECK(block != NULL && sink->length + size < sizeof sink->text);
    memcpy(sink->text + sink->length, text, size);
    sink->length += size;
    HmmFree(block);
    return (ssize_t)size;
}

static void a_free_list_is_printed_to_a_stream_that_allocates(void) {
    static struct sink sink;
    FILE *stream = fopencookie(&sink, "w", (cookie_io_functions_t){.write = write_with_heap});
    CHECK(stream != NULL && setvbuf(stream, NULL, _IONBF, 0) == 0);
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
    CHECK(strstr(sink.text, "\n19 free, 38152 bytes: ") != NULL);
    CHECK(strstr(sink.text, line) != NULL && strstr(sink.text, " ...\n") != NULL);
}

/* All that is free is what the only block was cut from. */
static void the_block_being_cut_is_printed_as_free(void) {
    static char text[1000];
    static char buffer[1000];
    FILE *stream = fmemopen(text, sizeof text, "w");
    CHECK(stream != NULL && setvbuf(stream, buffer, _IOFBF, sizeof buffer) == 0);
    char *block = HmmAlloc(100);
    HmmPrintFreelist(stream);
    fflush(stream);
    char line[64];
    snprintf(line, sizeof line, "[0x%lx ", (unsigned long)(uintptr_t)(block + HmmUsableSize(block) + 8));
    CHECK(strstr(text, "\n1 free, ") != NULL && strstr(text, line) != NULL);
}

/* --- Options -------------------------------------------------------------------------------------------------- */

static void options_are_set_before_the_first_block_and_fixed_then(void) {
    char value[32];
    CHECK(hmm_option_get("break", value, sizeof value) == 0 && strcmp(value, "real") == 0);
    CHECK(hmm_option_get("size", value, sizeof value) == 0 && strcmp(value, "1g") == 0);
    CHECK(hmm_option_get("colour", value, sizeof value) == EINVAL);
    CHECK(hmm_option_set("colour", "red") == EINVAL && hmm_option_set("break", "legs") == EINVAL);
    CHECK(hmm_option_set("break", "simulated") == 0 && hmm_option_set("size", "1m") == 0);
    CHECK(HmmAlloc(2 << 20) == NULL && HmmAlloc(900 << 10) != NULL);
    CHECK(hmm_option_set("size", "2m") == EBUSY);
    CHECK(hmm_option_get("size", value, sizeof value) == 0 && strcmp(value, "1m") == 0);
}

/* In a program of its own, for the variable is read once. */
static void run_with_variable(void *unused) {
    (void)unused;
    setenv("HMM_OPTIONS", "break=simulated,size=512k,colour=red", 1);
    execl("/proc/self/exe", "public_test", "variable", (char *)NULL);
    child_cannot(); /* under an emulator the program is none that the kernel can start */
}

static int read_variable(void) {
    return HmmAlloc(600 << 10) == NULL && HmmAlloc(400 << 10) != NULL ? 0 : 1;
}

static void the_variable_is_read_and_its_mistakes_are_told(void **state) {
    (void)state;
    struct child_result result;
    child_run(&result, run_with_variable, NULL);
    child_skip_if_cannot(&result);
    assert_int_equal(result.signal, 0);
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.err, "colour"));
}

int main(int count, char **arguments) {
    if (count == 2 && strcmp(arguments[1], "variable") == 0) {
        return read_variable();
    }
    const struct CMUnitTest tests[] = {
        FRESH(blocks_are_what_hmm_h_promises),
        FRESH(a_buffer_serves_blocks_and_nothing_beyond_it_is_touched),
        cmocka_unit_test(the_smallest_buffers_are_used_within_their_bounds),
        FRESH(a_buffer_is_refused_once_the_heap_is_in_use),
        FRESH(the_walk_agrees_with_the_statistics),
        FRESH(a_free_list_is_printed_to_a_stream_that_allocates),
        FRESH(the_block_being_cut_is_printed_as_free),
        FRESH(options_are_set_before_the_first_block_and_fixed_then),
        cmocka_unit_test(the_variable_is_read_and_its_mistakes_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
