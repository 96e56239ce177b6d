/*
 * linux.c - os.h on Linux, for glibc and musl.
 *
 * The first part holds every system call that changes mappings, each as a function that returns 0 or an errno; the
 * rest makes no call that is a cancellation point, for a thread must not vanish while it is inside the heap: where the
 * C library's function is one (open, read), syscall() takes its place.
 */
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/compiler.h"

/* The kernel's numbers, where the C library's headers are older than the kernel. */
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#define FUTEX_WAIT_PRIVATE 128

#define READ_WRITE (PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)

/* --- System calls that change mappings ----------------------------------------------------------------------- */

#ifdef MEMS_FAULT_INJECTION

/*
 * The calls first..first + count - 1 of a kind fail with `error`. Sequentially consistent throughout: tests need no
 * speed here.
 */
static struct {
    _Atomic uint64_t calls;
    _Atomic uint64_t first;
    _Atomic uint64_t count;
    _Atomic int error;
} injections[OS_CALLS];

void os_inject(enum os_call call, uint64_t after, uint64_t count, int error) {
    atomic_store(&injections[call].count, 0);
    atomic_store(&injections[call].error, error);
    atomic_store(&injections[call].first, atomic_load(&injections[call].calls) + after);
    atomic_store(&injections[call].count, count);
}

void os_inject_clear(void) {
    for (int call = 0; call < OS_CALLS; call++) {
        atomic_store(&injections[call].count, 0);
    }
}

uint64_t os_inject_calls(enum os_call call) {
    return atomic_load(&injections[call].calls);
}

static int injected(enum os_call call) {
    uint64_t number = atomic_fetch_add(&injections[call].calls, 1);
    uint64_t first = atomic_load(&injections[call].first);
    bool fails = number >= first && number - first < atomic_load(&injections[call].count);
    return fails ? atomic_load(&injections[call].error) : 0;
}

#else
#define injected(call) 0
#endif

/* The errno of a call that has failed; the caller's own is put back. */
static int take_errno(int saved) {
    int error = errno;
    errno = saved;
    return error;
}

static int sys_mmap(void *start, size_t size, int protection, int flags, void **out) {
    int error = injected(OS_CALL_MMAP);
    if (error != 0) {
        return error;
    }
    int saved = errno;
    void *mapped = mmap(start, size, protection, flags, -1, 0);
    if (mapped == MAP_FAILED) {
        return take_errno(saved);
    }
    *out = mapped;
    return 0;
}

static int sys_munmap(void *start, size_t size) {
    int error = injected(OS_CALL_MUNMAP);
    int saved = errno;
    if (error == 0 && munmap(start, size) != 0) {
        error = take_errno(saved);
    }
    return error;
}

static int sys_mprotect(void *start, size_t size, int protection) {
    int error = injected(OS_CALL_MPROTECT);
    int saved = errno;
    if (error == 0 && mprotect(start, size, protection) != 0) {
        error = take_errno(saved);
    }
    return error;
}

static int sys_madvise(void *start, size_t size, int advice) {
    int error = injected(OS_CALL_MADVISE);
    int saved = errno;
    if (error == 0 && madvise(start, size, advice) != 0) {
        error = take_errno(saved);
    }
    return error;
}

static int sys_mremap(void *old, size_t old_size, size_t new_size, int flags, void *new, void **out) {
    int error = injected(OS_CALL_MREMAP);
    if (error != 0) {
        if (error == ENOMEM && (flags & MREMAP_FIXED) != 0) {
            (void)munmap(new, new_size); /* what the kernel has done by then */
        }
        return error;
    }
    int saved = errno;
    void *mapped = mremap(old, old_size, new_size, flags, new);
    if (mapped == MAP_FAILED) {
        return take_errno(saved);
    }
    *out = mapped;
    return 0;
}

static int sys_sbrk(intptr_t by, void **old_break) {
    int error = injected(OS_CALL_SBRK);
    if (error != 0) {
        return error;
    }
    int saved = errno;
    void *was = sbrk(by);
    if (was == (void *)-1) {
        return take_errno(saved);
    }
    *old_break = was;
    return 0;
}

/* --- Mappings ------------------------------------------------------------------------------------------------ */

size_t os_page_size(void) {
    return (size_t)getauxval(AT_PAGESZ); /* sysconf touches some 70 KiB more of the C library than this */
}

