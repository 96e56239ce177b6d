/* saved.h - the format of `mems save`: a core with the memory that the verbs read, without users' bytes, and with two
 * notes: the process and its mappings, and which pages were resident. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "target/target.h"

/* Lines "process", "thread" and "mapping" with numbers; and an array of page_run. */
enum saved_note { SAVED_TEXT = 16, SAVED_PAGES = 17 };

/* Reads one of our notes from a core. */
void saved_read_note(struct target *target, unsigned type, const char *bytes, size_t size);

/* Writes the recorded reads of a target; ends the program if that fails. */
void saved_write(struct target *target, uint64_t now, const char *path);
