/*
 * os_failure_test.c - moving pages, and what happens when the kernel refuses: by injection, limits or seccomp.
 */
#include "support/test.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/os.h"
#include "support/child.h"
#include "support/kernel.h"
#include "support/random.h"
#include "support/seccomp.h"
#include "support/thread.h"

#define UNIT ((size_t)65536)
#ifndef SYS_mseal
#define SYS_mseal 462
#endif

static void *map(size_t size) {
    void *start = NULL;
    assert_int_equal(os_map(size, UNIT, &start), 0);
    return start;
}

static void unmap(void *start, size_t size) {
    assert_int_equal(os_unmap(start, size), 0);
}

static bool filled_with(const void *start, size_t size, unsigned char value) {
    const unsigned char *bytes = start;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != value) {
            return false;
        }
    }
    return true;
}

/* --- Moving pages ---------------------------------------------------------------------------------------------- */

static void skip_where_pages_cannot_move(void) {
    bool lost;
    char *start = map(2 * UNIT);
    int error = os_move_pages(start, start + UNIT, UNIT, &lost);
    unmap(start, 2 * UNIT);
    if (error == ENOSYS) {
        assert_false(pages_can_move());
        skip();
    }
}

static void moved_pages_leave_zero_behind(void) {
    skip_where_pages_cannot_move();
    bool lost = true;
    char *start = map(8 * UNIT);
    memset(start, 1, 8 * UNIT);
    memset(start + UNIT, 2, 2 * UNIT);
    assert_int_equal(os_move_pages(start + UNIT, start + 5 * UNIT, 2 * UNIT, &lost), 0);
    assert_false(lost);
    assert_true(filled_with(start + 5 * UNIT, 2 * UNIT, 2));
    assert_true(filled_with(start + UNIT, 2 * UNIT, 0));
    assert_true(readable(start + UNIT)); /* by system calls too */
    memset(start + UNIT, 3, 2 * UNIT);   /* the source may be written, and is separate from the destination */
    assert_true(filled_with(start + 5 * UNIT, 2 * UNIT, 2));
    assert_true(filled_with(start, UNIT, 1));
    assert_true(filled_with(start + 3 * UNIT, 2 * UNIT, 1));
    assert_true(filled_with(start + 7 * UNIT, UNIT, 1));
    unmap(start, 8 * UNIT);
}

static void *shared_with_child;

static void check_moved_pages(void *unused) {
    (void)unused;
    bool lost;
    char *start = shared_with_child;
    if (os_move_pages(start, start + UNIT, UNIT, &lost) != 0) {
        _exit(1);
    }
    _exit(!filled_with(start, UNIT, 0) || !filled_with(start + UNIT, UNIT, 7));
}

static void pages_shared_with_a_child_move_in_it_alone(void) {
    skip_where_pages_cannot_move();
    struct child_result result;
    char *start = shared_with_child = map(2 * UNIT);
    memset(start, 7, UNIT);
    memset(start + UNIT, 8, UNIT);
    child_run(&result, check_moved_pages, NULL);
    assert_int_equal(result.signal, 0);
    assert_int_equal(result.status, 0);
    assert_true(filled_with(start, UNIT, 7));
    assert_true(filled_with(start + UNIT, UNIT, 8));
    unmap(start, 2 * UNIT);
}

/*
 * A window like the engine's: moves split it into many mappings, so eventually a source spans several, which the kernel
 * refuses. All of the window must stay usable.
 */
static void a_window_stays_whole_over_many_moves(void) {
    skip_where_pages_cannot_move();
    enum { UNITS = 32, MOVES = 3000 };
    struct random random = random_start();
    unsigned char model[UNITS];
    void *window = NULL;
    int moved = 0;
    assert_int_equal(os_reserve(UNITS * UNIT, UNIT, &window), 0);
    assert_int_equal(os_commit(window, UNITS * UNIT), 0);
    unsigned char *start = window;
    for (size_t unit = 0; unit < UNITS; unit++) {
        model[unit] = (unsigned char)(unit + 1);
        memset(start + unit * UNIT, model[unit], UNIT);
    }
    for (unsigned step = 0; step < affordable(MOVES); step++) {
        size_t units = 1 + random_below(&random, 6);
        size_t from = random_below(&random, UNITS - units + 1);
        size_t to = random_below(&random, UNITS - units + 1);
        if (from < to + units && to < from + units) {
            continue;
        }
        bool lost = true;
        int error = os_move_pages(start + from * UNIT, start + to * UNIT, units * UNIT, &lost);
        assert_false(lost);
        moved += error == 0;
        for (size_t unit = 0; unit < units; unit++) {
            /* a failure leaves the destination's contents undefined: write them again */
            unsigned char fresh = (unsigned char)(step + unit);
            unsigned char *source = start + (from + unit) * UNIT;
            unsigned char *target = start + (to + unit) * UNIT;
            if (error != 0) {
                memset(target, model[to + unit] = fresh, UNIT);
                continue;
            }
            assert_true(filled_with(source, UNIT, 0));
            model[to + unit] = model[from + unit];
            memset(source, model[from + unit] = fresh, UNIT);
        }
        for (size_t unit = 0; unit < UNITS; unit++) {
            assert_int_equal(start[unit * UNIT], model[unit]);
            assert_int_equal(start[unit * UNIT + UNIT - 1], model[unit]);
        }
    }
    assert_true(moved > 0);
    unmap(window, UNITS * UNIT);
}

