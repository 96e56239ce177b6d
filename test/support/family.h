/* family.h - the malloc family for tests: declarations that some libc headers lack, sizes to request, and values hidden
 * from the compiler. */
#pragma once

#include "test.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef __GLIBC__
struct mallinfo {
    int arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
struct mallinfo2 {
    size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
#define M_MXFAST 1
#define M_TRIM_THRESHOLD (-1)
#define M_TOP_PAD (-2)
#define M_MMAP_THRESHOLD (-3)
#define M_MMAP_MAX (-4)
#define M_CHECK_ACTION (-5)
#define M_PERTURB (-6)
#define M_ARENA_TEST (-7)
#define M_ARENA_MAX (-8)
struct mallinfo2 mallinfo2(void);
int mallopt(int parameter, int value);
int malloc_trim(size_t pad);
void malloc_stats(void);
int malloc_info(int options, FILE *stream);
void *pvalloc(size_t size);
#endif
/* mallinfo: glibc's header warns of its ints. */
struct mallinfo narrow_mallinfo(void) __asm__("mallinfo");
void cfree(void *block);
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);

/* From the compiler, which warns about sizes that can only fail. */
static inline size_t opaque(size_t value) {
    __asm__("" : "+r"(value));
    return value;
}

/* The compiler must not know that a pointer is dead, or that a failed call left it valid. */
static inline void *hidden(void *block) {
    __asm__("" : "+r"(block));
    return block;
}

/* On both sides of allocators' limits: classes, pages, slabs, large and huge blocks. */
static const size_t edge_sizes[] = {
    0,
    1,
    8,
    15,
    16,
    17,
    31,
    32,
    33,
    63,
    64,
    65,
    127,
    128,
    129,
    255,
    256,
    257,
    1023,
    1024,
    1025,
    4095,
    4096,
    4097,
    8192,
    16384,
    32767,
    32768,
    32769,
    65535,
    65536,
    65537,
    131072,
    262144,
    1048575,
    1048576,
    2097153,
    4194304,
    5000000,
    8 << 20,
    (8 << 20) + 1,
    40 << 20,
};
#define EDGE_SIZES (sizeof edge_sizes / sizeof *edge_sizes)

/* Sizes that no allocator may grant. */
static const size_t impossible_sizes[] = {
    (size_t)PTRDIFF_MAX + 1, SIZE_MAX / 2 + 4096, SIZE_MAX - 65536, SIZE_MAX - 4096,
    SIZE_MAX - 15,           SIZE_MAX - 1,        SIZE_MAX,
};
#define IMPOSSIBLE_SIZES (sizeof impossible_sizes / sizeof *impossible_sizes)

static inline bool is_aligned(const void *block, size_t alignment) {
    return (uintptr_t)block % alignment == 0;
}

/* The expression is NULL and has set errno. */
#define assert_fails(expression, error) \
    do {                                \
        errno = 0;                      \
        assert_null(expression);        \
        assert_int_equal(errno, error); \
    } while (0)
