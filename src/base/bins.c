#include "bins.h"

#include "bits.h"

_Static_assert(BINS_STEPS == 16 && BINS_LEVELS == 32, "the bit sets of struct bins_map fit exactly");

void bins_place(uint64_t size, unsigned *level, unsigned *step) {
    if (size > BINS_SIZE_MAX) {
        size = BINS_SIZE_MAX;
    }
    if (size < BINS_STEPS) {
        *level = 0;
        *step = (unsigned)size;
        return;
    }
    /* The leading bit gives the level, the next BINS_STEP_BITS the step. */
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
