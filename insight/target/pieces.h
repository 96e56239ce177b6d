/*
 * pieces.h - sets of address ranges: sorted, merged, and subtracted from each other.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/target.h"

struct pieces {
    struct piece *pieces;
    size_t count;
};

/* Adds start .. end; nothing where that is empty. */
void pieces_add(struct pieces *pieces, uint64_t start, uint64_t end);

/* Ascending, and those that touch or overlap are one. */
void pieces_merge(struct pieces *pieces);

/* Whether any of the merged pieces has a part of start .. end. */
bool pieces_overlap(const struct pieces *pieces, uint64_t start, uint64_t end);

/* Visits the parts of start .. end that are in none of the merged pieces. */
void pieces_without(const struct pieces *pieces, uint64_t start, uint64_t end,
                    void (*visit)(uint64_t start, uint64_t end, void *context), void *context);

void pieces_free(struct pieces *pieces);
