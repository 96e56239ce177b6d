/*
 * malloc and free at the edges of processes and threads: before main, in exit handlers and destructors, and in the
 * destructors of thread-specific data, which may run after the thread's heap is gone.
 */
#include "support/family.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/check.h"
#include "support/child.h"

#ifdef LIBRARY_mems
#include "mems.h"
#endif

/* Before all constructors; musl does not call it. With the first keys of thread-specific data in use, glibc allocates
 * for the heap's. */
#define FIRST_KEYS 40
static void *from_preinit;

static void allocate_first(void) {
    pthread_key_t key;
    for (int i = 0; i < FIRST_KEYS; i++) {
        (void)pthread_key_create(&key, NULL);
    }
    from_preinit = calloc(1, 1000);
    free(malloc(100000));
}

__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = allocate_first;

static void *from_constructor;

__attribute__((constructor(101))) static void allocate_early(void) {
    from_constructor = malloc(1000);
    memset(from_constructor, 7, 1000);
    free(malloc(100000));
}

static void *from_main;

__attribute__((destructor(101))) static void free_late(void) {
    free(from_main);
    free(malloc(100));
}

static void malloc_serves_before_main(void) {
#ifdef __GLIBC__
    assert_non_null(from_preinit);
#endif
    from_preinit = realloc(from_preinit, 5000);
    assert_non_null(from_preinit);
    free(from_preinit);
    assert_non_null(from_constructor);
    assert_memory_equal(from_constructor, (char *)from_constructor + 1, 999);
    free(from_constructor);
}

static void at_exit(void) {
    free(from_main);
    from_main = malloc(200000);
    free(malloc(48));
}

static void exit_with_handlers(void *argument) {
    (void)argument;
    from_main = malloc(48);
    if (atexit(at_exit) != 0) {
        _exit(1);
    }
    exit(from_main != NULL ? 3 : 4);
}

static void exit_handlers_allocate_and_free(void) {
    struct child_result result;
    child_run(&result, exit_with_handlers, NULL);
    assert_int_equal(result.signal, 0);
    assert_int_equal(result.status, 3);
    assert_string_equal(result.err, "");
}

/* Destructors of keys run in rounds while they set new values; each round allocates and frees. */
#define KEYS 4
#define ROUNDS 3
static pthread_key_t keys[KEYS];
static _Atomic int destroyed;

struct value {
    size_t key;
    int rounds;
    char text[200];
};

static void destroy(void *argument) {
    struct value *value = argument;
    destroyed++;
    free(malloc(value->key * 1000 + 1));
    if (value->rounds > 1) {
        struct value *next = malloc(sizeof *next);
        *next = (struct value){.key = value->key, .rounds = value->rounds - 1};
        pthread_setspecific(keys[value->key], next);
    }
    free(value);
}

static void *use_keys(void *argument) {
    for (size_t i = 0; i < KEYS; i++) {
        struct value *value = malloc(sizeof *value);
        *value = (struct value){.key = i, .rounds = ROUNDS};
        pthread_setspecific(keys[i], value);
    }
    free(argument);
    return malloc(500);
}

static void run_threads(int threads) {
    for (int i = 0; i < threads; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, use_keys, malloc(300)), 0);
        void *result;
        assert_int_equal(pthread_join(thread, &result), 0);
        free(result);
    }
}

/* Ending threads leak nothing: no block, and no heap or slab where there are any. */
static void assert_many_threads_leak_nothing(void) {
    struct mallinfo2 info_before = mallinfo2();
#ifdef LIBRARY_mems
    static struct mems_engine_stats before, after;
    mems_engine_stats(&before);
#endif
    run_threads(1000);
#ifdef LIBRARY_mems
    mems_engine_stats(&after);
    assert_true(after.live <= before.live + 4096);
    assert_true(after.threads <= before.threads + 1);
    assert_true(after.metadata <= before.metadata + ((size_t)1 << 20));
#endif
    struct mallinfo2 info_after = mallinfo2();
    assert_true(info_after.uordblks <= info_before.uordblks + 65536);
    assert_true(info_after.arena <= info_before.arena + ((size_t)4 << 20));
}

static void destructors_of_thread_specific_data_allocate_and_free(void) {
    for (size_t i = 0; i < KEYS; i++) {
        assert_int_equal(pthread_key_create(&keys[i], destroy), 0);
    }
    run_threads(50);
    assert_int_equal(destroyed, 50 * KEYS * ROUNDS);

    assert_many_threads_leak_nothing();
    for (size_t i = 0; i < KEYS; i++) {
        pthread_key_delete(keys[i]);
    }
}

