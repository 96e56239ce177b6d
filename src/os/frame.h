/* frame.h - steps from a function's frame to its caller's, using the unwind tables. Unlike the compiler's own unwinder,
 * which reads wherever the tables lead, it reads a stack only within the caller's bounds, because a coroutine's first
 * return address may be made up. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "unwind_table.h"

struct frame {
    uintptr_t registers[UNWIND_REGISTERS];
    uintptr_t pc;
    bool interrupted; /* pc is the next instruction, not what a call returns to */
};

enum frame_caller {
    FRAME_FOUND,
    FRAME_OUTERMOST, /* there is no caller */
    FRAME_UNKNOWN    /* nothing describes the code, or it leads off the stack */
};

/* A return address without the signature that its upper bits may have. */
static inline uintptr_t frame_return_address(uintptr_t word) {
#if defined(__aarch64__)
    return word & ((UINT64_C(1) << 48) - 1);
#else
    return word;
#endif
}

/* Turns a frame into its caller's. Reads the stack only from `low` to `high`. */
enum frame_caller frame_unwind(struct frame *frame, uintptr_t low, uintptr_t high);
