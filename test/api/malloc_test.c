/*
 * malloc, free, calloc, realloc, reallocarray: what C, POSIX and glibc promise of them.
 */
#include "family.h"

static void test_malloc_gives_usable_aligned_blocks(void **state) {
    (void)state;
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        size_t size = edge_sizes[i];
        unsigned char *block = malloc(size);
        assert_non_null(block);
        assert_true(is_aligned(block, 16));
        size_t usable = malloc_usable_size(block);
        assert_true(usable >= size);
        memset(block, 0xa5, usable);
        free(block);
    }
}

static void test_malloc_zero_is_unique(void **state) {
    (void)state;
    void *a = malloc(0);
    void *b = malloc(0);
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    free(a);
    free(b);
}

static void test_blocks_do_not_overlap(void **state) {
    (void)state;
    unsigned char *blocks[EDGE_SIZES][4];
    for (size_t i = 0; i < EDGE_SIZES * 4; i++) {
        size_t size = edge_sizes[i / 4];
        blocks[i / 4][i % 4] = malloc(size);
        assert_non_null(blocks[i / 4][i % 4]);
        memset(blocks[i / 4][i % 4], (int)(i & 0xff), size);
    }
    for (size_t i = 0; i < EDGE_SIZES * 4; i++) {
        size_t size = edge_sizes[i / 4];
        const unsigned char *block = blocks[i / 4][i % 4];
        /* All bytes equal the first one, which is right. */
        assert_true(size == 0 || (block[0] == (i & 0xff) && memcmp(block, block + 1, size - 1) == 0));
        free(blocks[i / 4][i % 4]);
    }
}

static void test_impossible_sizes_fail_with_enomem(void **state) {
    (void)state;
    void *block = malloc(100);
    memset(block, 7, 100);
    for (size_t i = 0; i < IMPOSSIBLE_SIZES; i++) {
        size_t size = opaque(impossible_sizes[i]);
        assert_fails(malloc(size), ENOMEM);
        assert_fails(calloc(1, size), ENOMEM);
        assert_fails(calloc(size, 1), ENOMEM);
        assert_fails(realloc(NULL, size), ENOMEM);
        assert_fails(realloc(hidden(block), size), ENOMEM);
        assert_fails(reallocarray(NULL, 1, size), ENOMEM);
        assert_fails(reallocarray(hidden(block), size, 1), ENOMEM);
    }
    assert_int_equal(((unsigned char *)block)[0], 7);
    assert_memory_equal(block, (unsigned char *)block + 1, 99);
    free(block);
}

static void test_success_keeps_errno(void **state) {
    (void)state;
    errno = 4711;
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        void *block = malloc(edge_sizes[i]);
        block = realloc(block, edge_sizes[i] + 100);
        assert_non_null(block);
        free(block);
        free(calloc(edge_sizes[i], 1));
        free(aligned_alloc(256, edge_sizes[i]));
    }
    free(NULL);
    assert_int_equal(errno, 4711);
}

static void test_calloc_is_zero_also_in_used_memory(void **state) {
    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < EDGE_SIZES; i++) {
            size_t size = edge_sizes[i];
            unsigned char *block = calloc(1, size);
            assert_non_null(block);
            assert_true(is_aligned(block, 16));
            assert_true(size == 0 || (block[0] == 0 && memcmp(block, block + 1, size - 1) == 0));
            memset(block, 0xff, malloc_usable_size(block));
            free(block);
        }
    }
}

static void test_calloc_product(void **state) {
    (void)state;
    assert_fails(calloc(opaque(SIZE_MAX / 2 + 1), 2), ENOMEM);
    assert_fails(calloc(opaque((size_t)1 << 33), (size_t)1 << 33), ENOMEM);
    assert_fails(calloc(opaque(SIZE_MAX), opaque(SIZE_MAX)), ENOMEM);
    void *a = calloc(0, 100);
    void *b = calloc(100, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    free(a);
    free(b);
    unsigned char *c = calloc(1000, 33);
    assert_true(malloc_usable_size(c) >= 33000);
    free(c);
}

static bool holds_count_up(const unsigned char *block, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (block[i] != (i * 31 + (i >> 8)) % 251) {
            return false;
        }
    }
    return true;
}

static void count_up(unsigned char *block, size_t size) {
    for (size_t i = 0; i < size; i++) {
        block[i] = (unsigned char)((i * 31 + (i >> 8)) % 251);
    }
}

static void test_realloc_keeps_contents_between_all_kinds(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 16, 100, 4096, 30000, 32769, 65536, 70000, 1 << 20, 3 << 20, 9 << 20, 33 << 20};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    for (size_t from = 0; from < COUNT; from++) {
        for (size_t to = 0; to < COUNT; to++) {
            unsigned char *block = malloc(sizes[from]);
            count_up(block, sizes[from]);
            block = realloc(block, sizes[to]);
            assert_non_null(block);
            assert_true(is_aligned(block, 16));
            assert_true(holds_count_up(block, sizes[from] < sizes[to] ? sizes[from] : sizes[to]));
            count_up(block, malloc_usable_size(block));
            free(block);
        }
    }
}