/* The kernel has unmapped the destination when it finds that the limit does not allow mapping it again. */
static void move_at_the_limit(void *unused) {
    (void)unused;
    struct os_usage usage;
    struct rlimit limit;
    bool lost = false;
    const size_t size = 64 * UNIT;
    char *start = map(2 * size);
    memset(start, 7, size);
    char *other = map(2 * UNIT);
    if (os_move_pages(other, other + UNIT, UNIT, &lost) != 0) { /* makes the trial while there is room */
        child_cannot();
    }
    os_usage(&usage);
    if (getrlimit(RLIMIT_AS, &limit) != 0) {
        child_cannot();
    }
    limit.rlim_cur = usage.mapped - 2 * size;
    if (setrlimit(RLIMIT_AS, &limit) != 0 || os_address_limit() != limit.rlim_cur) {
        child_cannot();
    }
    int error = os_move_pages(start, start + size, size, &lost);
    if (error == 0) {
        child_cannot();
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_AS, &limit) != 0) {
        _exit(2);
    }
    bool mapped = os_claim(start + size, size) == EEXIST;
    _exit(error != ENOMEM || !filled_with(start, size, 7) || lost == mapped ? 3 : 0);
}

static void a_move_tells_when_the_destination_is_lost(void) {
    expect_success(move_at_the_limit, NULL);
}

/* The kernel moves one page, refuses the next, which is sealed, and leaves the others alone. */
static void move_with_a_sealed_page(void *unused) {
    (void)unused;
    bool lost = true;
    const size_t page = os_page_size();
    const size_t size = 4 * UNIT;
    char *start = map(2 * size);
    memset(start, 7, size);
    if (os_move_pages(start + size, start, UNIT, &lost) == ENOSYS || syscall(SYS_mseal, start + page, page, 0UL) != 0) {
        child_cannot();
    }
    memset(start, 7, size);
    const int error = os_move_pages(start, start + size, size, &lost);
    memset(start + size, 8, size);
    _exit(error == 0 || lost || !filled_with(start, size, 7) ? 3 : 0);
}

static void a_source_moves_as_a_whole_or_not_at_all(void) {
    expect_success(move_with_a_sealed_page, NULL);
}

/* Four units, of which the last two are another mapping; two calls find that out. */
static void several_mappings_move_one_after_the_other(void) {
    skip_where_pages_cannot_move();
    bool lost = true;
    const size_t size = 4 * UNIT;
    char *start = map(2 * size);
    memset(start, 7, size);
    assert_int_equal(os_advise(start + size / 2, size / 2, MADV_DONTDUMP), 0);
    assert_int_equal(os_move_pages(start, start + size, size, &lost), 0);
    assert_false(lost);
    assert_true(filled_with(start, size, 0));
    assert_true(filled_with(start + size, size, 7));

    memset(start, 6, size);
    os_inject(OS_CALL_MREMAP, 4, 1, ENOMEM);
    assert_int_equal(os_move_pages(start, start + size, size, &lost), ENOMEM);
    assert_false(lost);
    assert_true(filled_with(start, size, 6));
    memset(start + size, 5, size);
    unmap(start, 2 * size);
}

/* --- Injection ------------------------------------------------------------------------------------------------- */

static void clear_injections(void) {
    os_inject_clear();
}

