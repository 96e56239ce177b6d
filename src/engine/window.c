#include "window.h"

#include <errno.h>

#include "os/os.h"

/* What is reserved where nothing limits it, and the most that can be asked for. */
#define WINDOW_DEFAULT ((size_t)1 << 40)
#define WINDOW_LIMIT ((size_t)1 << 46)
/* A claimed window lies this far below the mappings of the start, or a half, a quarter ... of it. */
#define CLAIM_DISTANCE ((size_t)4 << 40)
#define WINDOW_MIN ((size_t)4 << 20)

/* The units become accessible by a quarter of what there is, within these bounds. */
#define GROWTH_MIN ((size_t)1 << 20)
#define GROWTH_MAX ((size_t)64 << 20)

#define METADATA_SHARE 32u
#define METADATA_AREA_MIN ((size_t)1 << 20)

/* Between the tables and the units: a write that runs off the tables' end must not reach a block, nor one that runs
 * backwards out of a block the tables. */
#define GUARD UNIT

/*
 * A processor that sees a load whose address agrees with that of a store before it in the lower 12 bits takes them for
 * the same at first, and waits. The first units' entries, live bits and slots all begin at a page's start: these
 * offsets keep those that one malloc or free touches apart.
 */
#define PAGE_MAP_SKEW ((size_t)1088)
#define LIVE_MAP_SKEW ((size_t)2176)

struct window window;

/*
 * Reserved pages are put into cores one unit further than they are made accessible (see os_dump): so an area grows also
 * where the kernel's limit on mappings is reached.
 */
static int commit(const struct area *area, void *start, size_t size) {
    size_t left = area->size - area->accessible;
    os_dump(start, size + UNIT < left ? size + UNIT : left);
    return os_commit(start, size);
}

int area_reach(struct area *area, size_t bytes, size_t step) {
    if (bytes <= area->accessible) {
        return 0;
    }
    if (bytes > area->size) {
        return ENOMEM;
    }
    /* A step that the system refuses may still leave room for what is needed at least. */
    const size_t steps[] = {step, UNIT};
    for (unsigned i = 0; i < 2; i++) {
        size_t end = round_up(bytes, steps[i]);
        if (end > area->size) {
            end = area->size;
        }
        void *start = (void *)(area->start + area->accessible);
        size_t size = end - area->accessible;
        if ((window.claimed ? os_claim(start, size) : commit(area, start, size)) == 0) {
            area->accessible = end;
            return 0;
        }
    }
    return ENOMEM;
}

static int reach_tables(size_t units) {
    int error = area_reach(&window.page_map_area, PAGE_MAP_SKEW + units * sizeof *window.page_map, UNIT);
    if (!error) {
        error = area_reach(&window.spans_area, units * sizeof *window.spans, UNIT);
    }
    if (!error) {
        error = area_reach(&window.live_map_area, LIVE_MAP_SKEW + units * LIVE_MAP_BYTES, UNIT);
    }
    if (!error) {
        error = area_reach(&window.inbox_links_area, units * sizeof *window.inbox_links, UNIT);
    }
    return error;
}

/* The tables for the units of one step, then the units, then the news that they are there. */
static int reach_units(size_t bytes) {
    if (bytes > window.units_area.size) {
        return ENOMEM;
    }
    int error = reach_tables(bytes >> UNIT_SHIFT);
    if (!error) {
        error = area_reach(&window.units_area, bytes, UNIT);
    }
    if (!error) {
        atomic_store_explicit(&window.granules, window.units_area.accessible >> GRANULE_SHIFT, memory_order_relaxed);
    }
    return error;
}

int window_reach(size_t units) {
    size_t needed = units << UNIT_SHIFT;
    size_t accessible = window.units_area.accessible;
    if (needed <= accessible) {
        return 0;
    }
    size_t growth = round_up(accessible / 4, GROWTH_MIN);
    if (growth < GROWTH_MIN) {
        growth = GROWTH_MIN;
    }
    if (growth > GROWTH_MAX) {
        growth = GROWTH_MAX;
    }
    size_t generous = accessible + growth;
    if (generous > window.units_area.size) {
        generous = window.units_area.size;
    }
    if (generous > needed && reach_units(generous) == 0) {
        return 0;
    }
    return reach_units(needed);
}

