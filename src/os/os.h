/*
 * os.h - everything the heaps ask of the kernel, in one small contract.
 *
 * No call goes through the C library, where another library may have taken its name (syscall.h). Of malloc and free the
 * kernel hears mmap, munmap, mprotect, mremap, madvise, futex and getrandom, in HMM brk, and clock_gettime where it
 * offers no vDSO; so a sandbox that allows these to a program on any malloc allows ours. All other calls are those of
 * the start, of statistics and of faults.
 *
 * Unless said otherwise a function returns 0 or an errno, keeps the caller's errno, allocates nothing, takes no lock
 * and may be called at any time, from the first instruction of a program on. Addresses and sizes are multiples of
 * OS_PAGE; where the kernel's own pages are larger, callers that release memory use multiples of 64 KiB, which is a
 * multiple of every page size that Linux has.
 */
#ifndef MEMS_OS_OS_H
#define MEMS_OS_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OS_PAGE ((size_t)4096)

/* The kernel's own page, which may be larger than OS_PAGE. */
size_t os_page_size(void);

/* Address space without memory: any access faults, nothing is charged, and core files leave it out. *out is aligned to
 * `align`, a power of two. */
int os_reserve(size_t size, size_t align, void **out);

/* The same at exactly start..start+size; EEXIST when something is mapped there already. */
int os_reserve_at(void *start, size_t size);

/* Makes reserved pages readable and writable, in place. They read as zero until written. */
int os_commit(void *start, size_t size);

/*
 * Puts reserved pages into core files: called before os_commit, so that whatever can be read is in a core. For as long
 * as the pages that are committed end before those that are dumped do, neither call needs a further mapping, and both
 * succeed when the kernel's limit on mappings is reached. A mere hint.
 */
void os_dump(void *start, size_t size);

/*
 * Takes free address space at exactly start..start+size, readable and writable, zero. EEXIST when something is mapped
 * there already. For windows that are claimed piece by piece rather than reserved as a whole.
 */
int os_claim(void *start, size_t size);

/* Memory of its own, zero, aligned to `align` (a power of two; OS_PAGE or more). */
int os_map(size_t size, size_t align, void **out);

/* The same at `near` (NULL: anywhere), if nothing is there, or else somewhere. */
int os_map_near(void *near, size_t size, void **out);

/* Gives pages and their addresses back. Works on any part of a mapping. */
int os_unmap(void *start, size_t size);

/* Takes memory of ours away and keeps its addresses: any access faults. Ends with os_unmap. */
int os_forbid(void *start, size_t size);

/*
 * Gives the memory of pages back and keeps their addresses. Afterwards they read as zero if os_purge_zeroes(); it can
 * be refused (EPERM in a sandbox, EINVAL for locked pages), and then nothing has changed.
 */
int os_purge(void *start, size_t size);

/*
 * Puts new pages in the place of readable and writable ones, whose contents do not matter: they read as zero, the
 * memory of the old ones goes back even where os_purge is refused, and what the program has advised or locked there
 * ends. On an error nothing has changed; or the addresses are no longer ours, and then *lost.
 */
int os_replace(void *start, size_t size, bool *lost);

/* madvise and mlock (mlock2, with flags other than 0), for the program: on any addresses, with any advice. */
int os_advise(void *start, size_t size, int advice);
int os_lock_pages(const void *start, size_t size, unsigned flags);

/* Makes the memory of pages present, as a write to each of them would. A mere hint. */
void os_populate(void *start, size_t size);

/* False where purged pages keep their contents (some emulators); found out by a trial on the first call. */
bool os_purge_zeroes(void);

/*
 * Moves the pages of old..old+size, contents and all, to `new`..`new`+size, which is readable and writable memory of
 * ours whose contents do not matter; the two do not overlap. Afterwards old..old+size is still mapped, readable and
 * writable, and reads as zero. On an error nothing has moved, and the contents at `new` are undefined; *lost then tells
 * whether the addresses at `new` are no longer ours. ENOSYS, always and at once, where the system cannot do this.
 */
int os_move_pages(void *old, void *new, size_t size, bool *lost);

/* Changes the size of a mapping of its own, in place, or, with may_move, elsewhere. *out is where it is then. */
int os_resize_map(void *start, size_t old_size, size_t new_size, bool may_move, void **out);

/*
 * Moves the program break by `by` bytes; *old_break is where the kernel says that it was. glibc's sbrk goes on from
 * where it is then. One caller at a time, sbrk included. ENOMEM for any move where the C library keeps the break for
 * itself (musl).
 */
int os_move_break(intptr_t by, void **old_break);

/* Milliseconds since some start, never backwards, with a resolution of some milliseconds: a clock that costs little. */
uint64_t os_coarse_ms(void);

/* Sleeps for so long, or until a signal. */
void os_sleep_ms(uint32_t ms);

