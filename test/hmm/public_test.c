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
    HmmStats(NULL);
    errno = 0;
    CHECK(HmmWalk(NULL, NULL) == -1 && errno == EINVAL);
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
    CHECK(HmmUseBuffer((void *)(UINTPTR_MAX - 4095), 8192) == EINVAL); /* beyond the last address */
    CHECK(HmmUseBuffer(buffer + 3, 4000) == 0);
    CHECK(HmmUseBuffer(buffer, 4096) == EBUSY);
    unsigned char *block = HmmAlloc(3000);
    CHECK(block >= buffer + 3 && block + 3000 <= buffer + 4003);
    CHECK(HmmAlloc(3000) == NULL);
    CHECK(buffer[0] == 0 && buffer[1] == 0 && buffer[2] == 0 && buffer[4003] == 0);
    HmmFree(block);
    CHECK_VALID();
}

/* Of every size: whatever is accepted has room for a block, and nothing beyond it is touched. */
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

static void the_smallest_buffers_are_used_within_their_bounds(void) {
    for (size_t size = 60; size < 200; size++) {
        expect_success(use_smallest_buffer, &size);
    }
}

/* --- Heaps of the program's own ------------------------------------------------------------------------------- */

#define POOL ((size_t)64 << 10)

static _Alignas(16) unsigned char pools[3][POOL];

static void check_heap(struct HmmHeap *heap) {
    const char *why = NULL;
    CHECK_OR_SAY(hmm_valid(heap, &why), why);
}

static void heaps_are_created_in_memory_with_room_for_them(void) {
    errno = 0;
    CHECK(HmmHeapCreate(NULL, POOL, NULL) == NULL && errno == EINVAL);
    errno = 0;
    CHECK(HmmHeapCreate(pools[0], 1000, NULL) == NULL && errno == EINVAL);
    for (size_t offset = 0; offset < 40; offset += 3) {
        memset(pools[0], 0x55, POOL);
        struct HmmHeap *heap = HmmHeapCreate(pools[0] + offset, POOL - 100 - offset, NULL);
        CHECK(heap != NULL);
        unsigned char *block;
        while ((block = HmmHeapAlloc(heap, 100)) != NULL) {
            CHECK((uintptr_t)block % 16 == 0 && block > pools[0] + offset && block + 100 <= pools[0] + POOL - 100);
            memset(block, 1, 100);
        }
        check_heap(heap);
        for (size_t i = 0; i < 100; i++) {
            CHECK(pools[0][POOL - 100 + i] == 0x55 && (i >= offset || pools[0][i] == 0x55));
        }
    }
}

/* A block of each size is at least that large, and takes all of a heap that was emptied. */
static void a_heap_of_its_own_knows_nothing_of_others(void) {
    struct HmmHeap *one = HmmHeapCreate(pools[0], POOL, NULL);
    struct HmmHeap *two = HmmHeapCreate(pools[1], POOL, NULL);
    unsigned char *blocks[3] = {HmmHeapAlloc(one, 100), HmmHeapCalloc(two, 10, 10), HmmAlloc(100)};
    CHECK(blocks[0] - pools[0] < (ptrdiff_t)POOL && blocks[1] - pools[1] < (ptrdiff_t)POOL);
    blocks[0] = HmmHeapRealloc(one, blocks[0], 3000);
    CHECK(HmmHeapUsableSize(one, blocks[0]) >= 3000 && blocks[0] - pools[0] < (ptrdiff_t)POOL);
    unsigned char *aligned = HmmHeapAlignedAlloc(two, 1024, 10);
    CHECK((uintptr_t)aligned % 1024 == 0);
    struct HmmStats stats;
    HmmHeapStats(one, &stats);
    CHECK(stats.used_blocks == 1 && stats.used >= 3000 && stats.regions == 1);
    CHECK(stats.used + stats.cached + stats.free + stats.overhead == stats.region);
    HmmHeapStats(two, &stats);
    CHECK(stats.used_blocks == 2 && stats_now().used_blocks == 1);
    CHECK(HmmHeapAlloc(one, POOL) == NULL);
    HmmHeapStats(one, &stats);
    CHECK(stats.failures == 1 && stats_now().failures == 0);
    HmmHeapFree(one, blocks[0]);
    HmmHeapFree(two, blocks[1]);
    HmmHeapFree(two, aligned);
    HmmFree(blocks[2]);
    HmmHeapTrim(one);
    HmmHeapTrim(two);
    check_heap(one);
    check_heap(two);
    HmmHeapStats(two, &stats);
    CHECK(stats.used_blocks == 0 && stats.free_blocks == 1);
}

