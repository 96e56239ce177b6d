/*
 * registers.h - the general and vector registers of a stopped thread, as words in one array.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "target/target.h"

/* A leaf function may keep its variables in this many bytes below the stack pointer. */
#if defined(__x86_64__)
#define RED_ZONE 128u
#else
#define RED_ZONE 0u
#endif

/* Reads all registers of a thread that this process traces and has stopped; false when that is refused. */
bool registers_read(struct thread *thread);

/* Adds a register set of a core to a thread; the first one holds the general registers. */
void registers_add(struct thread *thread, const void *bytes, size_t size);

/* How many of its words are general registers. */
size_t registers_general(const struct thread *thread);

/* The name of the register that word `index` comes from. */
const char *register_name(size_t index);

/* Whether the thread was stopped inside a system call. Its red zone is dead then, because its arguments are in
 * registers. */
bool registers_in_call(const struct thread *thread);
