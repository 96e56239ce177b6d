/*
 * core.h - what a core knows beyond memory and mappings.
 */
#ifndef MEMS_INSIGHT_CORE_H
#define MEMS_INSIGHT_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct target;

/*
 * The first address of address .. end with contents in the file, and where these end; `end` when there is none. The
 * kernel leaves holes for what was never touched; where a file has no holes, pages that are all zero are taken for
 * them.
 */
uint64_t core_data_from(struct target *target, uint64_t address, uint64_t end, uint64_t *data_end);

/* Whether the file ends before what its headers promise. */
bool core_truncated(const struct target *target);

#endif