/* A mapping at a multiple of `align`: one that is `align` longer than needed, whose ends are cut off. */
static int map_aligned(size_t size, size_t align, int protection, int flags, void **out) {
    size_t page = os_page_size();
    if (align <= page) {
        return sys_mmap(NULL, size, protection, flags, out);
    }
    if (size > SIZE_MAX - align - page) {
        return ENOMEM;
    }
    size = round_up(size, page);
    void *mapped = NULL;
    int error = sys_mmap(NULL, size + align, protection, flags, &mapped);
    if (error != 0) {
        return error;
    }
    char *whole = mapped;
    size_t head = round_up((uintptr_t)whole, align) - (uintptr_t)whole;
    /* Ends that the kernel does not let us cut off (it has no room for more mappings) are untouched addresses: to leave
     * them costs nothing, and to fail for them would. */
    if (head != 0) {
        (void)sys_munmap(whole, head);
    }
    (void)sys_munmap(whole + head + size, align - head);
    *out = whole + head;
    return 0;
}

/* NORESERVE: what counts is what is made accessible, and under strict overcommit the kernel ignores it. */
int os_reserve(size_t size, size_t align, void **out) {
    return map_aligned(size, align, PROT_NONE, PRIVATE | MAP_NORESERVE, out);
}

int os_commit(void *start, size_t size) {
    return sys_mprotect(start, size, READ_WRITE);
}

/*
 * The same flags as os_reserve and os_commit give, so that the kernel can join the pieces into one mapping. Kernels
 * before 4.17 take the address as a mere hint.
 */
int os_claim(void *start, size_t size) {
    void *mapped = NULL;
    int error = sys_mmap(start, size, READ_WRITE, PRIVATE | MAP_NORESERVE | MAP_FIXED_NOREPLACE, &mapped);
    if (error == 0 && mapped != start) {
        (void)sys_munmap(mapped, size);
        error = EEXIST;
    }
    return error;
}

int os_map(size_t size, size_t align, void **out) {
    return map_aligned(size, align, READ_WRITE, PRIVATE, out);
}

int os_unmap(void *start, size_t size) {
    return sys_munmap(start, size);
}

int os_purge(void *start, size_t size) {
    return sys_madvise(start, size, MADV_DONTNEED);
}

void os_populate(void *start, size_t size) {
    (void)sys_madvise(start, size, MADV_POPULATE_WRITE); /* EINVAL on kernels before 5.14 */
}

int os_resize_map(void *start, size_t old_size, size_t new_size, bool may_move, void **out) {
    return sys_mremap(start, old_size, new_size, may_move ? MREMAP_MAYMOVE : 0, NULL, out);
}

int os_move_break(intptr_t by, void **old_break) {
    return sys_sbrk(by, old_break);
}

/* --- What the kernel, or an emulator of it, can do: found out by trial ---------------------------------------- */

/*
 * Each is found out once. Two threads may try at the same time and find the same; nothing else depends on the order, so
 * relaxed loads and stores do. A trial that could not be made (no memory) says nothing, and is made again.
 */
enum trial { UNTRIED, WORKS, FAILS };

/*
 * Whether the word at `address` is `value`; false where it cannot be read. A futex wait compares before it sleeps, and
 * the kernel reads without a fault for us: EAGAIN when it differs, ETIMEDOUT when it is equal, EFAULT when it is not
 * there.
 */
static bool word_is(const void *address, uint32_t value) {
    int saved = errno;
    struct timespec no_time = {0, 0};
    long result = syscall(SYS_futex, address, FUTEX_WAIT_PRIVATE, value, &no_time, NULL, 0);
    return result == 0 || take_errno(saved) == ETIMEDOUT;
}

bool os_purge_zeroes(void) {
    static _Atomic int known;
    int found = atomic_load_explicit(&known, memory_order_relaxed);
    if (found != UNTRIED) {
        return found == WORKS;
    }
    size_t page = os_page_size();
    void *scratch = NULL;
    if (sys_mmap(NULL, page, READ_WRITE, PRIVATE, &scratch) != 0) {
        return false;
    }
    volatile uint32_t *word = scratch;
    *word = 1;
    if (os_purge(scratch, page) == 0) {
        found = *word == 0 ? WORKS : FAILS;
        atomic_store_explicit(&known, found, memory_order_relaxed);
    }
    (void)sys_munmap(scratch, page);
    return found == WORKS;
}

static int move_pages(void *old, void *new, size_t size) {
    void *moved = NULL;
    return sys_mremap(old, size, size, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, new, &moved);
}

/*
 * 0 where pages can be moved, ENOSYS where they cannot (kernels before 5.7; emulators that do not know the flag, or
 * that forget the source), another errno when that could not be found out.
 */
static int moving_pages(void) {
    static _Atomic int known;
    int found = atomic_load_explicit(&known, memory_order_relaxed);
    if (found != UNTRIED) {
        return found == WORKS ? 0 : ENOSYS;
    }
    size_t page = os_page_size();
    void *scratch = NULL;
    int error = sys_mmap(NULL, 2 * page, READ_WRITE, PRIVATE, &scratch);
    if (error != 0) {
        return error;
    }
    char *old = scratch;
    char *new = old + page;
    *(volatile uint32_t *)scratch = 1;
    error = move_pages(old, new, page);
    if (error == 0 || error == EINVAL) {
        found = error == 0 && word_is(old, 0) && word_is(new, 1) ? WORKS : FAILS;
        error = found == WORKS ? 0 : ENOSYS;
        atomic_store_explicit(&known, found, memory_order_relaxed);
    }
    (void)sys_munmap(scratch, 2 * page);
    return error;
}

