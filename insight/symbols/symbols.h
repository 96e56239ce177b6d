/* symbols.h - names of the target's functions, variables and virtual tables, read by a child process (names.h), because
 * the target's files may be hostile. A child that crashes, takes too much memory or too long costs only names: reports
 * lack them and are otherwise the same. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/target.h"

struct symbols;

/* Adds folders, separated by colons, to search for files that are no longer where the target had them: by build id in
 * .build-id/, by path, or by name. Each must have the right build id. */
void symbols_search(const char *folders);

/* Starts the child; never NULL. */
struct symbols *symbols_open(struct target *target);
void symbols_close(struct symbols *symbols);

/* The demangled symbol at an address, with the offset from its start: "vtable for Foo+16". The caller frees it; NULL:
 * none. */
char *symbols_name(struct symbols *symbols, uint64_t address);

/* A function that contains an address, or that has been inlined there. */
struct code_place {
    char *function; /* demangled; "FILE+0x..." or "0x..." if unknown */
    char *file;     /* NULL: not known */
    int line;       /* 0: not known */
};

/* The functions at an instruction, at least one: those inlined there, innermost first, then the one that has the code.
 * The caller frees the texts. */
struct code_place *symbols_places(struct symbols *symbols, uint64_t address, size_t *count);

/* Where a module lies, its file's path, and its build id in hexadecimal ("": unknown). False: there is none. */
struct code_module {
    uint64_t start;
    uint64_t end;
    const char *path; /* good until symbols_close */
    char build_id[65];
};
bool symbols_module(struct symbols *symbols, uint64_t address, struct code_module *module);