/* Microseconds since some start, never backwards. */
uint64_t os_fine_us(void);

/* 64 random bits; from the kernel where it allows, otherwise from addresses and clocks. */
uint64_t os_random(void);

/* The limits of address space (RLIMIT_AS) and of writable memory (RLIMIT_DATA) in bytes; SIZE_MAX where there is none.
 */
size_t os_address_limit(void);
size_t os_data_limit(void);

/* Whether the kernel counts all writable memory, touched or not, and refuses what it could not back
 * (vm.overcommit_memory is 2). Reads a file. */
bool os_strict_overcommit(void);

/* The machine's memory in bytes; 0 where unknown. */
size_t os_physical_memory(void);

/*
 * Locks all of the process's memory (mlockall), or sets a limit of a process (setrlimit, prlimit; 0: this one):
 * `resource` and the structures are those of <sys/resource.h>; each may be NULL.
 */
struct rlimit;
int os_lock_memory(int flags);
int os_process_limit(int process, int resource, const struct rlimit *limit, struct rlimit *old);

/* The kernel's id of the calling thread: asked for each time, so that it is true in every kind of child. */
uint64_t os_thread_id(void);
uint64_t os_process_id(void);

/* The C library's word for whether the process has one thread only, where it has such a word: false is always right. A
 * thread that sees true stays alone until it makes another one. */
extern char __libc_single_threaded __attribute__((weak));
static inline bool os_single_threaded(void) {
    return &__libc_single_threaded != NULL && __libc_single_threaded != 0;
}

/*
 * The lock of the C library's list of open streams, which its fork takes after all handlers have run: for a handler
 * that takes locks of its own, since a thread in fflush(NULL) that holds the list may wait for one that holds a stream
 * and waits for such a lock. Taken first, the order is the list, a stream, the heap, everywhere. The thread that holds
 * it may take it again. In a forked child it is reset instead of given back. Nothing happens where the C library (musl)
 * gives no way to it.
 */
void os_streams_lock(void);
void os_streams_unlock(void);
void os_streams_reset(void);

/* Whether libc has an environment: not before its own start, when the loader may already allocate. */
bool os_environment_ready(void);

/* The value of an environment variable; NULL when unset, or in a setuid program. Before libc has an environment it is
 * looked up in `early`, the one that the loader handed over (NULL: none). */
const char *os_environment(char *const *early, const char *name);

/*
 * Writes the text to a file descriptor, all of it, in as few writes as the kernel allows, and empties the buffer. An
 * error ends the writing silently: there is nobody to tell.
 */
struct fmt;
void fmt_flush(struct fmt *fmt, int fd);

/* Opens a file to append to, made if need be. Not for programs that the process starts, as all descriptors here. */
int os_open_append(const char *path, int *fd);
void os_close(int fd);

/* A copy of a file descriptor with a number of `least` or more. */
int os_duplicate(int fd, int least, int *copy);

/* Which file a descriptor is of. */
struct os_file_identity {
    uint64_t device;
    uint64_t inode;
};
int os_file_identity(int fd, struct os_file_identity *identity);

/* The beginning of a file as a string, as much as one read brings; size is at least 1. */
int os_read_text(const char *path, char *text, size_t size);

/* Bytes of this process that are resident, of address space, and its major and minor faults; 0 where unknown. */
struct os_usage {
    size_t resident;
    size_t mapped;
    uint64_t minor_faults;
    uint64_t major_faults;
};
void os_usage(struct os_usage *usage);

/* The memory that the process may have: the machine's, or what its control groups (versions 1 and 2) and those around
 * them allow. Some ten microseconds for each. */
size_t os_memory_allowed(void);

/* Of the control groups alone, from a file like /proc/self/cgroup and a folder like /sys/fs/cgroup; SIZE_MAX: no limit.
 */
size_t os_groups_limit(const char *proc_file, const char *root);

/* For how many percent of the last ten seconds some thread of the machine has waited for memory (PSI); 0 where unknown.
 */
unsigned os_memory_pressure(void);

#ifdef MEMS_FAULT_INJECTION
/*
 * For tests: the calls of one kind fail with `error`, from the `after`-th on (0 is the next), `count` times. The
 * counters run over all threads; os_inject_clear() ends every injection. os_inject_calls() counts the calls so far.
 * A call that fails so does nothing, but that a moving mremap which fails with ENOMEM has unmapped its destination, as
 * the kernel's has.
 */
enum os_call { OS_CALL_MMAP, OS_CALL_MUNMAP, OS_CALL_MPROTECT, OS_CALL_MADVISE, OS_CALL_MREMAP, OS_CALL_BRK, OS_CALLS };
void os_inject(enum os_call call, uint64_t after, uint64_t count, int error);
void os_inject_clear(void);
uint64_t os_inject_calls(enum os_call call);
#endif

#endif
