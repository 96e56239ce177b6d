/*
 * os.h - everything that the heaps ask of the kernel.
 *
 * No call goes through the C library, where another library may have taken over its name (syscall.h). malloc and free
 * use only mmap, munmap, mprotect, mremap, madvise, futex and getrandom, plus brk in HMM, and clock_gettime without a
 * vDSO: a sandbox that allows these is enough.
 *
 * Unless stated otherwise, functions return 0 or an errno, keep the caller's errno, allocate nothing, take no lock, and
 * may be called at any time, even before main. Addresses and sizes are multiples of OS_PAGE. The kernel's pages may be
 * larger, so callers that release memory use multiples of 64 KiB, a multiple of every page size of Linux.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OS_PAGE ((size_t)4096)

/* The kernel's page size, which may exceed OS_PAGE. */
size_t os_page_size(void);

/* Reserves address space at a multiple of `align`, a power of two: not accessible, not charged, not in cores. */
int os_reserve(size_t size, size_t align, void **out);

/* The same at exactly start..start+size; EEXIST if something is mapped there. */
int os_reserve_at(void *start, size_t size);

/* Makes reserved pages readable and writable in place. They read as zero until written. */
int os_commit(void *start, size_t size);

/* Marks reserved pages to be included in cores; called before os_commit, so that everything readable is in a core: a
 * mere hint. While committed pages end before marked ones, neither call needs another mapping. */
void os_dump(void *start, size_t size);

/* Maps free address space at exactly start..start+size, readable, writable and zero; EEXIST if something is mapped
 * there. For windows that grow piece by piece. */
int os_claim(void *start, size_t size);

/* Maps zeroed memory aligned to `align` (a power of two, at least OS_PAGE). */
int os_map(size_t size, size_t align, void **out);

/* The same at `near` (NULL: anywhere) if that is free, otherwise elsewhere. */
int os_map_near(void *near, size_t size, void **out);

/* Unmaps pages. Works on any part of a mapping. */
int os_unmap(void *start, size_t size);

/* Releases our memory but keeps its addresses: accesses fault until os_unmap. */
int os_forbid(void *start, size_t size);

/* Returns the memory of pages to the system and keeps their addresses. They read as zero afterwards if
 * os_purge_zeroes(). May be refused (EPERM in a sandbox, EINVAL for locked pages); then nothing has changed. */
int os_purge(void *start, size_t size);

/* Replaces readable and writable pages, whose contents do not matter, by zero ones; the old memory is released even
 * where os_purge is refused, and the program's advice and locks there end. On an error nothing has changed, unless
 * *lost: then the addresses are no longer ours. */
int os_replace(void *start, size_t size, bool *lost);

/* madvise and mlock (mlock2 if flags are not 0) on the program's behalf: on any addresses, with any advice. */
int os_advise(void *start, size_t size, int advice);
int os_lock_pages(const void *start, size_t size, unsigned flags);

/* Takes the memory of pages away and makes accesses fault, without splitting the mapping; os_guard_end makes them
 * accessible, and zero. EINVAL before Linux 6.13 (ENOSYS once that is known), and for locked pages. */
int os_guard(void *start, size_t size);
int os_guard_end(void *start, size_t size);

/* Makes pages fault, in a mapping of their own, and keeps their contents: os_commit makes them accessible again. */
int os_close_pages(void *start, size_t size);

/* Makes the memory of pages present, as writing to each would. A mere hint. */
void os_populate(void *start, size_t size);

/* False if purged pages keep their contents, as in some emulators. The first call finds out by trial. */
bool os_purge_zeroes(void);

/*
 * Moves the pages of old..old+size with their contents to `new`..`new`+size, which must be our own readable and
 * writable memory with contents that do not matter, and must not overlap. Afterwards old..old+size is still mapped,
 * readable and writable, and reads as zero. On an error nothing has moved and the contents at `new` are undefined;
 * *lost: the addresses at `new` are no longer ours. ENOSYS, at once, where the system cannot move pages.
 */
int os_move_pages(void *old, void *new, size_t size, bool *lost);

/* Resizes a whole mapping in place or, with may_move, elsewhere; *out is its address afterwards. */
int os_resize_map(void *start, size_t old_size, size_t new_size, bool may_move, void **out);

/* Moves the program break by `by` bytes; *old_break is the kernel's previous break. glibc's sbrk continues from the new
 * one. Only one thread at a time may do so, also by sbrk. ENOMEM if the C library keeps the break for itself (musl). */
int os_move_break(intptr_t by, void **old_break);

/* Milliseconds of a monotonic clock, cheap and with a resolution of some milliseconds. */
uint64_t os_coarse_ms(void);

/* Sleeps for this long, or until a signal. */
void os_sleep_ms(uint32_t ms);

