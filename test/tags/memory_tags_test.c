/*
 * What aarch64's memory tags (MTE) would find in slots of 48 bytes: the trial behind the design in docs/hardening.md,
 * with no heap yet. Needs a processor with tags, or QEMU's `-cpu max`.
 */
#include <arm_acle.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "support/test.h"

#define SLOT 48u
#define GRANULE 16u

static sigjmp_buf access_ends;

static void end_access(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)context;
    siglongjmp(access_ends, info->si_code);
}

/* Whether the processor refuses to write a byte, or to read it, because of its tag. */
static bool faults(volatile char *byte, bool writes) {
    const int code = sigsetjmp(access_ends, 1);
    if (code == 0) {
        if (writes) {
            *byte = 1;
        } else {
            (void)*byte;
        }
    }
    return code == SEGV_MTESERR;
}

static unsigned tag_of(const char *pointer) {
    return (unsigned)((uintptr_t)pointer >> 56 & 15);
}

/* Gives a slot another tag than that of `other`, and returns the pointer with which it may be used. */
static char *tag_slot(char *slot, const char *other) {
    char *pointer = __arm_mte_create_random_tag(slot, 1u << tag_of(other));
    for (unsigned at = 0; at < SLOT; at += GRANULE) {
        __arm_mte_set_tag(pointer + at);
    }
    return pointer;
}

static char *tagged_page(void) {
    if ((getauxval(AT_HWCAP2) & HWCAP2_MTE) == 0) {
        skip();
    }
    assert_int_equal(
        prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_SYNC | 0xffff << PR_MTE_TAG_SHIFT, 0, 0, 0),
        0);
    struct sigaction action = {.sa_sigaction = end_access, .sa_flags = SA_SIGINFO};
    assert_int_equal(sigaction(SIGSEGV, &action, NULL), 0);
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(page, MAP_FAILED);
    return page;
}

static void an_overflow_into_the_next_slot_faults(void) {
    char *page = tagged_page();
    char *block = tag_slot(page, page);
    (void)tag_slot(page + SLOT, block);
    assert_false(faults(block + SLOT - 1, true));
    assert_true(faults(block + SLOT, true));
    assert_true(faults(block + SLOT, false));
}

static void a_freed_slot_faults(void) {
    char *page = tagged_page();
    char *block = tag_slot(page, page);
    char *next = tag_slot(page, block);
    assert_true(faults(block, true));
    assert_true(faults(block, false));
    assert_false(faults(next, true));
}

/* So canaries stay: behind a block of 40 bytes, 8 bytes have its tag. */
static void the_last_granule_is_not_covered(void) {
    char *block = tag_slot(tagged_page(), NULL);
    assert_false(faults(block + 40, true));
}

/* Without an exclusion, two tags are equal once in some 15. */
static void random_tags_must_exclude_the_neighbours(void) {
    char *page = tagged_page();
    unsigned equal = 0;
    for (unsigned i = 0; i < 1000; i++) {
        const char *one = __arm_mte_create_random_tag(page, 0);
        equal += tag_of(one) == tag_of(__arm_mte_create_random_tag(page, 0));
        assert_int_not_equal(tag_of(__arm_mte_create_random_tag(page, 1u << tag_of(one))), tag_of(one));
    }
    assert_true(equal > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(an_overflow_into_the_next_slot_faults),
        PLAIN(a_freed_slot_faults),
        PLAIN(the_last_granule_is_not_covered),
        PLAIN(random_tags_must_exclude_the_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
