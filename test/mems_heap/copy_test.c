/*
 * copy_test.c - no lock is held while bytes are copied: others can use the space in the middle of a copy.
 *
 * A page that the copy needs is inaccessible, and the handler of the fault does what another thread would do.
 */
#include "support/test.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mems_heap/complaint.h"
#include "os/os.h"
#include "support/space_heap.h"

#define SIZE ((size_t)32 * 4096)

static struct mems_space *space;
static void *block;
static char *page; /* the inaccessible one */
static size_t page_size;
static void (*meanwhile)(void);
static unsigned faults;

static void on_fault(int signal) {
    (void)signal;
    faults++;
    CHECK(faults == 1 && mprotect(page, page_size, PROT_READ | PROT_WRITE) == 0);
    meanwhile();
}

/* cmocka installs its own handler for each test. The first page boundary behind `bytes` faults at its first access. */
static void arm(char *bytes, void (*act)(void)) {
    page = (char *)(((uintptr_t)bytes / page_size + 1) * page_size);
    meanwhile = act;
    faults = 0;
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    assert_int_equal(mprotect(page, page_size, PROT_NONE), 0);
}

static void hear(const struct mems_error *error, void *context) {
    (void)error;
    (void)context;
}

static void begin(void) {
    page_size = os_page_size();
    complaint_set_handler(hear, NULL);
    space = space_create(NULL);
    block = space_alloc("malloc", space, SIZE);
    memset(space_get("get", space, block), 1, SIZE);
    assert_non_null(space_alloc("malloc", space, 8)); /* so that the block cannot grow in place */
}

static void end(void) {
    CHECK_VALID_SPACE(space);
    assert_int_equal(faults, 1);
    assert_int_equal(space->copying, 0);
    space_destroy("destroy", space);
}

static void nothing(void) {}

static void use_others(void) {
    void *other = space_alloc("malloc", space, 100);
    CHECK(other != NULL && space_get("get", space, other) != NULL);
    space_trim("trim", space);
    space_free("free", space, other);
    CHECK_VALID_SPACE(space);
}

static void use_it(void) {
    CHECK(space_get("get", space, block) != NULL && space_pin("pin", space, block) != NULL);
    space_unpin("unpin", space, block);
    use_others();
}

/* It disappears at once, for everybody, but keeps its place. */
static void free_it(void) {
    space_free("free", space, block);
    CHECK(space_get("get", space, block) == NULL);
    space_free("free", space, block);
    CHECK(errno == EFAULT);
    use_others();
}

static void read_copies_without_the_lock(void) {
    static char bytes[SIZE];
    arm(space_get("get", space, block), use_it);
    assert_int_equal(space_read("read", space, block, bytes, SIZE), 0);
    assert_int_equal(bytes[SIZE - 1], 1);
}

static void write_copies_without_the_lock(void) {
    static char bytes[SIZE];
    arm(space_get("get", space, block), use_it);
    assert_int_equal(space_write("write", space, block, bytes, SIZE), 0);
    assert_int_equal(*((char *)space_get("get", space, block) + SIZE - 1), 0);
}

static void realloc_copies_without_the_lock(void) {
    arm(space_get("get", space, block), use_it);
    char *moved = space_realloc("realloc", space, block, 2 * SIZE);
    assert_ptr_not_equal(moved, block);
    assert_int_equal(*(char *)space_get("get", space, moved + SIZE - 1), 1);
}

/* Whether memset continues behind a faulting page: under some emulators it skips some of it. */
static bool memset_goes_on(void) {
    static char bytes[SIZE];
    memset(bytes, 1, sizeof bytes);
    arm(bytes, nothing);
    memset(bytes, 0, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static void calloc_clears_without_the_lock(void) {
    if (!memset_goes_on()) {
        skip();
    }
    arm(space_get("get", space, block), use_others);
    space_free("free", space, block);
    char *again = space_alloc_zeroed("calloc", space, 1, SIZE);
    assert_int_equal(*(char *)space_get("get", space, again + SIZE - 1), 0);
}

static void a_block_that_is_freed_during_a_copy_is_gone_at_once(void) {
    static char bytes[SIZE];
    struct mems_stats stats;
    arm(space_get("get", space, block), free_it);
    assert_int_equal(space_read("read", space, block, bytes, SIZE), 0);
    assert_int_equal(bytes[SIZE - 1], 1);
    space_stats("stats", space, &stats);
    assert_int_equal(stats.processes, 1);
}

static void a_block_that_is_freed_while_it_moves_is_freed_once(void) {
    struct mems_stats stats;
    arm(space_get("get", space, block), free_it);
    char *moved = space_realloc("realloc", space, block, 2 * SIZE);
    assert_int_equal(*(char *)space_get("get", space, moved + SIZE - 1), 1);
    space_stats("stats", space, &stats);
    assert_int_equal(stats.processes, 2);
}

static void pin_it(void) {
    CHECK(space_pin("pin", space, block) != NULL);
    use_others();
}

/* Its physical address was promised to stay, so it stays where it is. */
static void a_block_that_is_pinned_while_it_moves_stays(void) {
    struct mems_stats stats;
    char *bytes = space_get("get", space, block);
    arm(bytes, pin_it);
    errno = 0;
    assert_null(space_realloc("realloc", space, block, 2 * SIZE));
    assert_int_equal(errno, EBUSY);
    assert_ptr_equal(space_get("get", space, block), bytes);
    assert_int_equal(bytes[SIZE - 1], 1);
    space_stats("stats", space, &stats);
    assert_int_equal(stats.processes, 2);
    assert_int_equal(stats.pinned, 1);
    errno = 0;
    space_unpin("unpin", space, block);
    assert_int_equal(errno, 0);
    space_free("free", space, block);
    assert_int_equal(errno, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN_WITH(read_copies_without_the_lock, begin, end),
        PLAIN_WITH(write_copies_without_the_lock, begin, end),
        PLAIN_WITH(realloc_copies_without_the_lock, begin, end),
        PLAIN_WITH(calloc_clears_without_the_lock, begin, end),
        PLAIN_WITH(a_block_that_is_freed_during_a_copy_is_gone_at_once, begin, end),
        PLAIN_WITH(a_block_that_is_freed_while_it_moves_is_freed_once, begin, end),
        PLAIN_WITH(a_block_that_is_pinned_while_it_moves_stays, begin, end),
    };
    alarm(900);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
