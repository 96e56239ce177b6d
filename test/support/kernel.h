/* kernel.h - how this kernel or emulator treats mappings, and what it says about this process; asked directly, to
 * compare with what the heaps find out. */
#pragma once

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
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

/* Whether purged memory reads as zero. */
static inline bool purging_zeroes(void) {
    char *start = kernel_map();
    bool zeroes = madvise(start, KERNEL_TRIAL, MADV_DONTNEED) == 0 && *(volatile char *)start == 0;
    munmap(start, 2 * KERNEL_TRIAL);
    return zeroes;
}

/* The kernel reads the byte for us, and reports if it cannot. */
static inline bool readable(const void *address) {
    int ends[2];
    CHECK(pipe(ends) == 0);
    bool can = write(ends[1], address, 1) == 1;
    CHECK(can || errno == EFAULT);
    close(ends[0]);
    close(ends[1]);
    return can;
}

/* Moves pages while the old address stays mapped, also for system calls. */
static inline bool pages_can_move(void) {
    char *start = kernel_map();
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    bool can = mremap(start, KERNEL_TRIAL, KERNEL_TRIAL, flags, start + KERNEL_TRIAL) != MAP_FAILED && readable(start);
    munmap(start, 2 * KERNEL_TRIAL);
    return can;
}

/* Whether the page at this address is mapped. */
static inline bool mapped(void *page) {
    unsigned char resident;
    return mincore(page, 1, &resident) == 0;
}

/* 0 if unknown. */
static inline size_t present_bytes(void *start, size_t size) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = 0;
    for (size_t at = 0; at < size; at += page) {
        unsigned char present = 0;
        bytes += mincore((char *)start + at, 1, &present) == 0 && (present & 1) != 0 ? page : 0;
    }
    return bytes;
}

/* The resident bytes of this process. */
static inline size_t resident_bytes(void) {
    unsigned long size = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%lu %lu", &size, &pages) == 2);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Whether an address's mapping has a flag, such as " dd", in smaps; -1 if nothing is mapped there. */
static inline int mapping_has_flag(const void *address, const char *flag) {
    uintptr_t start = 0, end = 0, from, to;
    int answer = -1;
    char line[512];
    FILE *file = fopen("/proc/self/smaps", "r");
    while (file != NULL && answer < 0 && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2) {
            start = from;
            end = to;
        } else if (strncmp(line, "VmFlags:", 8) == 0 && (uintptr_t)address >= start && (uintptr_t)address < end) {
            answer = strstr(line, flag) != NULL;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return answer;
}

static inline int left_out_of_cores(const void *address) {
    return mapping_has_flag(address, " dd");
}

/* False under emulators that do not pass the mark on. */
static inline bool cores_can_leave_out(void) {
    char *start = kernel_map();
    bool can = madvise(start, KERNEL_TRIAL, MADV_DONTDUMP) == 0 && left_out_of_cores(start) == 1;
    munmap(start, 2 * KERNEL_TRIAL);
    return can;
}

/* Makes every other page of a mapping readable until the kernel allows no more mappings. Returns the mapping, of *size
 * bytes, to be unmapped; NULL if the kernel allows too many to try. */
static inline char *use_up_mappings(size_t *size) {
    unsigned long limit = 0;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), used = 0;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
    if (file == NULL || fscanf(file, "%lu", &limit) != 1 || limit > 300000) {
        return NULL;
    }
    fclose(file);
    *size = 2 * limit * page;
    char *crowd = mmap(NULL, *size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(crowd != MAP_FAILED);
    while (used < limit && mprotect(crowd + 2 * used * page, page, PROT_READ) == 0) {
        used++;
    }
    CHECK(used < limit);
    return crowd;
}
