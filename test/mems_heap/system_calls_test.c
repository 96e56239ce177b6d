/*
 * system_calls_test.c - the heap maps and unmaps memory, and makes no other system calls: a filter ends the process at
 * any other.
 */
#include "support/test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mems_heap/space.h"
#include "mems_heap/space_report.h"
#include "os/os.h"
#include "support/check.h"
#include "support/child.h"
#include "support/seccomp.h"
#include "support/thread.h"

/* Reports the system call. */
static void refused(int signal, siginfo_t *info, void *context) {
    char text[] = "system call 0000 is not allowed\n";
    (void)signal;
    (void)context;
    int number = info->si_syscall;
    for (char *digit = text + 15; digit > text + 11; digit--, number /= 10) {
        *digit = (char)('0' + number % 10);
    }
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(1);
}

/* Allows from here on: memory, locks, text on standard error, and the end. */
static void allow_memory_alone(void) {
    static const uint32_t allowed[] = {SYS_mmap, SYS_munmap, SYS_futex, SYS_write, SYS_writev, SYS_exit_group};
    struct sigaction action = {.sa_sigaction = refused, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSYS, &action, NULL) == 0);
    if (!seccomp_answer(allowed, sizeof allowed / sizeof *allowed, SECCOMP_RET_ALLOW, SECCOMP_RET_TRAP)) {
        child_cannot();
    }
}

static int visit(const struct mems_segment *segment, void *context) {
    (void)segment;
    ++*(size_t *)context;
    return 0;
}

/* Small and large blocks are allocated, resized and freed again and again, together with all other calls. */
static void use(struct mems_space *space) {
    enum { BLOCKS = 400 };
    static void *blocks[BLOCKS];
    static char bytes[64];
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < BLOCKS; i++) {
            size_t size = 1 + i * i % 20000;
            blocks[i] = i % 2 == 0 ? space_alloc("malloc", space, size) : space_alloc_zeroed("calloc", space, size, 1);
            CHECK(space_write("write", space, blocks[i], bytes, size < 64 ? size : 64) == 0);
        }
        for (size_t i = 0; i < BLOCKS; i += 2) {
            blocks[i] = space_realloc("realloc", space, blocks[i], 1 + i * 77 % 30000);
            CHECK(space_get("get", space, blocks[i]) != NULL);
        }
        for (size_t i = 0; i < BLOCKS; i++) {
            space_free("free", space, blocks[i]);
        }
        CHECK(space_trim("trim", space) > 0);
    }
    size_t segments = 0;
    CHECK(space_alloc("malloc", space, 1) != NULL);
    CHECK(space_report_walk("walk", space, visit, &segments) == 0 && segments >= 2);
}

static void act(void *unused) {
    (void)unused;
    uint64_t maps = os_inject_calls(OS_CALL_MMAP);
    uint64_t unmaps = os_inject_calls(OS_CALL_MUNMAP);
    allow_memory_alone();
    struct mems_space *space = space_create(&(struct mems_space_options){.page_size = 8192, .alignment = 16});
    CHECK(space_start("mems_init") == 0);
    use(&space_default);
    use(space);
    space_report_print("print", &space_default, stderr);
    space_report_json("json", space, stderr);
    space_finish("mems_finish");
    space_destroy("mems_space_destroy", space);
    maps = os_inject_calls(OS_CALL_MMAP) - maps;
    CHECK(maps > 100 && maps <= os_inject_calls(OS_CALL_MUNMAP) - unmaps);
}

static void memory_comes_from_mmap_and_goes_by_munmap(void) {
    if (UNDER_TSAN) {
        skip(); /* TSan manages memory of its own */
    }
    struct child_result result;
    child_run(&result, act, NULL);
    child_skip_if_cannot(&result);
    if (result.signal != 0 || result.status != 0) {
        fail_msg("signal %d, status %d, %s", result.signal, result.status, result.err);
    }
    assert_non_null(strstr(result.err, "----- MeMS SYSTEM STATS -----\n"));
}

static void purge(void *unused) {
    void *page;
    (void)unused;
    CHECK(os_map(OS_PAGE, OS_PAGE, &page) == 0);
    allow_memory_alone();
    (void)os_purge(page, OS_PAGE);
}

static void the_filter_ends_a_child_at_any_other_call(void) {
    if (UNDER_TSAN) {
        skip();
    }
    struct child_result result;
    child_run(&result, purge, NULL);
    child_skip_if_cannot(&result);
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.err, "is not allowed\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(memory_comes_from_mmap_and_goes_by_munmap),
        PLAIN(the_filter_ends_a_child_at_any_other_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
