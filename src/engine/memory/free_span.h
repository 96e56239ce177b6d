/* free_span.h - free spans, ordered by size, then by address: a balanced tree, so finding the smallest span that fits
 * takes O(log n), however many are slightly too small. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/tree.h"

/* The head of the descriptor of a slab, a large block or a free span. Written under the spans' lock. */
struct span {
    uint32_t first; /* unit */
    uint32_t units;
};

/* dirty_units counts the units with entry UNIT_DIRTY, all before dirty_end. The span is in `aging` if, and only if,
 * there are any. */
struct free_span {
    struct span span; /* does not change while the span is in an index */
    uint32_t dirty_units;
    uint32_t freed_ms;     /* when its last part was freed, by the coarse clock modulo 2^32 */
    struct tree_node node; /* its tag is dirty_end */
    struct list age;       /* in spans.aging, oldest first */
};

_Static_assert(sizeof(struct free_span) == 64, "there is one for each slab and large block: it fills one cache line");

/* All zero is a valid, empty index. The caller locks. */
struct free_span_index {
    struct tree tree;
};

void free_span_insert(struct free_span_index *index, struct free_span *free);

void free_span_remove(struct free_span_index *index, struct free_span *free);

/* The smallest span of at least `units` units and, of equals, the first, which stays in the index; NULL: none. */
struct free_span *free_span_find(const struct free_span_index *index, size_t units);

/* O(number of spans). */
bool free_span_index_valid(const struct free_span_index *index, const char **why);
