/*
 * os.h - everything that the heaps ask of the kernel.
 *
 * Calls bypass the C library, because another library may have taken over its names (syscall.h). malloc and free use
 * only mmap, munmap, mprotect, mremap, madvise, futex and getrandom; HMM also brk; and clock_gettime without a vDSO. A
 * sandbox that allows these is enough.
 *
 * Unless stated otherwise, functions return 0 or an errno, keep the caller's errno, allocate nothing, take no lock, and
 * may be called at any time, even before main. Addresses and sizes are multiples of OS_PAGE. The kernel's pages may be
 * larger, so callers release memory in multiples of 64 KiB, a multiple of every page size of Linux.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OS_PAGE ((size_t)4096)

/* The kernel's page size; may exceed OS_PAGE. */
size_t os_page_size(void);

/* Reserves address space: inaccessible, not charged, not in cores. `align` is a power of two. */
int os_reserve(size_t size, size_t align, void **out);

/* At exactly `start`; EEXIST if something is mapped there. */
int os_reserve_at(void *start, size_t size);

/* Makes reserved pages accessible. They read as zero until written. */
int os_commit(void *start, size_t size);

/* A hint, given before os_commit: reserved pages will be accessible, so cores should include them. While committed
 * pages end before marked ones, neither call needs another mapping. */
void os_dump(void *start, size_t size);

/* Maps zeroed memory at exactly `start`; EEXIST if something is mapped there. For claimed windows. */
int os_claim(void *start, size_t size);

/* Maps zeroed memory. `align` is a power of two, at least OS_PAGE. */
int os_map(size_t size, size_t align, void **out);

/* At `near` if that is free, otherwise (or if NULL) anywhere. */
int os_map_near(void *near, size_t size, void **out);

/* Works on any part of a mapping. */
int os_unmap(void *start, size_t size);

/* Calls use() with room of `size` bytes, at most OS_SCRATCH_MOST and undefined, for what is too large for a thread's
 * stack of 16 KiB. The room is a mapping, or on the stack if there is no memory. */
#define OS_SCRATCH_MOST ((size_t)9216)
void os_with_scratch(size_t size, void (*use)(void *room, void *context), void *context);

/* Releases the memory but keeps its addresses, which fault until os_unmap. */
int os_forbid(void *start, size_t size);

/* Gives the pages' memory back and keeps their addresses, which then read as zero if os_purge_zeroes(). EPERM in a
 * sandbox, EINVAL for locked pages; then nothing has changed. */
int os_purge(void *start, size_t size);

/* Replaces accessible pages by zero ones. Works even where os_purge is refused, and ends the program's advice and locks
 * there. On an error nothing has changed, unless *lost: then the addresses are no longer ours. */
int os_replace(void *start, size_t size, bool *lost);

/* madvise, mprotect and mlock (mlock2 if flags are not 0) for the program: any addresses, any advice. */
int os_advise(void *start, size_t size, int advice);
int os_protect(void *start, size_t size, int protection);
int os_lock_pages(const void *start, size_t size, unsigned flags);

/* Frees pages and makes them fault, without splitting the mapping; os_guard_end makes them accessible, and zero. EINVAL
 * for locked pages and before Linux 6.13 (ENOSYS once known): then they are accessible, but may have been freed. */
int os_guard(void *start, size_t size);
int os_guard_end(void *start, size_t size);

/* Makes pages fault, as a separate mapping, and keeps their contents. os_commit reopens them. */
int os_close_pages(void *start, size_t size);

/* A hint: makes pages present, as writing to each would. */
void os_populate(void *start, size_t size);

/* Whether the first touch of a whole huge page makes all of it present, from now on. EINVAL if the kernel has no huge
 * pages. */
int os_huge_pages(void *start, size_t size, bool huge);

/* False if purged pages keep their contents, as in some emulators. The first call tries it. */
bool os_purge_zeroes(void);

/* Moves pages with their contents to `new`, which must be our own accessible memory and must not overlap; its contents
 * are lost. The old pages stay mapped and read as zero. On an error nothing has moved and the contents at `new` are
 * undefined; *lost: the addresses at `new` are no longer ours. ENOSYS, at once, where the system cannot move pages. */
int os_move_pages(void *old, void *new, size_t size, bool *lost);

/* Resizes a whole mapping in place or, with may_move, elsewhere: at *out. */
int os_resize_map(void *start, size_t old_size, size_t new_size, bool may_move, void **out);

/* Moves the program break by `by` bytes, and glibc's sbrk with it; *old_break is the kernel's previous break. Callers
 * must exclude each other, and sbrk. ENOMEM if libc keeps the break for itself (musl). */
int os_move_break(intptr_t by, void **old_break);

/* A monotonic clock: cheap, with a resolution of some milliseconds. */
uint64_t os_coarse_ms(void);

