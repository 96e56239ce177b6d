/* kernel_trial.c - tries three things that not all kernels and emulators can do: zero purged pages (os_purge_zeroes),
 * move pages (os_move_pages), and guard pages without a mapping (os_guard). Each trial is made once, or by two threads
 * with the same result (relaxed), and again if it failed for lack of memory. The engine makes two more: whether slots
 * are guarded by os_guard or by a mapping (guards_start in harden_guards.c), and whether the system refuses mappings
 * (engine_confine_if_refused in confine.c). */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#include "base/bits.h"
#include "futex.h"
#include "memory_calls.h"
#include "os.h"
#include "syscall.h"

enum trial { UNTRIED, WORKS, FAILS };

/* Calls `attempt` with two untouched scratch pages. Its result: 0 if the feature works, ENOSYS if not, another errno if
 * that could not be found out. */
static int try_once(_Atomic int *known, int (*attempt)(char *scratch, size_t page)) {
    const int found = atomic_load_explicit(known, memory_order_relaxed);
    if (found != UNTRIED) {
        return found == WORKS ? 0 : ENOSYS;
    }
    const size_t page = os_page_size();
    void *scratch = NULL;
    int error = sys_mmap(NULL, 2 * page, READ_WRITE, PRIVATE, &scratch);
    if (error != 0) {
        return error;
    }
    error = attempt(scratch, page);
    if (error == 0 || error == ENOSYS) {
        atomic_store_explicit(known, error == 0 ? WORKS : FAILS, memory_order_relaxed);
    }
    (void)sys_munmap(scratch, 2 * page);
    return error;
}

static int attempt_purge(char *scratch, size_t page) {
    *(volatile uint32_t *)scratch = 1;
    const int error = os_purge(scratch, page);
    return error != 0 || *(volatile uint32_t *)scratch == 0 ? error : ENOSYS;
}

bool os_purge_zeroes(void) {
    static _Atomic int known;
    return try_once(&known, attempt_purge) == 0;
}

static int move_pages(void *old, void *new, size_t size) {
    void *moved = NULL;
    return sys_mremap(old, size, size, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, new, &moved);
}

/* Whether system calls may write to the page. An emulator that lists the program's pages may have dropped this one; its
 * system calls then find it missing. */
static bool kernel_may_write(void *page) {
    return syscall_error(SYSCALL(SYS_getrandom, syscall_address(page), 1L, GRND_NONBLOCK)) != EFAULT;
}

/* Kernels before 5.7 and some emulators do not know the flag; other emulators lose or forget the source. */
static int attempt_move(char *scratch, size_t page) {
    *(volatile uint32_t *)scratch = 1;
    const int error = move_pages(scratch, scratch + page, page);
    if (error != 0 && error != EINVAL) {
        return error;
    }
    return error == 0 && futex_word_is(scratch, 0) && futex_word_is(scratch + page, 1) && kernel_may_write(scratch)
               ? 0
               : ENOSYS;
}

/* Emulators accept any advice and do nothing. */
static int attempt_guard(char *scratch, size_t page) {
    const int error = sys_madvise(scratch, page, MADV_GUARD_INSTALL);
    if (error != 0 && error != EINVAL) {
        return error;
    }
    return error == 0 && !futex_word_is(scratch, 0) ? 0 : ENOSYS;
}

/* If the pages are several mappings, the kernel may have marked some when it refuses another, such as a locked one. */
int os_guard(void *start, size_t size) {
    static _Atomic int known;
    int error = try_once(&known, attempt_guard);
    if (error == 0) {
        error = sys_madvise(start, size, MADV_GUARD_INSTALL);
        if (error != 0) {
            (void)os_guard_end(start, size);
        }
    }
    return error;
}

/* The kernel unmaps the destination first. If it then fails (at its limit of mappings), another thread's mmap may take
 * the hole. The mark proves that a mapping there is ours. */
static int move_piece(char *old, char *new, size_t size, bool *lost) {
    static const uint32_t mark = 0x6d656d73;
    *(volatile uint32_t *)new = mark;
    const int error = move_pages(old, new, size);
    if (error != 0 && !futex_word_is(new, mark)) {
        *lost = os_claim(new, size) != 0;
    }
    return error;
}

/* Whether pages are several mappings: then the kernel refuses with EFAULT to lengthen them in place. If they are one,
 * it refuses with another error because of what lies behind them, or succeeds, which is undone. */
static bool is_several(char *start, size_t size) {
    const size_t page = os_page_size();
    void *same;
    const int error = size > page ? sys_mremap(start, size, size + page, 0, NULL, &same) : ENOMEM;
    if (error == 0) {
        (void)sys_munmap(start + size, page);
    }
    return error == EFAULT;
}

/* Kernels before 6.17 refuse a source of several mappings. Later ones move one mapping after the other; if they refuse
 * one, they do not tell how many have moved. So each call moves pages of one mapping. */
int os_move_pages(void *old, void *new, size_t size, bool *lost) {
    *lost = false;
    static _Atomic int known;
    int error = try_once(&known, attempt_move);
    size_t moved = 0;
    while (error == 0 && moved < size) {
        char *from = (char *)old + moved;
        size_t piece = size - moved;
        while (is_several(from, piece)) {
            piece = round_up(piece / 2, os_page_size());
        }
        error = move_piece(from, (char *)new + moved, piece, lost);
        moved += error == 0 ? piece : 0;
    }
    if (error != 0 && moved != 0) {
        memcpy(old, new, moved);
    }
    return error;
}
