/*
 * aligned_alloc, posix_memalign, memalign, valloc, pvalloc: alignments from 1 to gigabytes, and what each refuses.
 */
#include "support/family.h"

#include <unistd.h>

#define ALIGNMENT_MAX ((size_t)1 << 31)

/* A block keeps its contents at both ends, even through realloc. */
static void use(unsigned char *block, size_t alignment, size_t size) {
    assert_non_null(block);
    assert_true(is_aligned(block, alignment < 16 ? 16 : alignment));
    size_t usable = malloc_usable_size(block);
    assert_true(usable >= size);
    if (usable > 0) {
        block[0] = 1;
        block[usable - 1] = 2;
    }
    block = realloc(block, usable + 1);
    assert_non_null(block);
    assert_int_equal(block[0], usable == 1 ? 2 : 1);
    assert_int_equal(block[usable - 1], 2);
    free(block);
}

static void every_alignment_is_kept_with_every_size(void) {
    static const size_t sizes[] = {0, 1, 24, 100, 1000, 4097, 40000, 65536, 300000, 20 << 20};
    for (size_t alignment = 1; alignment <= ALIGNMENT_MAX; alignment *= 2) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            size_t size = sizes[i];
            use(aligned_alloc(alignment, size), alignment, size);
            use(memalign(alignment, size), alignment, size);
            if (alignment >= sizeof(void *)) {
                void *block = NULL;
                assert_int_equal(posix_memalign(&block, alignment, size), 0);
                use(block, alignment, size);
            }
        }
    }
}

static void aligned_blocks_do_not_overlap(void) {
    enum { COUNT = 200 };
    unsigned char *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = aligned_alloc((size_t)16 << i % 10, 50 + i);
        memset(blocks[i], (int)i, 50 + i);
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(blocks[i][0], i);
        assert_memory_equal(blocks[i], blocks[i] + 1, 49 + i);
        free(blocks[i]);
    }
}

static void aligned_alloc_refuses_bad_alignments_and_impossible_sizes(void) {
    assert_fails(aligned_alloc(opaque(0), 16), EINVAL);
    assert_fails(aligned_alloc(opaque(3), 16), EINVAL);
    assert_fails(aligned_alloc(opaque(48), 96), EINVAL);
    assert_fails(aligned_alloc(opaque(SIZE_MAX), 16), EINVAL);
    assert_fails(aligned_alloc(opaque(SIZE_MAX / 2 + 1), 16), ENOMEM);
    for (size_t i = 0; i < IMPOSSIBLE_SIZES; i++) {
        assert_fails(aligned_alloc(16, opaque(impossible_sizes[i])), ENOMEM);
        assert_fails(aligned_alloc(4096, opaque(impossible_sizes[i])), ENOMEM);
        assert_fails(aligned_alloc(opaque((size_t)1 << 40), opaque(impossible_sizes[i])), ENOMEM);
    }
    assert_fails(aligned_alloc(opaque((size_t)1 << 62), opaque((size_t)1 << 62)), ENOMEM);
}

static void posix_memalign_refuses_and_leaves_all_alone(void) {
    static const size_t bad[] = {0, 1, 2, 4, 7, 9, 24, 48, 4095, SIZE_MAX};
    char mark;
    void *block = &mark;
    errno = 4711;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(posix_memalign(&block, opaque(bad[i]), 16), EINVAL);
        assert_ptr_equal(block, &mark);
    }
    for (size_t i = 0; i < IMPOSSIBLE_SIZES; i++) {
        assert_int_equal(posix_memalign(&block, 64, opaque(impossible_sizes[i])), ENOMEM);
        assert_int_equal(posix_memalign(&block, opaque((size_t)1 << 40), opaque(impossible_sizes[i])), ENOMEM);
        assert_ptr_equal(block, &mark);
    }
    assert_int_equal(errno, 4711);
}

static void memalign_rounds_the_alignment_up(void) {
    static const size_t odd[][2] = {{0, 16}, {3, 16}, {24, 32}, {48, 64}, {65, 128}, {4097, 8192}};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        void *block = memalign(opaque(odd[i][0]), 10);
        assert_non_null(block);
        assert_true(is_aligned(block, odd[i][1]));
        free(block);
    }
    assert_fails(memalign(opaque(SIZE_MAX), 1), EINVAL);
    assert_fails(memalign(opaque(SIZE_MAX / 2 + 2), 1), EINVAL);
    assert_fails(memalign(opaque(SIZE_MAX / 2 + 1), 1), ENOMEM);
    assert_fails(memalign(64, opaque(SIZE_MAX)), ENOMEM);
}

static void valloc_and_pvalloc_give_aligned_pages(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *block = valloc(sizes[i]);
        assert_true(is_aligned(block, page));
        free(block);
        block = pvalloc(sizes[i]);
        assert_non_null(block);
        assert_true(is_aligned(block, page));
        assert_true(malloc_usable_size(block) >= (sizes[i] + page - 1) / page * page);
        free(block);
    }
    for (size_t i = 0; i < IMPOSSIBLE_SIZES; i++) {
        assert_fails(valloc(opaque(impossible_sizes[i])), ENOMEM);
        assert_fails(pvalloc(opaque(impossible_sizes[i])), ENOMEM);
    }
    assert_fails(pvalloc(opaque(PTRDIFF_MAX)), ENOMEM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(every_alignment_is_kept_with_every_size),
        PLAIN(aligned_blocks_do_not_overlap),
        PLAIN(aligned_alloc_refuses_bad_alignments_and_impossible_sizes),
        PLAIN(posix_memalign_refuses_and_leaves_all_alone),
        PLAIN(memalign_rounds_the_alignment_up),
        PLAIN(valloc_and_pvalloc_give_aligned_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