/* May end early by a signal. */
void os_sleep_ms(uint32_t ms);

/* Microseconds of a monotonic clock. */
uint64_t os_fine_us(void);

/* 64 random bits from the kernel or, if it refuses, from addresses and clocks. */
uint64_t os_random(void);

/* RLIMIT_AS and RLIMIT_DATA in bytes; SIZE_MAX: no limit. */
size_t os_address_limit(void);
size_t os_data_limit(void);

/* Whether the kernel refuses memory that it cannot back (vm.overcommit_memory is 2). Reads a file. */
bool os_strict_overcommit(void);

/* The machine's memory in bytes; 0 if unknown. */
size_t os_physical_memory(void);

/* How much memory the process may lock (RLIMIT_MEMLOCK); SIZE_MAX: any, which a privileged process may. */
size_t os_lock_limit(void);

/* mlockall; prlimit, with the types of <sys/resource.h>: process 0 is this one; either structure may be
 * NULL. */
struct rlimit;
int os_lock_memory(int flags);
int os_process_limit(int process, int resource, const struct rlimit *limit, struct rlimit *old);

/* Never cached, so right in every kind of child. */
uint64_t os_thread_id(void);
uint64_t os_process_id(void);

/* libc's flag for a process with one thread, if it has it. Whoever reads true stays alone until it makes another. */
extern char __libc_single_threaded __attribute__((weak));
static inline bool os_single_threaded(void) {
    return &__libc_single_threaded != NULL && __libc_single_threaded != 0;
}

/* The lock of libc's list of open streams. libc's fork takes it after all handlers; but a thread in fflush(NULL) may
 * hold it and wait for a stream, whose holder may wait for a heap's lock, which our handler has. Taking it first keeps
 * the order list, stream, heap. It is recursive; a forked child resets it. No effect on musl. */
void os_streams_lock(void);
void os_streams_unlock(void);
void os_streams_reset(void);

/* False before libc's own start, when the loader may already allocate. */
bool os_environment_ready(void);

/* NULL if unset, or in a setuid program. Before libc has an environment, `early` is used: the loader's, or NULL. */
const char *os_environment(char *const *early, const char *name);

/* Writes the text and empties the buffer. An error ends it silently. */
struct fmt;
void fmt_flush(struct fmt *fmt, int fd);

/* Opens a file for appending, or creates it. All descriptors here are closed on exec. */
int os_open_append(const char *path, int *fd);
void os_close(int fd);

/* The same, after emptying the file. */
int os_open_new(const char *path, int *fd);

/* Writes a whole file to a descriptor; an error ends it silently. */
void os_copy_text(const char *path, int fd);

/* The duplicate's number is at least `least`. */
int os_duplicate(int fd, int least, int *copy);

/* Identifies the file behind a descriptor. */
struct os_file_identity {
    uint64_t device;
    uint64_t inode;
};
int os_file_identity(int fd, struct os_file_identity *identity);

/* Reads as much as one read returns, as a string. size is at least 1. */
int os_read_text(const char *path, char *text, size_t size);

/* Resident bytes, address space, and faults of the process; 0 if unknown. */
struct os_usage {
    size_t resident;
    size_t mapped;
    size_t data; /* of mapped: writable and private, which RLIMIT_DATA counts, and the stack */
    uint64_t minor_faults;
    uint64_t major_faults;
};
void os_usage(struct os_usage *usage);

/* The machine's memory, or less if control groups (versions 1 and 2) limit it. Reads a file for each group. */
size_t os_memory_allowed(void);

/* The control groups' limit alone, from files such as /proc/self/cgroup and /sys/fs/cgroup; SIZE_MAX: none. */
size_t os_groups_limit(const char *proc_file, const char *root);

/* Percentage of the last ten seconds in which some thread of the machine waited for memory (PSI); 0 if unknown. */
unsigned os_memory_pressure(void);

/* The build id of the file that contains the library, which may be a static program. */
struct build_id;
void os_build_id(struct build_id *id);

#ifdef MEMS_FAULT_INJECTION
/* For tests: `count` calls of a kind fail with `error`, starting with the `after`-th from now (0: the next). Threads
 * share the counters. A failed call has no effect, but a moving mremap with ENOMEM unmaps its destination. */
enum os_call { OS_CALL_MMAP, OS_CALL_MUNMAP, OS_CALL_MPROTECT, OS_CALL_MADVISE, OS_CALL_MREMAP, OS_CALL_BRK, OS_CALLS };
void os_inject(enum os_call call, uint64_t after, uint64_t count, int error);
void os_inject_clear(void);
uint64_t os_inject_calls(enum os_call call);

/* From now on os_coarse_ms() is `ms`, however slow the machine is, and os_fine_us() stands still with it; 0: they
 * follow the kernel's clock again. */
void os_inject_clock(uint64_t ms);
#endif