static int see_none(const struct HmmBlock *block, void *context) {
    (void)block, (void)context;
    return 7;
}

/* What HmmHeapCreate returned, and nobody looked at. */
static void null_is_refused_as_a_heap(void) {
#define REFUSED(call) CHECK((errno = 0, (call)) && errno == EINVAL)
    REFUSED(HmmHeapAlloc(NULL, 100) == NULL);
    REFUSED(HmmHeapCalloc(NULL, 10, 10) == NULL);
    REFUSED(HmmHeapRealloc(NULL, NULL, 100) == NULL);
    REFUSED(HmmHeapAlignedAlloc(NULL, 64, 100) == NULL);
    REFUSED(HmmHeapUsableSize(NULL, NULL) == 0);
    REFUSED(HmmHeapTrim(NULL) == 0);
    REFUSED(HmmHeapWalk(NULL, see_none, NULL) == -1);
    REFUSED(HmmHeapSetFaultHandler(NULL, NULL) == NULL);
#undef REFUSED
    HmmHeapFree(NULL, NULL);
    HmmHeapPrintFreelist(NULL, NULL);
    CHECK(HmmHeapAddRegion(NULL, pools[0], POOL) == EINVAL);
    struct HmmStats stats;
    memset(&stats, 1, sizeof stats);
    HmmHeapStats(NULL, &stats);
    CHECK(stats.region == 0 && stats.used == 0 && stats.failures == 0);
    HmmHeapStats(NULL, NULL);
}

static void free_into_none(void *unused) {
    (void)unused;
    HmmHeapFree(NULL, HmmAlloc(100));
}

static void resize_in_none(void *unused) {
    (void)unused;
    (void)HmmHeapRealloc(NULL, HmmAlloc(100), 0);
}

static void measure_in_none(void *unused) {
    (void)unused;
    (void)HmmHeapUsableSize(NULL, HmmAlloc(100));
}

static void a_block_of_no_heap_is_a_fault(void) {
    expect_fault(free_into_none, NULL, "HmmFree(@): not from this heap: the heap is NULL");
    expect_fault(resize_in_none, NULL, "HmmRealloc(@): not from this heap: the heap is NULL");
    expect_fault(measure_in_none, NULL, "HmmUsableSize(@): not from this heap: the heap is NULL");
}

static void free_into_another(void *unused) {
    (void)unused;
    struct HmmHeap *one = HmmHeapCreate(pools[0], POOL, NULL);
    HmmHeapFree(one, HmmAlloc(100));
}

static void a_block_of_another_heap_is_a_fault(void) {
    expect_fault(free_into_another, NULL, "HmmFree(@): not from this heap");
}

static void added_memory_is_used(void) {
    struct HmmHeap *heap = HmmHeapCreate(pools[1], 20000, NULL);
    CHECK(HmmHeapAlloc(heap, 40000) == NULL);
    CHECK(HmmHeapAddRegion(heap, pools[1] + 19000, 3000) == EINVAL); /* it overlaps the heap */
    CHECK(HmmHeapAddRegion(heap, pools[2], 20) == EINVAL);
    CHECK(HmmHeapAddRegion(heap, NULL, 20000) == EINVAL);
    CHECK(HmmHeapAddRegion(heap, pools[2] + 1, POOL - 1) == 0 && HmmHeapAddRegion(heap, pools[0], POOL) == 0);
    unsigned char *high = HmmHeapAlloc(heap, 60000);
    unsigned char *low = HmmHeapAlloc(heap, 60000);
    CHECK(high != NULL && low != NULL && HmmHeapAlloc(heap, 40000) == NULL);
    memset(high, 1, 60000);
    memset(low, 2, 60000);
    check_heap(heap);
    struct HmmStats stats;
    HmmHeapStats(heap, &stats);
    CHECK(stats.regions == 3);
    HmmHeapFree(heap, high);
    HmmHeapFree(heap, low);
    size_t count = 3;
    while (HmmHeapAddRegion(heap, pools[1] + 20000 + 200 * count, 200) == 0) {
        count++;
    }
    CHECK(count == 32 && HmmHeapAddRegion(heap, pools[1] + 40000, 200) == ENOMEM);
    check_heap(heap);
}

