/*
 * fault_test.c - the last line of a program that misused the heap, and its end.
 */
#include "support/test.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fault.h"
#include "support/child.h"

static long *thread; /* shared with the child: its thread id */

static int share_thread(void **state) {
    (void)state;
    thread = mmap(NULL, sizeof *thread, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return thread == MAP_FAILED;
}

static void assert_fault(void (*function)(void *), const char *expected) {
    struct child_result result;
    char line[1024];
    child_run(&result, function, NULL);
    snprintf(line, sizeof line, "%s [thread %ld]\n", expected, *thread);
    assert_string_equal(result.err, line);
    assert_int_equal(result.signal, SIGABRT);
}

static void double_free(void *unused) {
    (void)unused;
    *thread = syscall(SYS_gettid);
    fault("free", (void *)(uintptr_t)0x7f52a0c00310, "double free", "slot 12 of a 48-byte slab, free");
}

static void without_state(void *unused) {
    (void)unused;
    *thread = syscall(SYS_gettid);
    fault("realloc", NULL, "invalid pointer", NULL);
}

static void *double_free_cancelled(void *unused) {
    pthread_cancel(pthread_self());
    double_free(unused);
    return NULL;
}

static void in_a_cancelled_thread(void *unused) {
    (void)unused;
    pthread_t other;
    pthread_create(&other, NULL, double_free_cancelled, NULL);
    pthread_join(other, NULL);
}

static void the_line_names_operation_address_problem_state_and_thread(void) {
    const char *line = "mems: free(0x7f52a0c00310): double free: slot 12 of a 48-byte slab, free";
    assert_fault(double_free, line);
    assert_fault(in_a_cancelled_thread, line);
    assert_fault(without_state, "mems: realloc(0x0): invalid pointer");
}

static void internal(void *unused) {
    (void)unused;
    *thread = syscall(SYS_gettid);
    fault_internal("slab.c", 42, "live <= slots");
}

static void an_internal_error_names_file_line_and_condition(void) {
    assert_fault(internal, "mems: internal error: slab.c:42: live <= slots");
}

static void asserted(void *value) {
    ASSERT(value == NULL);
}

static void an_assertion_fails_when_its_condition_is_false(void) {
    struct child_result result;
    int some;
    child_run(&result, asserted, NULL);
    assert_int_equal(result.signal, 0);
    assert_string_equal(result.err, "");
    child_run(&result, asserted, &some);
    assert_int_equal(result.signal, SIGABRT);
    assert_non_null(strstr(result.err, ": value == NULL [thread "));
}

static void with_long_state(void *unused) {
    (void)unused;
    char text[2 * FAULT_LINE];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    *thread = syscall(SYS_gettid);
    fault("free", NULL, "invalid pointer", text);
}

static void a_long_line_is_cut_but_its_end(void) {
    struct child_result result;
    char tail[64];
    child_run(&result, with_long_state, NULL);
    assert_int_equal(result.signal, SIGABRT);
    size_t length = strlen(result.err);
    assert_true(length < FAULT_LINE);
    assert_true(length > FAULT_LINE - 40);
    snprintf(tail, sizeof tail, "xxx [thread %ld]\n", *thread);
    assert_string_equal(result.err + length - strlen(tail), tail);
}

static void double_free_to(void *fd) {
    dup2(*(int *)fd, STDERR_FILENO);
    double_free(NULL);
}

/* A datagram socket keeps writes apart. */
static void the_line_is_one_write(void) {
    int ends[2];
    char line[FAULT_LINE];
    struct child_result result;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    child_run(&result, double_free_to, &ends[1]);
    ssize_t length = recv(ends[0], line, sizeof line, MSG_DONTWAIT);
    assert_true(length > 0);
    assert_int_equal(line[0], 'm');
    assert_int_equal(line[length - 1], '\n');
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(the_line_names_operation_address_problem_state_and_thread),
        PLAIN(an_internal_error_names_file_line_and_condition),
        PLAIN(an_assertion_fails_when_its_condition_is_false),
        PLAIN(a_long_line_is_cut_but_its_end),
        PLAIN(the_line_is_one_write),
    };
    return cmocka_run_group_tests(tests, share_thread, NULL);
}