/* Lays the areas out from `start` on and returns the bytes they take. */
static size_t lay_out(uintptr_t start, size_t units) {
    size_t metadata = round_up(units * UNIT / METADATA_SHARE, UNIT);
    struct {
        struct area *area;
        size_t size;
    } areas[] = {
        {&window.page_map_area, PAGE_MAP_SKEW + units * sizeof *window.page_map},
        {&window.spans_area, units * sizeof *window.spans},
        {&window.heaps_area, HEAPS_MAX * sizeof *window.heaps},
        {&window.live_map_area, LIVE_MAP_SKEW + units * LIVE_MAP_BYTES},
        {&window.inbox_links_area, units * sizeof *window.inbox_links},
        {&window.metadata_area, metadata > METADATA_AREA_MIN ? metadata : METADATA_AREA_MIN},
        {&window.units_area, units * UNIT},
    };
    uintptr_t end = start;
    for (unsigned i = 0; i < sizeof areas / sizeof *areas; i++) {
        if (areas[i].area == &window.units_area) {
            end += GUARD;
        }
        size_t size = round_up(areas[i].size, UNIT);
        *areas[i].area = (struct area){.start = end, .size = size};
        end += size;
    }
    window.units_reserved = units;
    window.base = window.units_area.start;
    window.page_map = (_Atomic uint32_t *)(window.page_map_area.start + PAGE_MAP_SKEW);
    window.spans = (struct span **)window.spans_area.start;
    window.heaps = (_Atomic(struct heap *) *)window.heaps_area.start;
    window.live_map = (struct live_word *)(window.live_map_area.start + LIVE_MAP_SKEW);
    window.inbox_links = (_Atomic uint32_t *)window.inbox_links_area.start;
    return end - start;
}

static int reserve(size_t size) {
    void *start;
    if (os_reserve(lay_out(0, size >> UNIT_SHIFT), UNIT, &start)) {
        return ENOMEM;
    }
    lay_out((uintptr_t)start, size >> UNIT_SHIFT);
    return 0;
}

/*
 * Where nothing may be reserved: an address well below the mappings of the moment, which the kernel hands out
 * downwards, and far enough from them that they are unlikely ever to meet. What the kernel puts there all the same is
 * left alone: os_claim never takes a mapped page, so the window just ends early.
 */
static int claim(size_t size) {
    void *probe;
    if (os_map(OS_PAGE, OS_PAGE, &probe)) {
        return ENOMEM;
    }
    os_unmap(probe, OS_PAGE);
    window.claimed = true;
    size_t total = lay_out(0, size >> UNIT_SHIFT);
    for (size_t distance = CLAIM_DISTANCE; distance > total; distance /= 2) {
        if ((uintptr_t)probe / 2 < distance) {
            continue;
        }
        uintptr_t start = (uintptr_t)probe - distance - os_random() % (distance / 4);
        lay_out(round_down(start, UNIT), size >> UNIT_SHIFT);
        if (reach_tables(1) == 0) {
            return 0;
        }
    }
    return ENOMEM;
}

int window_start(size_t size) {
    size_t limit = os_address_limit();
    if (size == 0) {
        size = WINDOW_DEFAULT;
    }
    if (size > WINDOW_LIMIT) {
        size = WINDOW_LIMIT;
    }
    if (limit < WINDOW_DEFAULT) {
        if (size > limit) {
            size = limit;
        }
        size = round_up(size < WINDOW_MIN ? WINDOW_MIN : size, UNIT);
        return claim(size);
    }
    size = round_up(size < WINDOW_MIN ? WINDOW_MIN : size, UNIT);
    while (reserve(size)) {
        size = round_up(size / 2, UNIT);
        if (size < WINDOW_MIN) {
            return ENOMEM;
        }
    }
    return 0;
}

bool window_purge(size_t first, size_t units) {
    if (os_purge(window_address(first), units << UNIT_SHIFT) != 0) {
        return false;
    }
    size_t page = os_page_size();
    uintptr_t map = (uintptr_t)window.live_map;
    uintptr_t start = round_up(map + first * LIVE_MAP_BYTES, page);
    uintptr_t end = round_down(map + (first + units) * LIVE_MAP_BYTES, page);
    if (start < end) {
        (void)os_purge((void *)start, end - start);
    }
    return true;
}