static void *only_free(void *block) {
    free(block);
    return NULL;
}

static void threads_that_only_free_need_no_block_of_their_own(void) {
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, only_free, malloc(edge_sizes[i])), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
}

static void *only_allocate(void *size) {
    return malloc(*(const size_t *)size);
}

/* The thread that made the block has ended when it is used, resized and freed. */
static void blocks_outlive_their_thread(void) {
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        size_t size = edge_sizes[i];
        pthread_t thread;
        void *block;
        assert_int_equal(pthread_create(&thread, NULL, only_allocate, &size), 0);
        assert_int_equal(pthread_join(thread, &block), 0);
        assert_true(malloc_usable_size(block) >= size);
        memset(block, 5, size);
        block = realloc(block, size + 100);
        assert_non_null(block);
        assert_true(size == 0 || ((char *)block)[size - 1] == 5);
        free(block);
    }
}

/* As a translator does that makes code read-only, or a library of coroutines with guards below their stacks. */
static void close_pages(void *unused) {
    enum { BLOCKS = 8 };
    const size_t size = 300000, page = (size_t)sysconf(_SC_PAGESIZE);
    (void)unused;
    for (int round = 0; round < 3; round++) {
        char *blocks[BLOCKS];
        for (int i = 0; i < BLOCKS; i++) {
            CHECK(posix_memalign((void **)&blocks[i], page, size) == 0);
            memset(blocks[i], round, size);
        }
        for (int i = 0; i < BLOCKS; i++) {
            CHECK(mprotect(blocks[i], page, PROT_NONE) == 0);
            CHECK(mprotect(blocks[i] + 2 * page, page, i % 2 ? PROT_READ : PROT_READ | PROT_EXEC) == 0);
            free(blocks[i]);
        }
    }
    errno = 0;
    CHECK(mprotect(NULL, page, PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP) == -1 && errno == EINVAL);
}

static void pages_that_the_program_has_closed_are_open_for_the_next_block(void) {
    expect_success(close_pages, NULL);
}

/* As a daemon does that closes all files, and then opens its own. */
static void close_all(void *unused) {
    (void)unused;
    for (int fd = 0; fd < 100; fd++) {
        close(fd);
    }
    char name[] = "/tmp/mems-test-XXXXXX";
    if (mkstemp(name) != 0 || unlink(name) != 0 || dup(0) != 1 || dup(0) != 2) {
        _exit(2);
    }
    pthread_t thread;
    if (pthread_create(&thread, NULL, only_free, malloc(1000)) != 0 || pthread_join(thread, NULL) != 0) {
        _exit(4);
    }
    free(malloc(100 << 20));
    malloc_trim(0);
    (void)mallinfo2();
    struct stat status;
    _exit(fstat(0, &status) == 0 && status.st_size == 0 && open("/", O_RDONLY) == 3 ? 0 : 3);
}

static void the_heap_neither_keeps_nor_writes_files(void) {
    expect_success(close_all, NULL);
}

static pthread_barrier_t cancelled;

/* Its cancellation is pending all the time. */
static void *allocate_cancelled(void *went_on) {
    static void *blocks[2000];
    pthread_barrier_wait(&cancelled);
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        blocks[i] = malloc(i * 10);
    }
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        blocks[i] = realloc(blocks[i], i * 20 + 1);
        free(blocks[i]);
    }
    free(realloc(calloc(1, (size_t)80 << 20), (size_t)100 << 20));
    (void)malloc_trim(0);
    (void)mallinfo2();
    *(bool *)went_on = true;
    pthread_testcancel();
    return NULL;
}

/* A thread that ended there would leave a lock taken, or lose a block. */
static void no_call_is_a_cancellation_point(void) {
    bool went_on = false;
    void *result = NULL;
    pthread_t thread;
    assert_int_equal(pthread_barrier_init(&cancelled, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, allocate_cancelled, &went_on), 0);
    assert_int_equal(pthread_cancel(thread), 0);
    pthread_barrier_wait(&cancelled);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_true(went_on);
    assert_ptr_equal(result, PTHREAD_CANCELED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(malloc_serves_before_main),
        PLAIN(exit_handlers_allocate_and_free),
        PLAIN(destructors_of_thread_specific_data_allocate_and_free),
        PLAIN(threads_that_only_free_need_no_block_of_their_own),
        PLAIN(blocks_outlive_their_thread),
        PLAIN(pages_that_the_program_has_closed_are_open_for_the_next_block),
        PLAIN(the_heap_neither_keeps_nor_writes_files),
        PLAIN(no_call_is_a_cancellation_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
