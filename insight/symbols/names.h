/* names.h - names from a target's files, by libdwfl, in the calling process, which a hostile file may crash. */
#pragma once

#include "symbols/symbols.h"

struct names;

/* For all targets: folders, separated by colons (symbols_search). */
void names_search(const char *folders);

/* Never NULL. Modules stay until the process ends. */
struct names *names_open(struct target *target);

/* As in symbols.h, but *count may be 0, and a module's path stays too. */
char *names_name(struct names *names, uint64_t address);
struct code_place *names_places(struct names *names, uint64_t address, size_t *count);
bool names_module(struct names *names, uint64_t address, struct code_module *module);
