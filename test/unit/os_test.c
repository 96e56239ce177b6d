/*
 * os_test.c - the kernel does what it is asked: mappings, clocks, random numbers, and facts about the process.
 */
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"
#include "os/single_page.h"
#include "support/child.h"
#include "support/clock.h"
#include "support/kernel.h"

#define UNIT ((size_t)65536)

static bool reads_as_zero(const void *start, size_t size) {
    const unsigned char *bytes = start;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static void *map(size_t size) {
    void *start = NULL;
    assert_int_equal(os_map(size, UNIT, &start), 0);
    return start;
}

static void unmap(void *start, size_t size) {
    assert_int_equal(os_unmap(start, size), 0);
}

static void read_byte(void *address) {
    (void)*(volatile char *)address;
}

static void assert_faults_at(void *address) {
    struct child_result result;
    child_run(&result, read_byte, address);
    assert_int_equal(result.signal, SIGSEGV);
}

static void reserved_pages_fault_until_committed(void) {
    for (size_t align = OS_PAGE; align <= 8 * MIB; align *= 2) {
        void *start = NULL;
        assert_int_equal(os_reserve(4 * UNIT, align, &start), 0);
        assert_int_equal((uintptr_t)start % align, 0);
        unmap(start, 4 * UNIT);
    }
    void *start = NULL;
    assert_int_equal(os_reserve(4 * UNIT, UNIT, &start), 0);
    char *second = (char *)start + UNIT;
    assert_int_equal(os_commit(second, UNIT), 0);
    assert_true(reads_as_zero(second, UNIT));
    memset(second, 1, UNIT);
    assert_faults_at(second - 1);
    assert_faults_at(second + UNIT);
    unmap(start, 4 * UNIT);
    assert_faults_at(second);
}

static void maps_are_zero_and_aligned_and_leave_nothing_over(void) {
    struct os_usage before, after;
    os_usage(&before);
    for (size_t align = OS_PAGE; align <= 8 * MIB; align *= 2) {
        void *start = NULL;
        assert_int_equal(os_map(3 * UNIT, align, &start), 0);
        assert_int_equal((uintptr_t)start % align, 0);
        assert_true(reads_as_zero(start, 3 * UNIT));
        memset(start, 1, 3 * UNIT);
        unmap(start, 3 * UNIT);
    }
    os_usage(&after);
    assert_true(after.mapped < before.mapped + 8 * MIB);
}

static void sizes_that_overflow_are_refused(void) {
    void *start = NULL;
    assert_int_equal(os_map(SIZE_MAX - UNIT + 1, 2 * UNIT, &start), ENOMEM);
    assert_int_equal(os_reserve(SIZE_MAX / 2, UNIT, &start), ENOMEM);
    assert_null(start);
}

static void a_claim_takes_free_addresses_only(void) {
    char *start = map(4 * UNIT);
    memset(start, 1, 4 * UNIT);
    assert_int_equal(os_claim(start + UNIT, UNIT), EEXIST);
    unmap(start + UNIT, UNIT);
    assert_int_equal(os_claim(start, 2 * UNIT), EEXIST);
    assert_int_equal(os_claim(start + UNIT, 2 * UNIT), EEXIST);
    assert_int_equal(os_claim(start + UNIT, UNIT), 0);
    assert_true(reads_as_zero(start + UNIT, UNIT));
    memset(start + UNIT, 1, UNIT);
    assert_int_equal(start[0] + start[2 * UNIT], 2);
    unmap(start, 4 * UNIT);
}

static void purged_pages_read_as_zero(void) {
    assert_int_equal(os_purge_zeroes(), purging_zeroes());
    char *start = map(4 * UNIT);
    memset(start, 1, 4 * UNIT);
    assert_int_equal(os_purge(start + UNIT, 2 * UNIT), 0);
    if (os_purge_zeroes()) {
        assert_true(reads_as_zero(start + UNIT, 2 * UNIT));
    }
    assert_int_equal(start[UNIT - 1], 1);
    assert_int_equal(start[3 * UNIT], 1);
    memset(start, 2, 4 * UNIT);
    unmap(start, 4 * UNIT);
}

/* The kernel marks what comes before the hole, and then refuses. */
static void a_guard_that_is_refused_leaves_pages_accessible(void) {
    char *start = map(2 * UNIT);
    unmap(start + UNIT, UNIT);
    assert_int_not_equal(os_guard(start, 2 * UNIT), 0);
    memset(start, 1, UNIT);
    unmap(start, UNIT);
}

static void a_map_changes_its_size(void) {
    char *start = map(4 * UNIT);
    void *out = NULL;
    memset(start, 1, 4 * UNIT);
    assert_int_equal(os_resize_map(start, 4 * UNIT, 2 * UNIT, false, &out), 0);
    assert_ptr_equal(out, start);
    assert_int_equal(os_resize_map(start, 2 * UNIT, 4 * UNIT, false, &out), 0);
    assert_ptr_equal(out, start);
    assert_true(reads_as_zero(start + 2 * UNIT, 2 * UNIT));

    /* the second half is in the way of the first */
    memset(start, 1, 4 * UNIT);
    out = NULL;
    assert_int_equal(os_resize_map(start, 2 * UNIT, 3 * UNIT, false, &out), ENOMEM);
    assert_null(out);
    assert_int_equal(os_resize_map(start, 2 * UNIT, 3 * UNIT, true, &out), 0);
    char *moved = out;
    assert_ptr_not_equal(moved, start);
    assert_int_equal(moved[0] + moved[2 * UNIT - 1], 2);
    assert_true(reads_as_zero(moved + 2 * UNIT, UNIT));
    assert_faults_at(start);
    unmap(moved, 3 * UNIT);
    unmap(start + 2 * UNIT, 2 * UNIT);
}

static void the_break_moves_where_the_c_library_lets_it(void) {
    void *first = NULL;
    void *second = NULL;
    assert_int_equal(os_move_break(0, &first), 0);
    assert_non_null(first);
    int error = os_move_break((intptr_t)UNIT, &second);
#ifdef __GLIBC__
    assert_int_equal(error, 0);
    assert_ptr_equal(second, first);
    memset(second, 1, UNIT);
    assert_int_equal(os_move_break(-(intptr_t)UNIT, &second), 0);
    assert_ptr_equal(second, (char *)first + UNIT);
#else
    assert_int_equal(error, ENOMEM);
#endif
    assert_int_equal(os_move_break(INTPTR_MAX, &second), ENOMEM);
    assert_int_equal(os_move_break(INTPTR_MIN, &second), ENOMEM);
}

#ifdef __GLIBC__
/* The C library's sbrk has its own idea of where the break is. */
static void our_break_and_sbrk_go_on_from_each_other(void) {
    void *start = NULL;
    void *now = NULL;
    assert_ptr_not_equal(sbrk(0), (void *)-1);
    assert_int_equal(os_move_break((intptr_t)UNIT, &start), 0);
    memset(start, 1, UNIT);
    assert_ptr_equal(sbrk(UNIT), (char *)start + UNIT);
    assert_int_equal(os_move_break((intptr_t)UNIT, &now), 0);
    assert_ptr_equal(now, (char *)start + 2 * UNIT);
    memset(start, 1, 3 * UNIT);
    assert_ptr_equal(sbrk(-(intptr_t)UNIT), (char *)start + 3 * UNIT);
    assert_int_equal(os_move_break(-(intptr_t)(2 * UNIT), &now), 0);
    assert_ptr_equal(now, (char *)start + 2 * UNIT);
    assert_ptr_equal(sbrk(0), start);
}
#endif

static void failures_leave_errno_alone(void) {
    void *out = NULL;
    char *start = map(2 * UNIT);
    unmap(start + UNIT, UNIT);
    struct os_usage usage;
    errno = EDOM;
    assert_int_equal(os_reserve(SIZE_MAX / 2, OS_PAGE, &out), ENOMEM);
    assert_int_equal(os_map(SIZE_MAX / 2, OS_PAGE, &out), ENOMEM);
    assert_int_equal(os_commit(start + UNIT, UNIT), ENOMEM);
    assert_int_equal(os_claim(start, UNIT), EEXIST);
    assert_int_equal(os_unmap(start + 1, UNIT), EINVAL);
    assert_int_equal(os_purge(start + 1, UNIT), EINVAL);
    assert_int_not_equal(os_resize_map(start + UNIT, UNIT, 2 * UNIT, true, &out), 0);
    assert_int_equal(os_move_break(INTPTR_MAX, &out), ENOMEM);
    assert_null(os_environment(NULL, "MEMS_TEST_UNSET"));
    os_usage(&usage);
    os_populate(start + UNIT, UNIT);
    (void)os_purge_zeroes();
    (void)os_coarse_ms();
    (void)os_random();
    (void)os_address_limit();
    assert_int_equal(errno, EDOM);
    unmap(start, UNIT);
}

static uint64_t monotonic_ms(void) {
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void the_coarse_clock_goes_on_and_never_back(void) {
    uint64_t start = os_coarse_ms();
    uint64_t now = start;
    while (now < start + 20) {
        uint64_t later = os_coarse_ms();
        assert_true(later >= now);
        assert_true(later <= monotonic_ms());
        now = later;
    }
}

static void a_test_can_stop_the_clocks(void) {
    clock_stop();
    const uint64_t stopped = os_coarse_ms();
    while (monotonic_ms() < stopped + 20) {
        assert_true(os_coarse_ms() == stopped);
        assert_true(os_fine_us() == stopped * 1000);
    }
    clock_advance(7);
    assert_true(os_coarse_ms() == stopped + 7);
    os_inject_clock(0);
    while (os_coarse_ms() <= stopped + 7) {
        continue; /* it goes on from the time that the kernel knows */
    }
}

static void assert_random_looks_so(void) {
    uint64_t values[256];
    uint64_t ever_set = 0;
    uint64_t always_set = UINT64_MAX;
    for (size_t i = 0; i < 256; i++) {
        values[i] = os_random();
        ever_set |= values[i];
        always_set &= values[i];
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(values[i], values[k]);
        }
    }
    assert_true(ever_set == UINT64_MAX);
    assert_true(always_set == 0);
}

static void random_numbers_differ_in_every_bit(void) {
    assert_random_looks_so();
}

static void limit_address_space(void *limit) {
    struct rlimit limits = {*(size_t *)limit, RLIM_INFINITY};
    if (getrlimit(RLIMIT_AS, &limits) != 0) {
        _exit(2);
    }
    limits.rlim_cur = *(size_t *)limit;
    _exit(setrlimit(RLIMIT_AS, &limits) != 0 || os_address_limit() != *(size_t *)limit);
}

static void the_address_limit_is_the_process_s(void) {
    struct rlimit limits;
    assert_int_equal(getrlimit(RLIMIT_AS, &limits), 0);
    assert_true(os_address_limit() == (limits.rlim_cur == RLIM_INFINITY ? SIZE_MAX : limits.rlim_cur));
    struct child_result result;
    size_t limit = (size_t)1 << 36;
    child_run(&result, limit_address_space, &limit);
    if (os_address_limit() == SIZE_MAX && result.status != 0) {
        skip(); /* QEMU keeps this limit to itself */
    }
    assert_int_equal(result.status, 0);
}

static void *thread_id(void *out) {
    *(uint64_t *)out = os_thread_id();
    return NULL;
}

static void check_ids_of_child(void *parent) {
    bool right = os_process_id() == (uint64_t)getpid() && os_thread_id() == os_process_id();
    _exit(!right || os_process_id() == *(uint64_t *)parent);
}

static void ids_are_true_in_threads_and_children(void) {
    uint64_t other = 0;
    uint64_t own = os_process_id();
    pthread_t thread;
    struct child_result result;
    assert_int_equal(own, getpid());
    assert_int_equal(os_thread_id(), own);
    assert_int_equal(pthread_create(&thread, NULL, thread_id, &other), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(other != own && other != 0);
    child_run(&result, check_ids_of_child, &own);
    assert_int_equal(result.status, 0);
}

static void the_environment_may_be_missing(void) {
    assert_int_equal(setenv("MEMS_TEST_SET", "value", 1), 0);
    assert_string_equal(os_environment(NULL, "MEMS_TEST_SET"), "value");
    assert_null(os_environment(NULL, "MEMS_TEST_UNSET"));
    char **kept = environ;
    environ = NULL;
    const char *value = os_environment(NULL, "MEMS_TEST_SET");
    environ = kept;
    assert_null(value);
}

static void files_are_appended_to_and_told_apart(void) {
    char path[] = "/tmp/mems_os_test_XXXXXX";
    int fd = mkstemp(path);
    int end = -1;
    int copy = -1;
    char text[8];
    struct stat status;
    struct os_file_identity identity, other;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "one", 3), 3);
    assert_int_equal(os_open_append(path, &end), 0);
    assert_int_equal(write(end, " two", 4), 4);
    assert_int_equal(os_duplicate(fd, 100, &copy), 0);
    assert_true(copy >= 100 && fcntl(copy, F_GETFD) == FD_CLOEXEC && fcntl(end, F_GETFD) == FD_CLOEXEC);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(os_file_identity(copy, &identity), 0);
    assert_true(identity.device == status.st_dev && identity.inode == status.st_ino);
    assert_int_equal(os_file_identity(STDERR_FILENO, &other), 0);
    assert_false(identity.device == other.device && identity.inode == other.inode);
    assert_int_equal(os_read_text(path, text, sizeof text), 0);
    assert_string_equal(text, "one two");
    assert_int_equal(os_read_text(path, text, 4), 0);
    assert_string_equal(text, "one");
    os_close(copy);
    assert_int_equal(os_file_identity(copy, &identity), EBADF);
    assert_int_equal(os_duplicate(copy, 100, &end), EBADF);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(os_read_text(path, text, sizeof text), ENOENT);
    assert_int_equal(os_open_append("/", &end), EISDIR);
}

