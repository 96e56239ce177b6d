/*
 * thread_keys_test.c - the heap makes keys in vain (thread.c) only where plug-ins can have namespaces of their own.
 */
#include "support/test.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

/* The library calls this one. */
static unsigned deleted;

int pthread_key_delete(pthread_key_t key) {
    (void)key;
    deleted++;
    return 0;
}

static void without_namespaces_no_key_is_made_in_vain(void) {
    void *volatile block = malloc(1);
    free(block);
#ifdef LM_ID_NEWLM
    assert_true(deleted < 32);
#else
    assert_int_equal(deleted, 0);
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(without_namespaces_no_key_is_made_in_vain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