static void injected_calls_fail_from_to_and_are_counted(void) {
    char *start = map(UNIT);
    uint64_t calls = os_inject_calls(OS_CALL_MPROTECT);
    os_inject(OS_CALL_MPROTECT, 2, 3, EACCES);
    for (int call = 0; call < 8; call++) {
        assert_int_equal(os_commit(start, UNIT), call >= 2 && call < 5 ? EACCES : 0);
    }
    assert_int_equal(os_inject_calls(OS_CALL_MPROTECT), calls + 8);
    os_inject(OS_CALL_MPROTECT, 2, UINT64_MAX, EACCES);
    assert_int_equal(os_commit(start, UNIT), 0);
    assert_int_equal(os_commit(start, UNIT), 0);
    assert_int_equal(os_commit(start, UNIT), EACCES);
    assert_int_equal(os_purge(start, UNIT), 0); /* other kinds are not affected */
    os_inject_clear();
    assert_int_equal(os_commit(start, UNIT), 0);
    unmap(start, UNIT);
}

static void a_kernel_that_cannot_populate_is_asked_once(void) {
    char *start = map(UNIT);
    const uint64_t calls = os_inject_calls(OS_CALL_MADVISE);
    os_inject(OS_CALL_MADVISE, 0, 1, ENOMEM);
    os_populate(start, UNIT);
    os_inject(OS_CALL_MADVISE, 0, 1, EINVAL);
    os_populate(start, UNIT);
    os_inject_clear();
    os_populate(start, UNIT);
    assert_int_equal(os_inject_calls(OS_CALL_MADVISE), calls + 2);
    unmap(start, UNIT);
}

static void every_kind_of_call_can_fail(void) {
    void *out = NULL;
    bool lost = true;
    char *start = map(4 * UNIT);
    memset(start, 5, 4 * UNIT);
    (void)os_move_pages(start, start + UNIT, UNIT, &lost); /* the trial is over */
    memset(start, 5, 4 * UNIT);
    for (int call = 0; call < OS_CALLS; call++) {
        os_inject((enum os_call)call, 0, UINT64_MAX, EPERM);
    }
    errno = EDOM;
    assert_int_equal(os_map(UNIT, OS_PAGE, &out), EPERM);
    assert_int_equal(os_map(UNIT, 16 * UNIT, &out), EPERM);
    assert_int_equal(os_reserve(UNIT, OS_PAGE, &out), EPERM);
    assert_int_equal(os_claim(start, UNIT), EPERM);
    assert_int_equal(os_unmap(start, UNIT), EPERM);
    assert_int_equal(os_commit(start, UNIT), EPERM);
    assert_int_equal(os_purge(start, UNIT), EPERM);
    assert_int_equal(os_resize_map(start, 4 * UNIT, UNIT, true, &out), EPERM);
    assert_int_equal(os_move_break(0, &out), EPERM);
    int error = os_move_pages(start, start + UNIT, UNIT, &lost);
    assert_true(error == EPERM || error == ENOSYS);
    assert_false(lost);
    assert_null(out);
    assert_int_equal(errno, EDOM);
    os_inject_clear();
    assert_true(filled_with(start, UNIT, 5));
    assert_true(filled_with(start + 2 * UNIT, 2 * UNIT, 5));
    unmap(start, 4 * UNIT);
}

static void a_destination_that_was_unmapped_is_taken_again(void) {
    skip_where_pages_cannot_move();
    bool lost = true;
    char *start = map(2 * UNIT);
    memset(start, 5, 2 * UNIT);
    os_inject(OS_CALL_MREMAP, 1, 1, ENOMEM); /* the first finds out that the source is one mapping */
    assert_int_equal(os_move_pages(start, start + UNIT, UNIT, &lost), ENOMEM);
    assert_false(lost);
    assert_true(filled_with(start, UNIT, 5));
    memset(start + UNIT, 6, UNIT);

    os_inject(OS_CALL_MREMAP, 1, 1, ENOMEM);
    os_inject(OS_CALL_MMAP, 0, 1, ENOMEM);
    assert_int_equal(os_move_pages(start, start + UNIT, UNIT, &lost), ENOMEM);
    assert_true(lost);
    assert_true(filled_with(start, UNIT, 5));
    assert_int_equal(os_claim(start + UNIT, UNIT), 0);
    unmap(start, 2 * UNIT);
}

/* The first or second of the two cuts fails: the requested part is there and aligned all the same. */
static void a_map_that_cannot_be_trimmed_is_as_good(void) {
    const size_t align = 1024 * UNIT;
    for (uint64_t cut = 0; cut < 2; cut++) {
        void *out = NULL;
        os_inject(OS_CALL_MUNMAP, cut, 1, ENOMEM);
        assert_int_equal(os_map(UNIT, align, &out), 0);
        os_inject_clear();
        assert_int_equal((uintptr_t)out % align, 0);
        assert_true(filled_with(out, UNIT, 0));
        unmap(out, UNIT);
    }
}

