#include "bins.h"

#include "bits.h"
#include "fault.h"

/* A level's steps are a bit each in a uint16_t, the levels in a uint32_t. */
_Static_assert(BINS_STEPS == 16 && BINS_LEVELS == 32, "the bit sets of struct bins fit exactly");

/* How many nodes of its own bin a search looks at before it takes a larger one: a bound on the time of a hit. */
#define PROBES 4

void bins_place(uint64_t size, unsigned *level, unsigned *step) {
    if (size > BINS_SIZE_MAX) {
        size = BINS_SIZE_MAX;
    }
    if (size < BINS_STEPS) {
        *level = 0;
        *step = (unsigned)size;
        return;
    }
    /* The leading bit names the level; the BINS_STEP_BITS bits below it, the step. */
    *level = floor_log2(size) - BINS_STEP_BITS + 1;
    *step = (unsigned)(size >> (*level - 1)) - BINS_STEPS;
}

void bins_map_set(struct bins_map *map, unsigned level, unsigned step) {
    map->steps[level] = (uint16_t)(map->steps[level] | 1u << step);
    map->levels |= UINT32_C(1) << level;
}

void bins_map_clear(struct bins_map *map, unsigned level, unsigned step) {
    map->steps[level] = (uint16_t)(map->steps[level] & ~(1u << step));
    if (map->steps[level] == 0) {
        map->levels &= ~(UINT32_C(1) << level);
    }
}

bool bins_map_above(const struct bins_map *map, unsigned *level, unsigned *step) {
    uint32_t steps = map->steps[*level] & (~UINT32_C(1) << *step);
    if (steps == 0) {
        uint32_t levels = map->levels & (~UINT32_C(1) << *level);
        if (levels == 0) {
            return false;
        }
        *level = lowest_bit(levels);
        steps = map->steps[*level];
    }
    *step = lowest_bit(steps);
    return true;
}

void bins_insert(struct bins *bins, struct bins_node *node, uint64_t size) {
    ASSERT(size != 0);
    unsigned level, step;
    bins_place(size, &level, &step);
    struct bins_node **head = &bins->heads[level][step];
    node->size = size;
    node->prev = NULL;
    node->next = *head;
    if (node->next != NULL) {
        node->next->prev = node;
    }
    *head = node;
    bins_map_set(&bins->map, level, step);
}

void bins_remove(struct bins *bins, struct bins_node *node) {
    if (node->next != NULL) {
        node->next->prev = node->prev;
    }
    if (node->prev != NULL) {
        node->prev->next = node->next;
        return;
    }
    unsigned level, step;
    bins_place(node->size, &level, &step);
    ASSERT(bins->heads[level][step] == node);
    bins->heads[level][step] = node->next;
    if (node->next == NULL) {
        bins_map_clear(&bins->map, level, step);
    }
}

/* bins_find without the walk: a node that fits may be missed when no larger bin has one. */
static struct bins_node *find_quick(const struct bins *bins, uint64_t size) {
    unsigned level, step;
    bins_place(size, &level, &step);
    struct bins_node *node = bins->heads[level][step];
    for (int probe = 0; probe < PROBES && node != NULL; probe++) {
        if (node->size >= size) {
            return node;
        }
        node = node->next;
    }
    return bins_map_above(&bins->map, &level, &step) ? bins->heads[level][step] : NULL;
}

struct bins_node *bins_find(const struct bins *bins, uint64_t size) {
    struct bins_node *node = find_quick(bins, size);
    if (node != NULL) {
        return node;
    }
    unsigned level, step;
    bins_place(size, &level, &step);
    node = bins->heads[level][step];
    while (node != NULL && node->size < size) {
        node = node->next;
    }
    return node;
}

/* The nodes of one bin; NULL, or what is wrong. */
static const char *bin_flaw(const struct bins *bins, unsigned level, unsigned step) {
    const struct bins_node *prev = NULL;
    for (const struct bins_node *node = bins->heads[level][step]; node != NULL; node = node->next) {
        unsigned node_level, node_step;
        bins_place(node->size, &node_level, &node_step);
        if (node->size == 0 || node_level != level || node_step != step) {
            return "bins: a node lies in a bin that is not its size's";
        }
        if (node->prev != prev) {
            return "bins: a node is not joined to the one before it";
        }
        prev = node;
    }
    return bins_map_get(&bins->map, level, step) == (prev != NULL)
               ? NULL
               : "bins: a step bit does not tell whether its bin is empty";
}

bool bins_valid(const struct bins *bins, const char **why) {
    for (unsigned level = 0; level < BINS_LEVELS; level++) {
        if (((bins->map.levels >> level) & 1u) != (bins->map.steps[level] != 0)) {
            *why = "bins: a level bit does not tell whether its steps are empty";
            return false;
        }
        for (unsigned step = 0; step < BINS_STEPS; step++) {
            const char *flaw = bin_flaw(bins, level, step);
            if (flaw != NULL) {
                *why = flaw;
                return false;
            }
        }
    }
    return true;
}
