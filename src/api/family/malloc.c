/* malloc.c - the C library's allocation functions. All that allocate or free are in this one object, so a static link
 * takes all of them or none: if one name were missing, the linker would pull in libc's malloc as well. They check
 * arguments and overflow as their standards require; malloc and free are the heap's fast paths. Only reallocarray calls
 * another function by its public name. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "api/family/backend.h"
#include "base/bits.h"
#include "base/compiler.h"
#include "os/os.h"

/* Another name of a function of this file. */
#define ALIAS(function) __attribute__((alias(#function)))

/* Not in <stdlib.h>: from <malloc.h>, C23, older C libraries, or glibc's own. */
void *memalign(size_t alignment, size_t size);
void *pvalloc(size_t size);
void cfree(void *block);
size_t malloc_usable_size(void *block);
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);

EXPORT HOT void *malloc(size_t size) {
    return backend_fast_alloc(size);
}

/* Compilers expect malloc's attributes on an alias, and disagree on how to write that. */
__asm__(".globl family_malloc\n.hidden family_malloc\n.set family_malloc, malloc");

EXPORT HOT void free(void *block) {
    backend_fast_free("free", block);
}

static void *own_calloc(size_t count, size_t size) {
    return backend_alloc_zeroed(count, size);
}

EXPORT void *calloc(size_t count, size_t size) ALIAS(own_calloc);

/* Size 0 frees the block and is no error, as in glibc; C leaves it undefined, POSIX allows it. */
static void *resize(const char *operation, void *block, size_t size) {
    if (UNLIKELY(size == 0 && block != NULL)) {
        backend_free(operation, block);
        return NULL;
    }
    return backend_realloc(operation, block, size);
}

static void *own_realloc(void *block, size_t size) {
    return resize("realloc", block, size);
}

EXPORT void *realloc(void *block, size_t size) ALIAS(own_realloc);

/* Calls the program's realloc if it has one, as glibc and musl do: a program that defines malloc but not reallocarray,
 * as browsers do, passes its blocks to libraries that call this. */
static void *resize_array(void *block, size_t count, size_t size) {
    void *(*volatile program_realloc)(void *, size_t) = realloc; /* volatile: the compiler takes it for ours */
    size_t bytes;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) {
        errno = ENOMEM;
        return NULL;
    }
    return program_realloc == own_realloc ? resize("reallocarray", block, bytes) : program_realloc(block, bytes);
}

EXPORT void *reallocarray(void *block, size_t count, size_t size) ALIAS(resize_array);

/* C17 allows any size with any supported alignment, here any power of two. */
EXPORT void *aligned_alloc(size_t alignment, size_t size) {
    if (UNLIKELY(!is_power_of_two(alignment))) {
        errno = EINVAL;
        return NULL;
    }
    return backend_alloc_aligned(alignment, size);
}

/* POSIX: returns the error, leaves errno unspecified, and *out unchanged after an error. */
static int align_posix(void **out, size_t alignment, size_t size) {
    if (!is_power_of_two(alignment) || alignment % sizeof(void *) != 0) {
        return EINVAL;
    }
    int saved = errno;
    void *block = backend_alloc_aligned(alignment, size);
    if (block == NULL) {
        errno = saved;
        return ENOMEM;
    }
    *out = block;
    return 0;
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t size) ALIAS(align_posix);

/* glibc's memalign rounds the alignment up to a power of two, and programs pass 24 or 0. */
static void *align_rounded(size_t alignment, size_t size) {
    if (alignment > SIZE_MAX / 2 + 1) {
        errno = EINVAL;
        return NULL;
    }
    if (!is_power_of_two(alignment)) {
        alignment = alignment == 0 ? 1 : (size_t)2 << floor_log2(alignment);
    }
    return backend_alloc_aligned(alignment, size);
}

EXPORT void *memalign(size_t alignment, size_t size) ALIAS(align_rounded);

/* The kernel's page size, because the caller will probably call mprotect on the block. */
static void *align_page(size_t size) {
    return backend_alloc_aligned(os_page_size(), size);
}

EXPORT void *valloc(size_t size) ALIAS(align_page);

static void *align_whole_pages(size_t size) {
    if (size > PTRDIFF_MAX) { /* so that rounding cannot overflow */
        errno = ENOMEM;
        return NULL;
    }
    return align_page(round_up(size, os_page_size()));
}

EXPORT void *pvalloc(size_t size) ALIAS(align_whole_pages);

EXPORT void cfree(void *block) {
    backend_free("cfree", block);
}

EXPORT void free_sized(void *block, size_t size) {
    backend_free_sized("free_sized", block, size, 0);
}

EXPORT void free_aligned_sized(void *block, size_t alignment, size_t size) {
    backend_free_sized("free_aligned_sized", block, size, alignment);
}

EXPORT size_t malloc_usable_size(void *block) {
    return backend_usable_size("malloc_usable_size", block);
}

/* glibc's other names of malloc. Programs that wrap malloc call them, and in a static link they must not pull in libc's
 * object. musl has internal functions with these names, which must not be replaced. */
#ifdef __GLIBC__

void *__libc_malloc(size_t size);
void __libc_free(void *block);
EXPORT void *__libc_calloc(size_t count, size_t size) ALIAS(own_calloc);
EXPORT void *__libc_realloc(void *block, size_t size) ALIAS(own_realloc);
EXPORT void *__libc_reallocarray(void *block, size_t count, size_t size) ALIAS(resize_array);
EXPORT void *__libc_memalign(size_t alignment, size_t size) ALIAS(align_rounded);
EXPORT void *__libc_valloc(size_t size) ALIAS(align_page);
EXPORT void *__libc_pvalloc(size_t size) ALIAS(align_whole_pages);
EXPORT int __posix_memalign(void **out, size_t alignment, size_t size) ALIAS(align_posix);

EXPORT void *__libc_malloc(size_t size) {
    return backend_alloc(size);
}

EXPORT void __libc_free(void *block) {
    backend_free("free", block);
}

#endif
