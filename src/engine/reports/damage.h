/* damage.h - reports of writes past a block or into a freed one, and of blocks freed by the wrong kind of function. As
 * with fault_report, the program ends or, with on_fault=report, continues after the damage is repaired. */
#pragma once

#include <stddef.h>

#include "base/compiler.h"
#include "engine/slabs/slot_record.h"

/* The canary of a block, live or just freed, of this exact size. */
COLD void damage_overflow(const char *operation, void *block, size_t size, size_t room);

/* A slot should read as zero. `record` is its last block's. */
COLD void damage_after_free(const char *operation, const struct slot *slot, unsigned record);

/* The same for a large block that reads as zero while nobody holds it. */
COLD void damage_after_free_large(const char *operation, void *start, size_t size);

/* The block came from another kind of function. Reported according to the option kinds. */
COLD void damage_kind(const char *operation, void *block, size_t size, enum origin origin);

/* A function is about to write more than the `left` bytes of a block. */
COLD void damage_ahead(const char *function, const void *address, size_t size, size_t left);
