/*
 * malloc, free, calloc, realloc, reallocarray: what C, POSIX and glibc promise.
 */
#include "support/family.h"

#include "support/marked.h"

static void malloc_gives_usable_aligned_blocks(void) {
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

static void malloc_of_nothing_is_unique(void) {
    void *a = malloc(0);
    void *b = malloc(0);
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    free(a);
    free(b);
}

static void blocks_do_not_overlap(void) {
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
        /* All bytes equal the first, which is right. */
        assert_true(size == 0 || (block[0] == (i & 0xff) && memcmp(block, block + 1, size - 1) == 0));
        free(blocks[i / 4][i % 4]);
    }
}

static void impossible_sizes_fail_with_enomem(void) {
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

static void success_keeps_errno(void) {
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

static void calloc_is_zero_also_in_used_memory(void) {
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

static void calloc_is_zero_up_to_the_usable_size(void) {
    static const size_t large[] = {32 * KIB + 1, 100 * KIB + 5, 700001, MIB + 7, 5 * MIB - 9};
    for (size_t i = 0; i < 3000 + sizeof large / sizeof *large; i++) {
        size_t size = i < 3000 ? i * (i % 3 + 1) : large[i - 3000];
        unsigned char *used = malloc(size);
        memset(used, 0xeb, malloc_usable_size(used));
        free(used);
        unsigned char *block = calloc(1, size);
        assert_non_null(block);
        size_t usable = malloc_usable_size(block);
        /* Its first byte is zero, and each other is like the one before: quicker than to assert each. */
        assert_true(usable == 0 || (block[0] == 0 && memcmp(block, block + 1, usable - 1) == 0));
        free(block);
    }
}

static void calloc_fails_when_the_product_overflows(void) {
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

/* A block of which every word is marked. */
static struct marked filled(unsigned char *memory, size_t size) {
    struct marked block = {.memory = memory, .size = size, .mark = 1, .stride = MARKED_WORD};
    assert_non_null(memory);
    marked_fill(&block);
    return block;
}

static void resize(struct marked *block, size_t size) {
    block->memory = realloc(block->memory, size);
    assert_non_null(block->memory);
    assert_true(is_aligned(block->memory, 16));
    assert_true(marked_intact(block, size));
}

static void realloc_keeps_contents_between_all_kinds(void) {
    static const size_t sizes[] = {1, 16, 100, 4096, 30000, 32769, 65536, 70000, 1 << 20, 3 << 20, 9 << 20, 33 << 20};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    for (size_t from = 0; from < COUNT; from++) {
        for (size_t to = 0; to < COUNT; to++) {
            struct marked block = filled(malloc(sizes[from]), sizes[from]);
            resize(&block, sizes[to]);
            filled(block.memory, malloc_usable_size(block.memory));
            free(block.memory);
        }
    }
}

static void realloc_keeps_contents_step_by_step(void) {
    struct marked block = {.memory = NULL};
    for (size_t next = 1; next < 3000000; next += next / 3 + 1) {
        resize(&block, next);
        block = filled(block.memory, next);
    }
    for (size_t next = block.size; next > 1; next -= next / 4 + 1) {
        resize(&block, next);
    }
    free(block.memory);
}

static void realloc_to_zero_frees(void) {
    errno = 4711;
    assert_null(realloc(malloc(100), opaque(0)));
    assert_null(reallocarray(malloc(1 << 20), opaque(0), 8));
    assert_null(reallocarray(malloc(32 << 20), 8, opaque(0)));
    assert_int_equal(errno, 4711);
    void *block = realloc(NULL, opaque(0));
    assert_non_null(block);
    free(block);
}

static void reallocarray_fails_when_the_product_overflows(void) {
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

static void usable_size_of_null_is_zero(void) {
    assert_int_equal(malloc_usable_size(NULL), 0);
}

static void cfree_frees_blocks_and_null(void) {
    cfree(NULL);
    cfree(malloc(1));
    cfree(malloc(1 << 24));
}

static void sized_frees_take_the_size_that_was_asked_for(void) {
    errno = 4711;
    free_sized(NULL, 10);
    free_aligned_sized(NULL, 64, 10);
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        size_t size = edge_sizes[i];
        free_sized(malloc(size), size);
        free_sized(calloc(1, size), size);
        free_sized(realloc(malloc(1000), size + 1), size + 1);
        for (size_t alignment = 1; alignment <= 1 << 27; alignment *= 2) {
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

/* One heap behind both sets of names: each accepts the other's blocks. */
static void the_names_of_glibc_serve_the_same_heap(void) {
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
        PLAIN(malloc_gives_usable_aligned_blocks),
        PLAIN(malloc_of_nothing_is_unique),
        PLAIN(blocks_do_not_overlap),
        PLAIN(impossible_sizes_fail_with_enomem),
        PLAIN(success_keeps_errno),
        PLAIN(calloc_is_zero_also_in_used_memory),
        PLAIN(calloc_is_zero_up_to_the_usable_size),
        PLAIN(calloc_fails_when_the_product_overflows),
        PLAIN(realloc_keeps_contents_between_all_kinds),
        PLAIN(realloc_keeps_contents_step_by_step),
        PLAIN(realloc_to_zero_frees),
        PLAIN(reallocarray_fails_when_the_product_overflows),
        PLAIN(usable_size_of_null_is_zero),
        PLAIN(cfree_frees_blocks_and_null),
        PLAIN(sized_frees_take_the_size_that_was_asked_for),
#ifdef __GLIBC__
        PLAIN(the_names_of_glibc_serve_the_same_heap),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