static void try_again_after_failed_trials(void *unused) {
    (void)unused;
    bool lost = true;
    char *start = map(2 * UNIT);
    memset(start, 5, 2 * UNIT);
    for (int round = 0; round < 2; round++) {
        enum os_call call = round == 0 ? OS_CALL_MMAP : OS_CALL_MADVISE;
        os_inject(call, 0, 1, EPERM);
        if (os_purge_zeroes()) {
            _exit(1);
        }
        call = round == 0 ? OS_CALL_MMAP : OS_CALL_MREMAP;
        os_inject(call, 0, 1, EPERM);
        if (os_move_pages(start, start + UNIT, UNIT, &lost) != EPERM || lost || !filled_with(start, 2 * UNIT, 5)) {
            _exit(2);
        }
    }
    os_inject_clear();
    if (os_purge_zeroes() != purging_zeroes()) {
        _exit(4);
    }
    _exit(os_move_pages(start, start + UNIT, UNIT, &lost) != (pages_can_move() ? 0 : ENOSYS));
}

/* A process makes its trials once, so these are in another process. */
static void a_trial_that_could_not_be_made_is_made_again(void) {
    struct child_result result;
    child_run(&result, try_again_after_failed_trials, NULL);
    assert_int_equal(result.signal, 0);
    assert_int_equal(result.status, 0);
}

static void refuse_moves(void *unused) {
    (void)unused;
    bool lost = true;
    char *start = map(2 * UNIT);
    os_inject(OS_CALL_MREMAP, 0, 1, EINVAL);
    if (os_move_pages(start, start + UNIT, UNIT, &lost) != ENOSYS || lost) {
        _exit(1);
    }
    uint64_t calls = os_inject_calls(OS_CALL_MREMAP);
    if (os_move_pages(start, start + UNIT, UNIT, &lost) != ENOSYS || lost) {
        _exit(2);
    }
    _exit(os_inject_calls(OS_CALL_MREMAP) != calls);
}

static void a_kernel_that_cannot_move_pages_is_asked_once(void) {
    expect_success(refuse_moves, NULL);
}

/* --- A sandbox --------------------------------------------------------------------------------------------------- */

static void run_in_sandbox(void *unused) {
    (void)unused;
    static const uint32_t calls[] = {SYS_getrandom, SYS_madvise};
    if (!seccomp_answer(calls, 2, SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW)) {
        child_cannot();
    }
    uint64_t ever_set = 0;
    uint64_t always_set = UINT64_MAX;
    uint64_t before = 0;
    errno = EDOM;
    for (int i = 0; i < 256; i++) {
        uint64_t value = os_random();
        if (value == before) {
            _exit(1);
        }
        before = value;
        ever_set |= value;
        always_set &= value;
    }
    if (ever_set != UINT64_MAX || always_set != 0) {
        _exit(2);
    }
    char *start = map(UNIT);
    memset(start, 5, UNIT);
    bool refused = os_purge(start, UNIT) == EPERM && filled_with(start, UNIT, 5);
    _exit(!refused || os_purge_zeroes() || errno != EDOM ? 3 : 0);
}

static void a_sandbox_may_refuse_getrandom_and_madvise(void) {
    expect_success(run_in_sandbox, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        /* these two first: their children must make the trials before this process does */
        PLAIN_WITH(a_trial_that_could_not_be_made_is_made_again, NULL, clear_injections),
        PLAIN_WITH(a_kernel_that_cannot_move_pages_is_asked_once, NULL, clear_injections),
        PLAIN(a_sandbox_may_refuse_getrandom_and_madvise),
        PLAIN(moved_pages_leave_zero_behind),
        PLAIN(pages_shared_with_a_child_move_in_it_alone),
        PLAIN(a_window_stays_whole_over_many_moves),
        PLAIN(a_move_tells_when_the_destination_is_lost),
        PLAIN(a_source_moves_as_a_whole_or_not_at_all),
        PLAIN_WITH(several_mappings_move_one_after_the_other, NULL, clear_injections),
        PLAIN_WITH(injected_calls_fail_from_to_and_are_counted, NULL, clear_injections),
        PLAIN_WITH(a_kernel_that_cannot_populate_is_asked_once, NULL, clear_injections),
        PLAIN_WITH(every_kind_of_call_can_fail, NULL, clear_injections),
        PLAIN_WITH(a_destination_that_was_unmapped_is_taken_again, NULL, clear_injections),
        PLAIN_WITH(a_map_that_cannot_be_trimmed_is_as_good, NULL, clear_injections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
