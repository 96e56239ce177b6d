/* tree.h - the nodes of a target's search tree (src/base/tree.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/target.h"
#include "walk/layout.h"

/* Where a structure has its node, and its children. */
struct tree_fields {
    struct field node, left, right;
};

/* The structures in the tree, in order, at most `limit`; the caller frees the array. *whole: all of it was walked, as
 * is possible for every balanced tree of that size. */
uint64_t *tree_structures(struct target *target, uint64_t root, const struct tree_fields *fields, size_t limit,
                          size_t *count, bool *whole);
