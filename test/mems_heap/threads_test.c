/*
 * threads_test.c - threads on one and on many spaces, while others inspect and trim them, and create and destroy more.
 */
#include "support/test.h"

#include <unistd.h>

#include "space_crowd.h"

static void threads_share_spaces(void) {
    unsigned length = scaled(1500);
    crowd_run((struct crowd_task[]){{look_on, length}, {create_and_destroy, length}, {look_on, length}}, 3);
    check_spaces();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN_WITH(threads_share_spaces, spaces_begin, spaces_end),
    };
    alarm(900);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
