/*
 * symbols.h - names of functions, variables and virtual tables of the target, read by a child process (names.h).
 *
 * The files that have them are the target's, and may be hostile. A child that crashes, takes too much memory or too
 * long costs only names: reports lack them and are otherwise the same.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/target.h"

struct symbols;

/* Adds folders, separated by colons, where files are looked for that are not where they were when the target ran: by
 * their build id in .build-id/, by their path, or by their name. Each must have the right build id. */
void symbols_search(const char *folders);

/* Starts the child; never NULL. */
struct symbols *symbols_open(struct target *target);
void symbols_close(struct symbols *symbols);

/* The demangled name of the symbol at an address, with the offset from its start: "vtable for Foo+16". The caller frees
 * it; NULL when there is none. */
char *symbols_name(struct symbols *symbols, uint64_t address);

/* A function that an address lies in, or that has been inlined there. */
struct code_place {
    char *function; /* demangled; "FILE+0x..." or "0x..." if it is not known */
    char *file;     /* NULL: not known */
    int line;       /* 0: not known */
};

/* The functions at the address of an instruction: those inlined there first, the innermost before the others, and last
 * the one that has the code. At least one. The caller frees the texts; *count tells how many. */
struct code_place *symbols_places(struct symbols *symbols, uint64_t address, size_t *count);

/* The module of an address: where it lies, the path of its file and its build id in hexadecimal ("": not known). False
 * when there is none. */
struct code_module {
    uint64_t start;
    uint64_t end;
    const char *path; /* good until symbols_close */
    char build_id[65];
};
bool symbols_module(struct symbols *symbols, uint64_t address, struct code_module *module);
