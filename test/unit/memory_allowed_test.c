/*
 * memory_allowed_test.c - limits of control groups, from files like the kernel's.
 */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/os.h"

static char root[] = "/tmp/mems-groups-XXXXXX";

static void put(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = path + sizeof root; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static size_t limit(const char *groups) {
    char path[256];
    snprintf(path, sizeof path, "%s/groups", root);
    put("groups", groups);
    return os_groups_limit(path, root);
}

static int make_root(void **state) {
    (void)state;
    return mkdtemp(root) == NULL;
}

static int remove_root(void **state) {
    (void)state;
    char command[256];
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static void the_least_of_a_group_and_those_around_it_counts(void) {
    put("a/b/c/memory.max", "max\n");
    put("a/b/memory.max", "1073741824\n");
    put("a/memory.max", "2147483648\n");
    assert_true(limit("0::/a/b/c\n") == 1073741824);
    assert_true(limit("0::/a\n") == 2147483648);
    assert_true(limit("0::/x\n") == SIZE_MAX);
    put("memory.max", "1000000\n");
    assert_true(limit("0::/a/b/c\n") == 1000000);
    assert_true(limit("0::/\n") == 1000000);
}

static void both_versions_are_read(void) {
    put("memory/d/memory.limit_in_bytes", "700000\n");
    put("memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_true(limit("9:cpu:/d\n5:memory:/d\n0::/nowhere\n") == 700000);
    assert_true(limit("9:cpu:/d\n5:memory:/\n1:name=systemd:/d\n") == 9223372036854771712u);
}

static void nonsense_is_no_limit(void) {
    assert_true(limit("") == SIZE_MAX);
    assert_true(limit("0::") == 1000000); /* like the root's, above */
    assert_true(limit("what is this") == SIZE_MAX);
    put("e/memory.max", "99999999999999999999999999999\n");
    assert_true(limit("7::/e") == 1000000);
    assert_true(os_groups_limit("/nowhere", root) == SIZE_MAX);
}

static void the_machine_s_memory_is_a_limit(void) {
    size_t pages = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    assert_true(os_memory_allowed() <= pages && os_memory_allowed() > 0);
    assert_true(os_memory_pressure() <= 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(the_least_of_a_group_and_those_around_it_counts),
        PLAIN(both_versions_are_read),
        PLAIN(nonsense_is_no_limit),
        PLAIN(the_machine_s_memory_is_a_limit),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
