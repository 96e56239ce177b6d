/*
 * family.h - the malloc family under other names, beside the C library's, which libFuzzer and the sanitizers use.
 *
 * The family's sources are compiled with this file included first (-include), and so is the fuzz target: in both,
 * malloc is family_malloc, and likewise every name that the sources define.
 */
#pragma once

#define malloc family_malloc
#define free family_free
#define calloc family_calloc
#define realloc family_realloc
#define reallocarray family_reallocarray
#define aligned_alloc family_aligned_alloc
#define posix_memalign family_posix_memalign
#define memalign family_memalign
#define valloc family_valloc
#define pvalloc family_pvalloc
#define cfree family_cfree
#define free_sized family_free_sized
#define free_aligned_sized family_free_aligned_sized
#define malloc_usable_size family_malloc_usable_size
#define malloc_trim family_malloc_trim
#define mallinfo family_mallinfo
#define mallinfo2 family_mallinfo2
#define mallopt family_mallopt
#define malloc_stats family_malloc_stats
#define malloc_info family_malloc_info
#define __libc_malloc family_libc_malloc
#define __libc_free family_libc_free
#define __libc_calloc family_libc_calloc
#define __libc_realloc family_libc_realloc
#define __libc_reallocarray family_libc_reallocarray
#define __libc_memalign family_libc_memalign
#define __libc_valloc family_libc_valloc
#define __libc_pvalloc family_libc_pvalloc
#define __libc_mallinfo family_libc_mallinfo
#define __libc_mallopt family_libc_mallopt
#define __posix_memalign family_libc_posix_memalign
