/*
 * roots.h - the roots: all memory that a program can use without going through a block first.
 *
 * These are the writable mappings except the heaps and their tables, what was written to others before they became
 * read-only, and each thread's registers. A thread's stack, with its TLS and control block, counts from the stack
 * pointer up; memory below belonged to functions that have returned.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "target/image.h"
#include "walk/session.h"

struct root {
    uint64_t start;
    uint64_t end;
    const struct mapping *mapping;
    const struct thread *thread; /* whose stack it is; NULL: no stack */
};

struct roots {
    struct root *roots; /* those that are no stacks first */
    size_t count;
};

/* The registers are with the target's threads. */
void roots_find(struct roots *roots, struct session *session, const struct image *image);
void roots_free(struct roots *roots);
