/*
 * symbols.h - names: of functions, variables and virtual tables of the target, by libdwfl.
 *
 * Used for names alone: where there are none, reports lack them and are otherwise the same.
 */
#ifndef MEMS_INSIGHT_SYMBOLS_H
#define MEMS_INSIGHT_SYMBOLS_H

#include <stdint.h>

#include "target.h"

struct symbols;

/* Reads what modules the target has; never NULL. */
struct symbols *symbols_open(struct target *target);
void symbols_close(struct symbols *symbols);

/* The name of what lies at an address, demangled, with the distance from its start: "vtable for Foo+16". The caller
 * frees it; NULL when there is none. */
char *symbols_name(struct symbols *symbols, uint64_t address);

#endif
