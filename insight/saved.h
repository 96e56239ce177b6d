/*
 * saved.h - the form of what `mems save` writes: a core that has the memory which the verbs read, and no user's bytes,
 * with two notes of our own, which tell the process, its mappings, and which pages were resident.
 */
#ifndef MEMS_INSIGHT_SAVED_H
#define MEMS_INSIGHT_SAVED_H

#include <stddef.h>
#include <stdint.h>

#include "target.h"

/* Lines of text: "process", "thread" and "mapping", with numbers; and an array of page_run. */
enum saved_note { SAVED_TEXT = 16, SAVED_PAGES = 17 };

/* Takes in one of our notes of a core. */
void saved_read_note(struct target *target, unsigned type, const char *bytes, size_t size);

/* Writes what was recorded of a target to a file; ends the program when that fails. */
void saved_write(struct target *target, uint64_t now, const char *path);

#endif
