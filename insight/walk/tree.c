#include "walk/tree.h"

#include "support/support.h"

/* No balanced tree that fits into memory is deeper. */
#define DEPTH_MAX 92u

uint64_t *tree_structures(struct target *target, uint64_t root, const struct tree_fields *fields, size_t limit,
                          size_t *count, bool *whole) {
    uint64_t above[DEPTH_MAX];
    unsigned depth = 0;
    uint64_t *found = NULL;
    uint64_t node = root;
    *count = 0;
    *whole = true;
    while ((node != 0 || depth != 0) && *count < limit) {
        while (node != 0 && depth < DEPTH_MAX) {
            above[depth] = node - fields->node.offset;
            *whole &= field_read(target, above[depth++], fields->left, &node);
        }
        *whole &= node == 0;
        found = grow(found, *count, sizeof *found);
        found[*count] = above[--depth];
        *whole &= field_read(target, found[(*count)++], fields->right, &node);
    }
    *whole &= node == 0 && depth == 0;
    return found;
}
