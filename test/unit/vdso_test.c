/*
 * vdso_test.c - the kernel's clock is found in its image through either hash table, and not at all without both.
 */
#include "support/test.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>

#include "os/vdso.h"

#if defined(__aarch64__)
#define CLOCK "__kernel_clock_gettime"
#else
#define CLOCK "__vdso_clock_gettime"
#endif

/* The kernel's image; skips the test if there is none. */
static const unsigned char *image(void) {
    const unsigned char *start = (const void *)getauxval(AT_SYSINFO_EHDR);
    if (start == NULL) {
        assert_true(vdso_find(CLOCK) == 0);
        skip();
    }
    return start;
}

static size_t image_size(const unsigned char *start) {
    const Elf64_Ehdr *header = (const void *)start;
    const Elf64_Phdr *segments = (const void *)(start + header->e_phoff);
    size_t size = 0;
    for (size_t i = 0; i < header->e_phnum; i++) {
        size_t end = segments[i].p_offset + segments[i].p_filesz;
        size = segments[i].p_type == PT_LOAD && end > size ? end : size;
    }
    return size;
}

static Elf64_Dyn *dynamic_entry(unsigned char *start, Elf64_Sxword tag) {
    const Elf64_Ehdr *header = (const void *)start;
    const Elf64_Phdr *segments = (const void *)(start + header->e_phoff);
    for (size_t i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type == PT_DYNAMIC) {
            Elf64_Dyn *entry = (void *)(start + segments[i].p_offset);
            while (entry->d_tag != DT_NULL && entry->d_tag != tag) {
                entry++;
            }
            return entry->d_tag == tag ? entry : NULL;
        }
    }
    return NULL;
}

static void the_clock_that_is_found_tells_the_time(void) {
    (void)image();
    int (*found)(clockid_t, struct timespec *) = (int (*)(clockid_t, struct timespec *))vdso_find(CLOCK);
    struct timespec before, now, after;
    assert_true(found != NULL);
    clock_gettime(CLOCK_MONOTONIC, &before);
    assert_int_equal(found(CLOCK_MONOTONIC, &now), 0);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(now.tv_sec > before.tv_sec || (now.tv_sec == before.tv_sec && now.tv_nsec >= before.tv_nsec));
    assert_true(now.tv_sec < after.tv_sec || (now.tv_sec == after.tv_sec && now.tv_nsec <= after.tv_nsec));
}

static void other_names_are_not_found(void) {
    (void)image();
    assert_true(vdso_find("__vdso_no_such_function") == 0);
    assert_true(vdso_find("__vdso_clock_gettim") == 0);
    assert_true(vdso_find("") == 0);
}

/* A copy of the image without one or both tables. */
static void either_table_of_hashes_will_do(void) {
    const unsigned char *start = image();
    const size_t size = image_size(start);
    const Elf64_Sxword tables[] = {DT_HASH, DT_GNU_HASH};
    unsigned char *copy = malloc(size);
    assert_non_null(copy);
    for (size_t without = 0; without < 2; without++) {
        memcpy(copy, start, size);
        Elf64_Dyn *gone = dynamic_entry(copy, tables[without]);
        bool other = dynamic_entry(copy, tables[1 - without]) != NULL;
        if (gone != NULL) {
            gone->d_tag = DT_DEBUG;
        }
        uintptr_t found = vdso_find_in(copy, CLOCK);
        assert_true(found == (other ? (uintptr_t)copy + (vdso_find(CLOCK) - (uintptr_t)start) : 0));
    }
    free(copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(the_clock_that_is_found_tells_the_time),
        PLAIN(other_names_are_not_found),
        PLAIN(either_table_of_hashes_will_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
