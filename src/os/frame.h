/* frame.h - steps from a frame to its caller's with the unwind tables. Reads the stack only within given bounds, unlike
 * the compiler's unwinder, because the first return address of a coroutine may be made up. Within them, the kernel says
 * of each page whether it is readable: a guard may lie behind a coroutine's stack. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "unwind_table.h"

struct frame {
    uintptr_t registers[UNWIND_REGISTERS];
    uintptr_t pc;
    bool interrupted; /* pc is the next instruction, not a return address */
};

enum frame_caller {
    FRAME_FOUND,
    FRAME_OUTERMOST, /* there is no caller */
    FRAME_UNKNOWN    /* no rules for this code, or they lead off the stack */
};

/* Removes a signature from the upper bits. */
static inline uintptr_t frame_return_address(uintptr_t word) {
#if defined(__aarch64__)
    return word & ((UINT64_C(1) << 48) - 1);
#else
    return word;
#endif
}

struct frame_bounds {
    uintptr_t low;
    uintptr_t high;
    uintptr_t known;     /* pages from here */
    uintptr_t known_end; /* to here are readable; initially both 0 */
};

bool frame_is_readable(uintptr_t page);

/* Makes the pages of a word of the stack known. False if it is out of bounds, or not readable. */
bool frame_know(struct frame_bounds *bounds, uintptr_t at);

/* Reads a word of the stack. False if it is out of bounds, or not readable. */
static inline bool frame_read(struct frame_bounds *bounds, uintptr_t at, uintptr_t *word) {
    const bool known = at >= bounds->known && at < bounds->known_end && bounds->known_end - at >= sizeof *word;
    if (UNLIKELY(!known) && !frame_know(bounds, at)) {
        return false;
    }
    memcpy(word, (const void *)at, sizeof *word);
    return true;
}

/* Replaces a frame by its caller's. */
enum frame_caller frame_unwind(struct frame *frame, struct frame_bounds *bounds);
