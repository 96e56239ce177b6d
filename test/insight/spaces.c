/*
 * spaces.c - a program with blocks in three spaces of the MeMS heap: the default one, one with generations, and a
 * movable one. It prints their virtual and physical addresses, "name address" on each line, and waits.
 */
#include <mems.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MANY 1000

static void tell(const char *name, const void *address) {
    printf("%s %#lx\n", name, (unsigned long)(uintptr_t)address);
}

/* Blocks of 4,096 bytes; every other one is freed, so the rest is moved. */
static void fill_movable(struct mems_space *space) {
    static char *many[MANY];
    for (size_t i = 0; i < MANY; i++) {
        many[i] = mems_space_malloc(space, 4096);
        memset(mems_space_get(space, many[i]), 1, 4096);
    }
    for (size_t i = 0; i < MANY; i += 2) {
        mems_space_free(space, many[i]);
    }
    mems_space_compact(space, SIZE_MAX);
    char *large = mems_space_malloc(space, (size_t)1 << 20);
    memset(mems_space_get(space, large), 1, (size_t)1 << 20);
    tell("moved", many[501] + 9);
    tell("moved_physical", (char *)mems_space_get(space, many[501]) + 9);
    tell("moved_hole", many[500] + 3);
    tell("moved_large", large + 70000);
}

int main(void) {
    char *first = mems_malloc(1000);
    char *second = mems_malloc(2000);
    char *third = mems_malloc(100000);
    memset(mems_get(third), 1, 100000);
    mems_free(second);
    struct mems_space *space = mems_space_create(NULL);
    char *freed = mems_space_malloc(space, 496);
    mems_space_free(space, freed);
    char *other = mems_space_malloc(space, 496);
    memset(mems_space_get(space, other), 1, 496);
    struct mems_space *movable = mems_space_create(&(struct mems_space_options){.movable = MEMS_MOVABLE});
    fill_movable(movable);
    tell("first", first);
    tell("first_inside", first + 7);
    tell("first_physical", (char *)mems_get(first) + 7);
    tell("hole", second + 3);
    tell("third_physical", mems_get(third));
    tell("other_physical", mems_space_get(space, other));
    tell("other", other + 5);
    tell("freed", freed + 5);
    tell("nothing", (const void *)0x10);
    fflush(stdout);
    pause();
    return 0;
}
