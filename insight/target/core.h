/*
 * core.h - a core's contents beyond memory and mappings.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct target;

/* The first address of address .. end with contents in the file, and where these end; `end` if there is none. The
 * kernel leaves holes for memory that was never touched; in a file without holes, all-zero pages count as holes. */
uint64_t core_data_from(struct target *target, uint64_t address, uint64_t end, uint64_t *data_end);

/* Whether the file is shorter than its headers promise. */
bool core_truncated(const struct target *target);
