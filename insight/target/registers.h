/* registers.h - a stopped thread's general and vector registers, as an array of words. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "target/target.h"

/* A leaf function may keep variables in this many bytes below the stack pointer. */
#if defined(__x86_64__)
#define RED_ZONE 128u
#else
#define RED_ZONE 0u
#endif

/* Of a thread that this process traces and has stopped; false if refused. */
bool registers_read(struct thread *thread);

/* Adds a core's register set to a thread; the first holds the general registers. */
void registers_add(struct thread *thread, const void *bytes, size_t size);

/* How many of its words are general registers. */
size_t registers_general(const struct thread *thread);

/* The register that word `index` comes from. */
const char *register_name(size_t index);

/* Stopped inside a system call, a thread has no red zone: the arguments are in registers. */
bool registers_in_call(const struct thread *thread);