/* The process's heap accepts memory, too, whether it is in use or not. */
static void memory_can_be_added_to_the_heap_of_the_process(void) {
    CHECK(HmmAddRegion(pools[0], POOL) == 0);
    unsigned char *block = HmmAlloc(50000);
    CHECK(block >= pools[0] && block < pools[0] + POOL);
    unsigned char *other = HmmAlloc(50000);
    CHECK(other != NULL && (other < pools[0] || other >= pools[0] + POOL));
    CHECK(HmmAddRegion(pools[1], POOL) == 0);
    block = HmmAlloc(60000);
    CHECK(block != NULL && stats_now().regions == 3);
    CHECK_VALID();
}

static void most_and_least_are_kept(void) {
    struct HmmHeap *heap = HmmHeapCreate(pools[0], POOL, NULL);
    struct HmmStats before, stats;
    HmmHeapStats(heap, &before);
    void *blocks[10];
    for (size_t i = 0; i < 10; i++) {
        blocks[i] = HmmHeapAlloc(heap, 2000);
    }
    for (size_t i = 0; i < 10; i++) {
        HmmHeapFree(heap, blocks[i]);
    }
    CHECK(HmmHeapRealloc(heap, HmmHeapAlloc(heap, 1500), 1700) != NULL); /* less than before */
    HmmHeapStats(heap, &stats);
    CHECK(stats.most >= 20000 && stats.most < 20000 + 10 * 32 && before.most == 0);
    CHECK(stats.least_free == before.free + 8 - stats.most && stats.used_blocks == 1);
}

#ifdef __GLIBC__ /* musl refuses the break */
/* After a trim the heap has less than it once had in use. */
static void a_trimmed_heap_has_no_least(void) {
    void *block = HmmAlloc(8 << 20);
    HmmFree(block);
    HmmTrim();
    struct HmmStats stats = stats_now();
    CHECK(stats.most > 8 << 20 && stats.region < 8 << 20 && stats.least_free == 0);
}
#endif

static void memory_that_is_the_heaps_cannot_be_added(void) {
    struct HmmHeap *heap = HmmHeapCreate(pools[0], POOL, NULL);
    CHECK(HmmHeapAddRegion(heap, pools[0], 1000) == EINVAL); /* the heap's state */
    CHECK(HmmHeapAddRegion(heap, pools[0], POOL) == EINVAL);
    CHECK(HmmHeapAddRegion(heap, (void *)(UINTPTR_MAX - 4095), 8192) == EINVAL);
    check_heap(heap);
    CHECK(HmmUseBuffer(pools[1], POOL) == 0);
    CHECK(HmmAddRegion(pools[1] + POOL / 2, 1000) == EINVAL); /* the break has not come so far */
    void *block = HmmAlloc(POOL - 1000);
    CHECK(block != NULL && HmmAddRegion(pools[1] + POOL / 2, 1000) == EINVAL);
    CHECK(HmmAddRegion(pools[2], POOL) == 0);
    CHECK_VALID();
}

static void memory_that_is_refused_is_untouched(void) {
    const struct HmmHooks half = {.unlock = free};
    memset(pools[0], 0x55, POOL);
    CHECK(HmmHeapCreate(pools[0], SIZE_MAX / 2, NULL) == NULL && HmmHeapCreate(pools[0], SIZE_MAX, NULL) == NULL);
    CHECK(HmmHeapCreate(pools[0], ((size_t)1 << 40) + POOL, NULL) == NULL &&
          HmmHeapCreate(pools[0], POOL, &half) == NULL);
    CHECK(HmmHeapCreate((void *)(UINTPTR_MAX - POOL), 2 * POOL, NULL) == NULL);
    for (size_t i = 0; i < POOL; i++) {
        CHECK(pools[0][i] == 0x55);
    }
}

static int depth;
static int locks;

static void hook_lock(void *context) {
    CHECK(context == &locks && depth == 0);
    depth++;
    locks++;
}

static void hook_unlock(void *context) {
    CHECK(context == &locks && depth == 1);
    depth--;
}

static uint64_t hook_entropy(void *context) {
    CHECK(context == &locks);
    return 42;
}

static int allocate_in_visit(const struct HmmBlock *block, void *context) {
    (void)block;
    HmmHeapFree(context, HmmHeapAlloc(context, 100));
    return 0;
}