static void usage_follows_what_is_mapped_and_touched(void) {
    struct os_usage before, reserved, touched;
    void *start = NULL;
    os_usage(&before);
    assert_int_equal(os_reserve(64 * MIB, UNIT, &start), 0);
    os_usage(&reserved);
    assert_int_equal(os_commit(start, 16 * MIB), 0);
    memset(start, 1, 16 * MIB);
    os_usage(&touched);
    assert_in_range(reserved.mapped - before.mapped, 64 * MIB, 80 * MIB);
    assert_true(reserved.resident < before.resident + 8 * MIB);
    /* for each of our bytes a sanitizer touches several of its own */
    assert_in_range(touched.resident - reserved.resident, 15 * MIB, 128 * MIB);
    assert_true(touched.minor_faults > before.minor_faults);
    assert_true(touched.major_faults >= before.major_faults);
    unmap(start, 64 * MIB);
}

/* The resident pages of the mapping that starts there, if it has this size; else SIZE_MAX. */
static size_t resident_of(const void *start, size_t size) {
    uintptr_t from = 0, to = 0, first, end;
    size_t kib = 0, pages = SIZE_MAX;
    char line[512];
    FILE *file = fopen("/proc/self/smaps", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &first, &end) == 2) {
            from = first;
            to = end;
        } else if (from == (uintptr_t)start && to - from == size && sscanf(line, "Rss: %zu kB", &kib) == 1) {
            pages = kib * KIB / os_page_size();
        }
    }
    fclose(file);
    return pages;
}