/*
 * The kernel unmaps the destination first, and may fail only then: when it runs out of mappings, or when the source
 * turns out to be more than one mapping. Another thread's mmap can be given the hole at once, so that "something is
 * mapped there" does not prove that it is ours still; the mark does, for a new mapping cannot hold it.
 */
int os_move_pages(void *old, void *new, size_t size, bool *lost) {
    static const uint32_t mark = 0x6d656d73;
    *lost = false;
    int error = moving_pages();
    if (error != 0) {
        return error;
    }
    *(volatile uint32_t *)new = mark;
    error = move_pages(old, new, size);
    if (error != 0 && !word_is(new, mark)) {
        *lost = os_claim(new, size) != 0;
    }
    return error;
}

/* --- Clocks, chance, and what the process is ----------------------------------------------------------------- */

/* A clock that the kernel has always had does not fail, and leaves errno alone. */
uint64_t os_coarse_ms(void) {
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The finaliser of splitmix64: each bit of x changes each bit of the result with a chance of one half. */
static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t os_random(void) {
    static _Atomic uint64_t calls;
    int saved = errno;
    uint64_t value = 0;
    long got = syscall(SYS_getrandom, &value, sizeof value, GRND_NONBLOCK);
    errno = saved;
    if (got == (long)sizeof value) {
        return value;
    }
    /* No entropy yet, or no permission. relaxed: any order of numbers will do, as long as no two calls share one. */
    uint64_t number = atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    uint64_t code = (uintptr_t)&os_random;
    uint64_t stack = (uintptr_t)&value;
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    return mix(mix(mix(mix(ns) ^ code) ^ stack) + os_thread_id() + (number << 32));
}

size_t os_address_limit(void) {
    int saved = errno;
    struct rlimit limit;
    int result = getrlimit(RLIMIT_AS, &limit);
    errno = saved;
    return result != 0 || limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : (size_t)limit.rlim_cur;
}

uint64_t os_thread_id(void) {
    return (uint64_t)syscall(SYS_gettid);
}

uint64_t os_process_id(void) {
    return (uint64_t)syscall(SYS_getpid);
}

/* glibc's, exported but not declared. */
extern void _IO_list_lock(void) __attribute__((weak));
extern void _IO_list_unlock(void) __attribute__((weak));
extern void _IO_list_resetlock(void) __attribute__((weak));

void os_streams_lock(void) {
    if (_IO_list_lock != NULL) {
        _IO_list_lock();
    }
}

void os_streams_unlock(void) {
    if (_IO_list_unlock != NULL) {
        _IO_list_unlock();
    }
}

void os_streams_reset(void) {
    if (_IO_list_resetlock != NULL) {
        _IO_list_resetlock();
    }
}

const char *os_environment(char *const *early, const char *name) {
    if (environ != NULL || early == NULL) {
        return environ != NULL ? secure_getenv(name) : NULL;
    }
    size_t length = strlen(name);
    for (; *early != NULL && getauxval(AT_SECURE) == 0; early++) {
        if (strncmp(*early, name, length) == 0 && (*early)[length] == '=') {
            return *early + length + 1;
        }
    }
    return NULL;
}

bool os_environment_ready(void) {
    return environ != NULL;
}

/* Reads a decimal number and moves *text past it and the blank behind it; 0 where there is none. */
static size_t next_number(const char **text) {
    size_t number = 0;
    for (; **text >= '0' && **text <= '9'; ++*text) {
        number = number * 10 + (size_t)(**text - '0');
    }
    *text += **text == ' ';
    return number;
}

/* The first two numbers of statm: address space and resident memory, in the kernel's pages. */
static void read_statm(struct os_usage *usage) {
    char buffer[128];
    long fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    long length = syscall(SYS_read, fd, buffer, sizeof buffer - 1);
    (void)syscall(SYS_close, fd);
    if (length <= 0) {
        return;
    }
    buffer[length] = '\0';
    const char *text = buffer;
    usage->mapped = next_number(&text) * os_page_size();
    usage->resident = next_number(&text) * os_page_size();
}

void os_usage(struct os_usage *usage) {
    int saved = errno;
    struct rusage faults;
    *usage = (struct os_usage){0};
    read_statm(usage);
    if (getrusage(RUSAGE_SELF, &faults) == 0) {
        usage->minor_faults = (uint64_t)faults.ru_minflt;
        usage->major_faults = (uint64_t)faults.ru_majflt;
    }
    errno = saved;
}
