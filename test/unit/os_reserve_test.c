/*
 * os_reserve_test.c - reserved address space: at a given address, left out of cores, and growing although the kernel
 * allows no further mapping.
 */
#include "support/test.h"

#include <errno.h>
#include <string.h>

#include "os/os.h"
#include "support/kernel.h"

#define UNIT ((size_t)65536)
#define UNITS 8

static char *reserve(size_t size) {
    void *start = NULL;
    assert_int_equal(os_reserve(size, UNIT, &start), 0);
    return start;
}

static void test_a_reservation_at_an_address_takes_free_addresses_only(void) {
    char *start = reserve(UNITS * UNIT);
    assert_int_equal(os_reserve_at(start, UNITS * UNIT), EEXIST);
    assert_int_equal(os_unmap(start + UNIT, 2 * UNIT), 0);
    assert_int_equal(os_reserve_at(start, 2 * UNIT), EEXIST);
    assert_int_equal(os_reserve_at(start + 2 * UNIT, 2 * UNIT), EEXIST);
    assert_int_equal(os_reserve_at(start + UNIT, 2 * UNIT), 0);
    assert_false(readable(start + UNIT));
    assert_int_equal(os_commit(start + UNIT, 2 * UNIT), 0);
    memset(start + UNIT, 1, 2 * UNIT);
    assert_false(readable(start));
    assert_false(readable(start + 3 * UNIT));
    assert_int_equal(os_unmap(start, UNITS * UNIT), 0);
}

static void test_a_reservation_where_none_can_be_is_refused(void) {
    char *beyond = (char *)(UINTPTR_MAX / 2 + 1);
    assert_int_not_equal(os_reserve_at(beyond, UNIT), 0);
    assert_int_not_equal(os_reserve_at(beyond - UNIT, 2 * UNIT), 0);
    assert_int_equal(errno, 0);
}

static void test_cores_leave_out_what_is_reserved_until_it_is_used(void) {
    char *start = reserve(UNITS * UNIT);
    if (!cores_can_leave_out()) {
        skip();
    }
    for (size_t units = 0; units + 1 < UNITS; units++) {
        for (size_t unit = 0; unit < UNITS; unit++) {
            assert_int_equal(left_out_of_cores(start + unit * UNIT), unit >= units + (units != 0));
        }
        os_dump(start + units * UNIT, 2 * UNIT);
        assert_int_equal(os_commit(start + units * UNIT, UNIT), 0);
        start[units * UNIT] = 1;
    }
    assert_int_equal(os_unmap(start + UNIT, 2 * UNIT), 0);
    assert_int_equal(os_reserve_at(start + UNIT, 2 * UNIT), 0);
    assert_int_equal(left_out_of_cores(start + UNIT), 1);
    assert_int_equal(os_unmap(start, UNITS * UNIT), 0);
}

static void test_reserved_memory_grows_where_no_mapping_is_left(void) {
    size_t size = 0;
    int errors = 0;
    char *start = reserve(UNITS * UNIT);
    os_dump(start, 2 * UNIT);
    assert_int_equal(os_commit(start, UNIT), 0);
    memset(start, 1, UNIT);
    char *crowd = use_up_mappings(&size);
    if (crowd == NULL) {
        skip();
    }
    for (size_t unit = 1; unit + 1 < UNITS; unit++) {
        os_dump(start + unit * UNIT, 2 * UNIT);
        errors += os_commit(start + unit * UNIT, UNIT);
    }
    assert_int_equal(os_unmap(crowd, size), 0);
    assert_int_equal(errors, 0);
    memset(start, 1, (UNITS - 1) * UNIT);
    assert_int_equal(os_unmap(start, UNITS * UNIT), 0);
}

static void clear_errno(void) {
    errno = 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(test_a_reservation_at_an_address_takes_free_addresses_only),
        PLAIN_WITH(test_a_reservation_where_none_can_be_is_refused, clear_errno, NULL),
        PLAIN(test_cores_leave_out_what_is_reserved_until_it_is_used),
        PLAIN(test_reserved_memory_grows_where_no_mapping_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
