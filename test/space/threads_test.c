/*
 * threads_test.c - threads on one space and on many, while others look at them, trim them, and make and destroy more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "crowd.h"

static void test_threads_share_spaces(void **state) {
    (void)state;
    void *(*const others[])(void *) = {look_on, create_and_destroy, look_on};
    crowd_run(others, 3, scaled(1500));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_threads_share_spaces, crowd_begin, crowd_end),
    };
    alarm(100);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
