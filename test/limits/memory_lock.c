/*
 * mlockall(MCL_CURRENT | MCL_FUTURE): used memory is locked in, reserved address space is not, and memory that cannot
 * be given back (locked pages are not purged) is reused.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/check.h"
#include "support/kernel.h"

#define BLOCKS 64
#define TOTAL ((size_t)16 << 20)
#define SLACK ((size_t)32 << 20)
#define ROUNDS 8

/* A heap that hangs must not outlive its test. */
#define WATCHDOG 900

/* TOTAL bytes: half of them in blocks of `size`, half in blocks twice as large. */
static void use(size_t size) {
    static char *blocks[TOTAL / 1000];
    size_t count = 0;
    for (size_t total = 0; total < TOTAL; count++) {
        size_t own = total < TOTAL / 2 ? size : 2 * size;
        blocks[count] = calloc(1, own);
        CHECK(blocks[count] != NULL && blocks[count][own - 1] == 0);
        memset(blocks[count], 1, own);
        total += own;
    }
    for (size_t i = 0; i < count; i++) {
        free(blocks[i]);
    }
}

int main(void) {
    alarm(WATCHDOG);
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        return errno == EPERM || errno == ENOMEM ? 77 : 1;
    }
    size_t before = resident_bytes();
    for (int round = 0; round < ROUNDS; round++) {
        use(1000);
        use(100000);
        use(2000000);
    }
    CHECK_AT_MOST(resident_bytes(), before + TOTAL + SLACK); /* reserved address space is not locked in */
    return 0;
}