static void pages_of_a_file_are_mapped_alone(void) {
    const size_t size = 64 * os_page_size();
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), (off_t)size), 0);
    /* Written once, so that the kernel has the pages. */
    char *written = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    assert_true(written != MAP_FAILED);
    memset(written, 'x', size);
    assert_int_equal(munmap(written, size), 0);
    char *start = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fileno(file), 0);
    assert_true(start != MAP_FAILED);
    assert_int_equal(madvise(start, os_page_size(), MADV_RANDOM), 0);
    const bool whole = resident_of(start, size) != SIZE_MAX;
    assert_int_equal(madvise(start, os_page_size(), MADV_NORMAL), 0);
    if (whole) {
        skip(); /* an emulator does not pass the advice on */
    }
    assert_int_equal(resident_of(start, size), 0);
    single_page_map(start + 20 * os_page_size() + 5);
    assert_int_equal(start[20 * os_page_size()], 'x');
    assert_int_equal(resident_of(start, size), 1);
    single_pages_map(start + 30 * os_page_size() - 1, os_page_size() + 2);
    assert_int_equal(resident_of(start, size), 4);
    os_inject(OS_CALL_MADVISE, 0, UINT64_MAX, EPERM);
    single_page_map(start + 40 * os_page_size());
    os_inject_clear();
    assert_int_equal(resident_of(start, size), 4);
    munmap(start, size);
    fclose(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(pages_of_a_file_are_mapped_alone),
        PLAIN(reserved_pages_fault_until_committed),
        PLAIN(maps_are_zero_and_aligned_and_leave_nothing_over),
        PLAIN(sizes_that_overflow_are_refused),
        PLAIN(a_claim_takes_free_addresses_only),
        PLAIN(purged_pages_read_as_zero),
        PLAIN(a_guard_that_is_refused_leaves_pages_accessible),
        PLAIN(a_map_changes_its_size),
        PLAIN(the_break_moves_where_the_c_library_lets_it),
#ifdef __GLIBC__
        PLAIN(our_break_and_sbrk_go_on_from_each_other),
#endif
        PLAIN(failures_leave_errno_alone),
        PLAIN(the_coarse_clock_goes_on_and_never_back),
        PLAIN(a_test_can_stop_the_clocks),
        PLAIN(random_numbers_differ_in_every_bit),
        PLAIN(the_address_limit_is_the_process_s),
        PLAIN(ids_are_true_in_threads_and_children),
        PLAIN(the_environment_may_be_missing),
        PLAIN(files_are_appended_to_and_told_apart),
        PLAIN(usage_follows_what_is_mapped_and_touched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