static void test_realloc_step_by_step(void **state) {
    (void)state;
    unsigned char *block = NULL;
    size_t size = 0;
    for (size_t next = 1; next < 3000000; next += next / 3 + 1) {
        block = realloc(block, next);
        assert_non_null(block);
        assert_true(holds_count_up(block, size));
        size = next;
        count_up(block, size);
    }
    for (size_t next = size; next > 1; next -= next / 4 + 1) {
        block = realloc(block, next);
        assert_non_null(block);
        assert_true(holds_count_up(block, next));
    }
    free(block);
}

static void test_realloc_to_zero_frees(void **state) {
    (void)state;
    errno = 4711;
    assert_null(realloc(malloc(100), opaque(0)));
    assert_null(reallocarray(malloc(1 << 20), opaque(0), 8));
    assert_null(reallocarray(malloc(32 << 20), 8, opaque(0)));
    assert_int_equal(errno, 4711);
    void *block = realloc(NULL, opaque(0));
    assert_non_null(block);
    free(block);
}

static void test_reallocarray_product(void **state) {
    (void)state;
    char *block = reallocarray(NULL, 10, 10);
    memcpy(block, "still here", 11);
    assert_fails(reallocarray(hidden(block), opaque(SIZE_MAX / 8), 16), ENOMEM);
    assert_fails(reallocarray(hidden(block), opaque((size_t)1 << 32), (size_t)1 << 32), ENOMEM);
    assert_string_equal(block, "still here");
    block = reallocarray(block, 1000, 10);
    assert_true(malloc_usable_size(block) >= 10000);
    assert_string_equal(block, "still here");
    free(block);
}

static void test_usable_size_of_null_is_zero(void **state) {
    (void)state;
    assert_int_equal(malloc_usable_size(NULL), 0);
}

static void test_cfree(void **state) {
    (void)state;
    cfree(NULL);
    cfree(malloc(1));
    cfree(malloc(1 << 24));
}

static void test_free_sized(void **state) {
    (void)state;
    errno = 4711;
    free_sized(NULL, 10);
    free_aligned_sized(NULL, 64, 10);
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        size_t size = edge_sizes[i];
        free_sized(malloc(size), size);
        free_sized(calloc(1, size), size);
        free_sized(realloc(malloc(1000), size + 1), size + 1);
        for (size_t alignment = 1; alignment <= 1 << 21; alignment *= 2) {
            free_aligned_sized(aligned_alloc(alignment, size), alignment, size);
        }
    }
    assert_int_equal(errno, 4711);
}

#ifdef __GLIBC__
void *__libc_malloc(size_t size);
void __libc_free(void *block);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void *__libc_valloc(size_t size);
void *__libc_pvalloc(size_t size);
int __posix_memalign(void **out, size_t alignment, size_t size);

/* One heap under both sets of names: what one gives the other takes. */
static void test_glibc_names(void **state) {
    (void)state;
    free(__libc_malloc(100));
    __libc_free(malloc(100));
    free(__libc_realloc(malloc(100), 100000));
    free(realloc(__libc_calloc(10, 10), 5));
    free(__libc_memalign(4096, 1));
    free(__libc_valloc(1));
    free(__libc_pvalloc(1));
    void *block = NULL;
    assert_int_equal(__posix_memalign(&block, 64, 64), 0);
    assert_true(is_aligned(block, 64));
    free_aligned_sized(block, 64, 64);
    assert_null(__libc_realloc(malloc(1), opaque(0)));
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malloc_gives_usable_aligned_blocks),
        cmocka_unit_test(test_malloc_zero_is_unique),
        cmocka_unit_test(test_blocks_do_not_overlap),
        cmocka_unit_test(test_impossible_sizes_fail_with_enomem),
        cmocka_unit_test(test_success_keeps_errno),
        cmocka_unit_test(test_calloc_is_zero_also_in_used_memory),
        cmocka_unit_test(test_calloc_product),
        cmocka_unit_test(test_realloc_keeps_contents_between_all_kinds),
        cmocka_unit_test(test_realloc_step_by_step),
        cmocka_unit_test(test_realloc_to_zero_frees),
        cmocka_unit_test(test_reallocarray_product),
        cmocka_unit_test(test_usable_size_of_null_is_zero),
        cmocka_unit_test(test_cfree),
        cmocka_unit_test(test_free_sized),
#ifdef __GLIBC__
        cmocka_unit_test(test_glibc_names),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
