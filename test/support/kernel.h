/*
 * kernel.h - what this kernel, or emulator, does with mappings, and what it says of this process: asked directly, to
 * compare with what the heaps find out.
 */
#ifndef MEMS_TEST_SUPPORT_KERNEL_H
#define MEMS_TEST_SUPPORT_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define KERNEL_TRIAL ((size_t)65536)

static inline char *kernel_map(void) {
    char *start = mmap(NULL, 2 * KERNEL_TRIAL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *(volatile char *)start = 1;
    return start;
}

/* Whether memory that was given back reads as zero. */
static inline bool purging_zeroes(void) {
    char *start = kernel_map();
    bool zeroes = madvise(start, KERNEL_TRIAL, MADV_DONTNEED) == 0 && *(volatile char *)start == 0;
    munmap(start, 2 * KERNEL_TRIAL);
    return zeroes;
}

/* Whether pages can move to another address, and leave the old one mapped. */
static inline bool pages_can_move(void) {
    char *start = kernel_map();
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    bool can = mremap(start, KERNEL_TRIAL, KERNEL_TRIAL, flags, start + KERNEL_TRIAL) != MAP_FAILED;
    munmap(start, 2 * KERNEL_TRIAL);
    return can;
}

/* Whether the page at an address is mapped. */
static inline bool mapped(void *page) {
    unsigned char resident;
    return mincore(page, 1, &resident) == 0;
}

/* How many bytes of these pages are present; 0 where that cannot be found out. */
static inline size_t present_bytes(void *start, size_t size) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = 0;
    for (size_t at = 0; at < size; at += page) {
        unsigned char present = 0;
        bytes += mincore((char *)start + at, 1, &present) == 0 && (present & 1) != 0 ? page : 0;
    }
    return bytes;
}

/* The bytes of this process that are in memory. */
static inline size_t resident_bytes(void) {
    unsigned long size = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%lu %lu", &size, &pages) == 2);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

#endif
