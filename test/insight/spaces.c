/*
 * spaces.c - a program with blocks in two spaces of the MeMS heap. It tells their virtual and physical addresses, "name
 * address" on each line, and then waits.
 */
#include <mems.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void tell(const char *name, const void *address) {
    printf("%s %#lx\n", name, (unsigned long)(uintptr_t)address);
}

int main(void) {
    char *first = mems_malloc(1000);
    char *second = mems_malloc(2000);
    char *third = mems_malloc(100000);
    memset(mems_get(third), 1, 100000);
    mems_free(second);
    struct mems_space *space = mems_space_create(NULL);
    char *other = mems_space_malloc(space, 500);
    memset(mems_space_get(space, other), 1, 500);
    tell("first", first);
    tell("first_inside", first + 7);
    tell("first_physical", (char *)mems_get(first) + 7);
    tell("hole", second + 3);
    tell("third_physical", mems_get(third));
    tell("other_physical", mems_space_get(space, other));
    tell("nothing", (const void *)0x10);
    fflush(stdout);
    pause();
    return 0;
}
