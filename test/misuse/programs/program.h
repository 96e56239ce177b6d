/*
 * program.h - a small program with one mistake: what its kinds share. All of it is C and C++.
 *
 * A program is called as PROGRAM KIND SIZE THREADS. It does something to a block of SIZE bytes that no program may do,
 * by its first thread, or, with THREADS = 2, by another one that is given the block, and then says on standard output
 * how it went: "through" when the mistake had its effect, "harmless" when it had none. A heap that has found the
 * mistake ends it before it says anything: what it says stays in stdio's buffer until its end.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET 0x53

/* The compiler knows nothing of a pointer that has been here. */
static inline char *hidden(void *pointer) {
    __asm__ __volatile__("" : "+r"(pointer) : : "memory");
    return (char *)pointer;
}

/* A block of `size` bytes, full of secrets. */
static inline char *full(size_t size) {
    char *block = hidden(malloc(size));
    if (block == NULL) {
        exit(2);
    }
    memset(block, SECRET, size);
    return block;
}

/* How many secrets there are in `size` bytes. */
static inline size_t secrets(const char *bytes, size_t size) {
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        count += bytes[i] == SECRET;
    }
    return count;
}

/* Calls the function with the block: here, or in a new thread. */
extern bool two_threads;
void by_thread(void (*function)(char *block), char *block);
void free_by_thread(char *block);

/* A kind of mistake: returns whether it had its effect. */
struct kind {
    const char *name;
    bool (*make)(size_t size);
};
extern const struct kind frees[], writes[], reads[], sizes[];
