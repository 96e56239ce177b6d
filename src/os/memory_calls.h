/* memory_calls.h - system calls that change mappings. Each returns 0 or an errno, and tests can make it fail. */
#pragma once

#include <stddef.h>
#include <sys/mman.h>

/* For libc headers older than the kernel. */
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

#define READ_WRITE (PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)

/* Anonymous memory. */
int sys_mmap(void *start, size_t size, int protection, int flags, void **out);
int sys_munmap(void *start, size_t size);
int sys_mprotect(void *start, size_t size, int protection);
int sys_madvise(void *start, size_t size, int advice);
int sys_mremap(void *old, size_t old_size, size_t new_size, int flags, void *new, void **out);