static void the_lock_of_a_heap_is_around_each_call(void) {
    const struct HmmHooks hooks = {hook_lock, hook_unlock, hook_entropy, &locks};
    const struct HmmHooks half = {.unlock = hook_unlock};
    CHECK(HmmHeapCreate(pools[0], POOL, &half) == NULL && HmmSetHooks(&half) == EINVAL && HmmSetHooks(NULL) == EINVAL);
    struct HmmHeap *heap = HmmHeapCreate(pools[0], POOL, &hooks);
    struct HmmHeap *other = HmmHeapCreate(pools[1], POOL, NULL);
    int before = locks;
    void *block = HmmHeapAlloc(heap, 100);
    CHECK(locks == before + 1);
    block = HmmHeapRealloc(heap, block, 5000);
    HmmHeapUsableSize(heap, block);
    HmmHeapFree(heap, block);
    CHECK(locks == before + 4 && depth == 0);
    HmmHeapFree(other, HmmHeapAlloc(other, 100));
    CHECK(locks == before + 4);
    CHECK(HmmHeapWalk(heap, allocate_in_visit, other) == 0 && depth == 0); /* its lock is another */
    CHECK(HmmSetHooks(&hooks) == 0);
    before = locks;
    HmmFree(HmmAlloc(100));
    CHECK(locks == before + 2 && HmmSetHooks(&hooks) == EBUSY);
}

/* --- Looking at the heap -------------------------------------------------------------------------------------- */

struct seen {
    const char *end; /* of the last block */
    size_t blocks[3];
    size_t bytes[3];
    size_t left; /* blocks until the walk should stop */
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

/* A stream that allocates whenever it is written to, as all streams do under libhmm. */
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
    /* The stream's own block is where one of the twenty was. */
    CHECK(strstr(sink.text, "\n19 free, 38152 bytes: ") != NULL);
    CHECK(strstr(sink.text, line) != NULL && strstr(sink.text, " ...\n") != NULL);
}

/* All free memory is in the block that the only block was cut from. */
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
    CHECK(hmm_option_get("break", value, sizeof value) == 0 && strcmp(value, "auto") == 0);
    CHECK(hmm_option_get("size", value, sizeof value) == 0 && strcmp(value, "1g") == 0);
    CHECK(hmm_option_get("colour", value, sizeof value) == EINVAL);
    CHECK(hmm_option_set("colour", "red") == EINVAL && hmm_option_set("break", "legs") == EINVAL);
    CHECK(hmm_option_set("break", "simulated") == 0 && hmm_option_set("size", "1m") == 0);
    CHECK(HmmAlloc(2 << 20) == NULL && HmmAlloc(900 << 10) != NULL);
    CHECK(hmm_option_set("size", "2m") == EBUSY);
    CHECK(hmm_option_get("size", value, sizeof value) == 0 && strcmp(value, "1m") == 0);
}

/* In a program of its own, because the variable is read once. */
static void run_with_variable(void *unused) {
    (void)unused;
    setenv("HMM_OPTIONS", "break=simulated,size=512k,colour=red", 1);
    execl("/proc/self/exe", "public_test", "variable", (char *)NULL);
    child_cannot(); /* the kernel cannot start an emulated program */
}

static int read_variable(void) {
    return HmmAlloc(600 << 10) == NULL && HmmAlloc(400 << 10) != NULL ? 0 : 1;
}

static void the_variable_is_read_and_its_mistakes_are_told(void) {
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
        PLAIN(the_smallest_buffers_are_used_within_their_bounds),
        FRESH(a_buffer_is_refused_once_the_heap_is_in_use),
        FRESH(heaps_are_created_in_memory_with_room_for_them),
        FRESH(a_heap_of_its_own_knows_nothing_of_others),
        PLAIN(a_block_of_another_heap_is_a_fault),
        FRESH(null_is_refused_as_a_heap),
        PLAIN(a_block_of_no_heap_is_a_fault),
        FRESH(added_memory_is_used),
        FRESH(memory_can_be_added_to_the_heap_of_the_process),
        FRESH(most_and_least_are_kept),
#ifdef __GLIBC__
        FRESH_WITH(a_trimmed_heap_has_no_least, "break=real"),
#endif
        FRESH(memory_that_is_the_heaps_cannot_be_added),
        FRESH(memory_that_is_refused_is_untouched),
        FRESH(the_lock_of_a_heap_is_around_each_call),
        FRESH(the_walk_agrees_with_the_statistics),
        FRESH(a_free_list_is_printed_to_a_stream_that_allocates),
        FRESH(the_block_being_cut_is_printed_as_free),
        FRESH(options_are_set_before_the_first_block_and_fixed_then),
        PLAIN(the_variable_is_read_and_its_mistakes_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
