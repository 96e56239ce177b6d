/* break_simulated.c - a program break that is a variable. */
#include "base/bits.h"
#include "program_break.h"

#define BREAK_GRAIN (2 * sizeof(void *))

static bool move(struct program_break *brk, intptr_t by, void **was) {
    if (by > brk->end - brk->now || by < brk->start - brk->now) {
        return false;
    }
    *was = brk->now;
    brk->now += by;
    return true;
}

bool hmm_break_simulated(struct program_break *brk, void *buffer, size_t size) {
    size_t gap = round_up((uintptr_t)buffer, BREAK_GRAIN) - (uintptr_t)buffer;
    if (size < gap + BREAK_MIN || size > PTRDIFF_MAX || (uintptr_t)buffer > UINTPTR_MAX - size) {
        return false;
    }
    char *start = (char *)buffer + gap;
    char *end = start + round_down(size - gap, BREAK_GRAIN);
    *brk = (struct program_break){
        .move = move,
        .grain = BREAK_GRAIN,
        .start = start,
        .now = start,
        .committed = end,
        .end = end,
    };
    return true;
}