/* Microseconds of a monotonic clock. */
uint64_t os_fine_us(void);

/* 64 random bits from the kernel or, if it refuses, from addresses and clocks. */
uint64_t os_random(void);

/* The limits of address space (RLIMIT_AS) and of writable memory (RLIMIT_DATA) in bytes; SIZE_MAX if there is none. */
size_t os_address_limit(void);
size_t os_data_limit(void);

/* Whether the kernel refuses writable memory that it cannot back (vm.overcommit_memory is 2). Reads a file. */
bool os_strict_overcommit(void);

/* The machine's memory in bytes; 0 if unknown. */
size_t os_physical_memory(void);

/* Locks all of the process's memory (mlockall); sets a limit of a process (setrlimit, prlimit; 0 is this process).
 * `resource` and the structures are those of <sys/resource.h>; the structures may be NULL. */
struct rlimit;
int os_lock_memory(int flags);
int os_process_limit(int process, int resource, const struct rlimit *limit, struct rlimit *old);

/* The kernel's id of the calling thread. It is never cached, so it is right in every kind of child. */
uint64_t os_thread_id(void);
uint64_t os_process_id(void);

/* The C library's flag for a process with one thread, if it has it; who reads true is alone until it makes another. */
extern char __libc_single_threaded __attribute__((weak));
static inline bool os_single_threaded(void) {
    return &__libc_single_threaded != NULL && __libc_single_threaded != 0;
}

/* The lock of the C library's list of open streams, for fork. The C library's fork takes it after all handlers; but a
 * thread in fflush(NULL) may hold it and wait for a stream, whose holder may wait for a heap's lock that our handler
 * has. Taking it first keeps the order list, stream, heap everywhere. It is recursive, and is reset in a forked child.
 * Does nothing on musl. */
void os_streams_lock(void);
void os_streams_unlock(void);
void os_streams_reset(void);

/* Whether libc has its environment yet: not before its own start, when the loader may already allocate. */
bool os_environment_ready(void);

/* The value of an environment variable; NULL if unset, or in a setuid program. Before libc has an environment,
 * `early` is used, the one that the loader handed over (may be NULL). */
const char *os_environment(char *const *early, const char *name);

/* Writes all of the text to a file descriptor and empties the buffer. An error ends it silently. */
struct fmt;
void fmt_flush(struct fmt *fmt, int fd);

/* Opens a file for appending and creates it if necessary. Like all descriptors here it is closed on exec. */
int os_open_append(const char *path, int *fd);
void os_close(int fd);

/* The same, after emptying the file. */
int os_open_new(const char *path, int *fd);

/* Writes all of a file to a descriptor; an error ends it silently. */
void os_copy_text(const char *path, int fd);

/* Duplicates a file descriptor to a number of at least `least`. */
int os_duplicate(int fd, int least, int *copy);

/* Identifies the file behind a descriptor. */
struct os_file_identity {
    uint64_t device;
    uint64_t inode;
};
int os_file_identity(int fd, struct os_file_identity *identity);

/* Reads the beginning of a file as a string, as much as one read returns; size is at least 1. */
int os_read_text(const char *path, char *text, size_t size);

/* The process's resident bytes, address space, and major and minor faults; 0 if unknown. */
struct os_usage {
    size_t resident;
    size_t mapped;
    uint64_t minor_faults;
    uint64_t major_faults;
};
void os_usage(struct os_usage *usage);

/* The memory that the process may use: the machine's, or less if its control groups (versions 1 and 2) or their
 * parents limit it. Some ten microseconds for each group. */
size_t os_memory_allowed(void);

/* The limit of the control groups alone, by such files as /proc/self/cgroup and /sys/fs/cgroup; SIZE_MAX: none. */
size_t os_groups_limit(const char *proc_file, const char *root);

/* The percentage of the last ten seconds in which some thread of the machine waited for memory (PSI); 0 if unknown. */
unsigned os_memory_pressure(void);

/* Stores the build id, if any, of the file that contains the library, which may be a static program. */
struct build_id;
void os_build_id(struct build_id *id);

#ifdef MEMS_FAULT_INJECTION
/* For tests: makes calls of one kind fail with `error`, starting with the `after`-th from now (0 is the next), `count`
 * times. All threads share the counters; os_inject_clear() ends all injections, os_inject_calls() returns the calls so
 * far. A call that fails this way has no effect, except that a moving mremap with ENOMEM unmaps its destination. */
enum os_call { OS_CALL_MMAP, OS_CALL_MUNMAP, OS_CALL_MPROTECT, OS_CALL_MADVISE, OS_CALL_MREMAP, OS_CALL_BRK, OS_CALLS };
void os_inject(enum os_call call, uint64_t after, uint64_t count, int error);
void os_inject_clear(void);
uint64_t os_inject_calls(enum os_call call);
#endif
