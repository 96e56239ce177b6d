/*
 * no_room.c - a sampled process whose table of stacks is full from the start, so that all its blocks have the stack
 * without frames: small ones of two classes, a large one and a huge one. Then it waits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/root/root.h"
#include "engine/samples/stack_table.h"

int main(void) {
    ((struct stack_table *)mems_root.stack_table)->bytes = STACKS_MAX;
    static const size_t sizes[] = {16, 1000, 200000, (size_t)70 << 20};
    for (size_t i = 0; i < 1000; i++) {
        free(malloc(sizes[i % 4]));
    }
    puts("nothing"); /* all blocks of the loop are freed */
    fflush(stdout);
    pause();
    return 0;
}
