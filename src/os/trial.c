/*
 * trial.c - what the kernel, or an emulator of it, can do, found out by trial: whether purged pages read as zero, and
 * whether pages can be moved.
 *
 * Each is found out once. Two threads may try at the same time and find the same; nothing else depends on the order, so
 * relaxed loads and stores do. A trial that could not be made (no memory) says nothing, and is made again.
 */
#include <errno.h>
#include <stdatomic.h>

#include "futex.h"
#include "memory_calls.h"
#include "os.h"

enum trial { UNTRIED, WORKS, FAILS };

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
        found = error == 0 && futex_word_is(old, 0) && futex_word_is(new, 1) ? WORKS : FAILS;
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
    if (error != 0 && !futex_word_is(new, mark)) {
        *lost = os_claim(new, size) != 0;
    }
    return error;
}
