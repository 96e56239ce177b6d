/*
 * stack.h - the return addresses on the calling thread's stack.
 *
 * Frames are found by unwind tables (frame.h) with glibc 2.35 or later, elsewhere by frame pointers, if any.
 *
 * A walk takes no lock, allocates nothing, and uses about 1.2 KiB of stack. It reads only the current stack, upwards,
 * and asks the kernel about each page first: once if it is the thread's own stack, of which all from here to the end
 * must be readable, and in each walk if it is another (a signal handler's, a coroutine's). Such a stack is followed for
 * OS_STACK_FOREIGN bytes, and back onto the thread's own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OS_STACK_FOREIGN ((size_t)64 << 10)
#define OS_STACK_STEP ((size_t)64 << 20) /* what is further below the known part of the own stack counts as another */

/* The part of a thread's own stack that is known to be readable. Initially zero. */
struct os_stack {
    uintptr_t low;
    uintptr_t high;
    uintptr_t hole; /* below that: a page that was not readable; 0: none */
};

enum os_unwinder { OS_UNWINDER_TABLES, OS_UNWINDER_FRAME_POINTERS };

/* How the frames are found. */
enum os_unwinder os_unwinder(void);

/* How many of the first frames are in the shared library that contains this code, and may be left out. */
unsigned os_stack_own(const uintptr_t *frames, unsigned count);

/* Stores up to `most` return addresses, innermost first, and returns how many. *cut: the outermost was not reached. A
 * nested call (in a signal handler) finds none and sets *cut. */
unsigned os_stack_walk(struct os_stack *stack, uintptr_t *frames, unsigned most, bool *cut);
