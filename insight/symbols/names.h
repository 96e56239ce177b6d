/*
 * names.h - names from the files of a target, by libdwfl: in the process that calls it, which a hostile file may crash.
 */
#pragma once

#include "symbols/symbols.h"

struct names;

/* For all targets: folders, separated by colons (symbols_search). */
void names_search(const char *folders);

/* Finds the target's modules; never NULL. They stay until the process ends. */
struct names *names_open(struct target *target);

/* As the functions of symbols.h, but *count may be 0, and the path of a module stays too. */
char *names_name(struct names *names, uint64_t address);
struct code_place *names_places(struct names *names, uint64_t address, size_t *count);
bool names_module(struct names *names, uint64_t address, struct code_module *module);
