#include "hole_list.h"

#include "base/broken.h"

static struct sub_node *hole_of(const struct tree_node *node) {
    return node != NULL ? CONTAINER_OF(node, struct sub_node, tree) : NULL;
}

static void place(size_t size, unsigned *level, unsigned *step) {
    bins_place(size / HOLE_LIST_GRAIN, level, step);
}

/* The order within a bin. */
static bool comes_before(const struct sub_node *a, const struct sub_node *b) {
    size_t a_size = sub_node_size(a);
    size_t b_size = sub_node_size(b);
    return a_size != b_size ? a_size < b_size : a->start < b->start;
}

void hole_list_insert(struct hole_list *list, struct sub_node *hole) {
    unsigned level, step;
    place(sub_node_size(hole), &level, &step);
    struct tree *bin = &list->bins[level][step];
    struct tree_node *parent = NULL;
    struct tree_node **link = &bin->root;
    while (*link != NULL) {
        parent = *link;
        link = comes_before(hole, hole_of(parent)) ? &parent->left : &parent->right;
    }
    tree_link(bin, &hole->tree, parent, link);
    bins_map_set(&list->map, level, step);
}

void hole_list_remove(struct hole_list *list, struct sub_node *hole) {
    unsigned level, step;
    place(sub_node_size(hole), &level, &step);
    tree_unlink(&list->bins[level][step], &hole->tree);
    if (list->bins[level][step].root == NULL) {
        bins_map_clear(&list->map, level, step);
    }
}

void hole_list_replace(struct hole_list *list, struct sub_node *hole, struct sub_node *to) {
    unsigned level, step;
    place(sub_node_size(hole), &level, &step);
    tree_replace(&list->bins[level][step], &hole->tree, &to->tree);
}

/* The first that fits in this bin, or NULL. */
static struct sub_node *first_that_fits(const struct tree *bin, size_t size) {
    struct sub_node *found = NULL;
    const struct tree_node *node = bin->root;
    while (node != NULL) {
        struct sub_node *hole = hole_of(node);
        if (sub_node_size(hole) >= size) {
            found = hole;
            node = node->left;
        } else {
            node = node->right;
        }
    }
    return found;
}

struct sub_node *search_free_list(const struct hole_list *list, size_t size) {
    unsigned level, step;
    place(size, &level, &step);
    struct sub_node *hole = first_that_fits(&list->bins[level][step], size);
    if (hole == NULL && bins_map_above(&list->map, &level, &step)) {
        hole = hole_of(tree_first(&list->bins[level][step]));
    }
    return hole;
}

/* The same for one bin. */
static size_t bin_each(const struct tree *bin, size_t size, size_t (*act)(struct sub_node *hole, void *context),
                       void *context) {
    size_t sum = 0;
    for (struct sub_node *hole = first_that_fits(bin, size); hole != NULL;) {
        struct sub_node *next = hole_of(tree_next(&hole->tree));
        sum += act(hole, context);
        hole = next;
    }
    return sum;
}

size_t hole_list_each(struct hole_list *list, size_t size, size_t (*act)(struct sub_node *hole, void *context),
                      void *context) {
    unsigned least, step;
    size_t sum = 0;
    place(size, &least, &step);
    for (unsigned level = BINS_LEVELS; level-- > least;) {
        for (unsigned at = BINS_STEPS; list->map.steps[level] != 0 && at-- > 0;) {
            sum += bin_each(&list->bins[level][at], size, act, context);
        }
    }
    return sum;
}

/* Adds to *count; returns what is wrong, or NULL. */
static const char *bin_flaw(const struct hole_list *list, unsigned level, unsigned step, size_t *count) {
    const struct tree *bin = &list->bins[level][step];
    if (bins_map_get(&list->map, level, step) != (bin->root != NULL)) {
        return "free list: a bit of the map is wrong";
    }
    const struct sub_node *before = NULL;
    for (const struct tree_node *node = tree_first(bin); node != NULL; node = tree_next(node)) {
        const struct sub_node *hole = hole_of(node);
        unsigned own_level, own_step;
        place(sub_node_size(hole), &own_level, &own_step);
        if (own_level != level || own_step != step) {
            return "free list: a HOLE is in the wrong bin";
        }
        if (before != NULL && !comes_before(before, hole)) {
            return "free list: two HOLEs of a bin are out of order";
        }
        const char *flaw = tree_flaw(node);
        if (flaw != NULL) {
            return flaw;
        }
        before = hole;
        ++*count;
    }
    return NULL;
}

bool hole_list_valid(const struct hole_list *list, size_t *count, const char **why) {
    *count = 0;
    for (unsigned level = 0; level < BINS_LEVELS; level++) {
        for (unsigned step = 0; step < BINS_STEPS; step++) {
            const char *flaw = bin_flaw(list, level, step, count);
            if (flaw != NULL) {
                return broken(why, flaw);
            }
        }
    }
    return true;
}
