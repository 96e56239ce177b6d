#include "window.h"

#include <errno.h>

#include "os/os.h"

/* What is reserved where nothing limits it, or PHYSICAL_SHARE times the machine's memory if that is more; and the most
 * that can be asked for. */
#define WINDOW_DEFAULT ((size_t)1 << 40)
#define PHYSICAL_SHARE 4u
#define WINDOW_LIMIT ((size_t)1 << 46)
/* A claimed window lies this far below the mappings of the start, or a half, a quarter ... of it. */
#define CLAIM_DISTANCE ((size_t)4 << 40)
#define WINDOW_MIN ((size_t)4 << 20)

/* The units become accessible by a quarter of what there is, within these bounds; by little where they are claimed,
 * since what is accessible counts then. */
#define GROWTH_MIN ((size_t)1 << 20)
#define GROWTH_MAX ((size_t)64 << 20)
#define GROWTH_CLAIMED ((size_t)256 << 10)

#define METADATA_SHARE 32u
/* Room for the heaps and magazines of some hundred threads. */
#define METADATA_AREA_MIN ((size_t)16 << 20)

/* The guard before a table is longer than WINDOW_GUARD by a random number of units with this many bits. */
#define GUARD_BITS 10u

/* The tables lie above this address. Lower ones are left to programs that can use no others. */
#define PLACE_MIN ((size_t)64 << 30)
/* Random places that are tried before the kernel may choose. */
#define PLACES_TRIED 8u

/*
 * A processor that sees a load whose address agrees with that of a store before it in the lower 12 bits takes them for
 * the same at first, and waits. The first units' entries, live bits and slots all begin at a page's start: these
 * offsets keep those that one malloc or free touches apart.
 */
#define PAGE_MAP_SKEW ((size_t)1088)
#define LIVE_MAP_SKEW ((size_t)2176)
#define INBOX_LINKS_SKEW ((size_t)3264)

struct window window;

/* The tables in the order of their addresses. */
static struct area *const tables[] = {&window.page_map_area,    &window.spans_area,    &window.heaps_area,
                                      &window.inbox_links_area, &window.live_map_area, &window.metadata_area};
#define TABLES (sizeof tables / sizeof *tables)

/* Nothing shall be reserved, whatever the limits are. */
static bool confined;

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
    int error = ENOMEM;
    for (unsigned i = 0; i < 2; i++) {
        size_t end = round_up(bytes, steps[i]);
        if (end > area->size) {
            end = area->size;
        }
        void *start = (void *)(area->start + area->accessible);
        size_t size = end - area->accessible;
        error = area->claimed ? os_claim(start, size) : commit(area, start, size);
        if (error == 0) {
            area->accessible = end;
            return 0;
        }
    }
    return error == EEXIST ? EEXIST : ENOMEM;
}

static int reach_tables(size_t units) {
    int error = area_reach(&window.page_map_area, PAGE_MAP_SKEW + units * sizeof *window.page_map, UNIT);
    if (!error) {
        error = area_reach(&window.spans_area, units * sizeof *window.spans, UNIT);
    }
    if (!error) {
        error = area_reach(&window.inbox_links_area, INBOX_LINKS_SKEW + units * sizeof *window.inbox_links, UNIT);
    }
    if (!error) {
        error = area_reach(&window.live_map_area, LIVE_MAP_SKEW + units * LIVE_MAP_BYTES, UNIT);
    }
    return error ? ENOMEM : 0;
}

static void tell_granules(void) {
    atomic_store_explicit(&window.granules, window.units_area.accessible >> GRANULE_SHIFT, memory_order_relaxed);
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
        tell_granules();
    }
    return error;
}

int window_skip(size_t units) {
    size_t bytes = window.units_area.accessible + (units << UNIT_SHIFT);
    if (bytes > window.units_area.size || reach_tables(bytes >> UNIT_SHIFT)) {
        return ENOMEM;
    }
    window.units_area.accessible = bytes;
    tell_granules();
    return 0;
}

/* By how much more than there is the units become accessible, if they can. */
static size_t growth(size_t accessible) {
    if (window_is_claimed()) {
        return GROWTH_CLAIMED;
    }
    size_t quarter = round_up(accessible / 4, GROWTH_MIN);
    return quarter < GROWTH_MIN ? GROWTH_MIN : quarter > GROWTH_MAX ? GROWTH_MAX : quarter;
}

size_t window_ahead(size_t units) {
    size_t accessible = window.units_area.accessible;
    size_t generous = accessible + growth(accessible);
    if (generous > window.units_area.size) {
        generous = window.units_area.size;
    }
    return generous >> UNIT_SHIFT > units ? generous >> UNIT_SHIFT : units;
}

int window_reach(size_t units) {
    if (units << UNIT_SHIFT <= window.units_area.accessible) {
        return 0;
    }
    size_t ahead = window_ahead(units);
    if (ahead > units && reach_units(ahead << UNIT_SHIFT) == 0) {
        return 0;
    }
    return reach_units(units << UNIT_SHIFT);
}

/* Lays the tables out from `start` on and returns the bytes that they and their guards take; `chance` decides on the
 * guards. */
static size_t lay_out_tables(uintptr_t start, size_t units, uint64_t chance, bool claimed) {
    size_t metadata = round_up(units * UNIT / METADATA_SHARE, UNIT);
    const size_t sizes[TABLES] = {
        PAGE_MAP_SKEW + units * sizeof *window.page_map,
        units * sizeof *window.spans,
        HEAPS_MAX * sizeof *window.heaps,
        INBOX_LINKS_SKEW + units * sizeof *window.inbox_links,
        LIVE_MAP_SKEW + units * LIVE_MAP_BYTES,
        metadata > METADATA_AREA_MIN ? metadata : METADATA_AREA_MIN,
    };
    _Static_assert(TABLES * GUARD_BITS <= 64, "there is chance enough for every guard");
    uintptr_t end = start;
    for (unsigned i = 0; i < TABLES; i++) {
        end += WINDOW_GUARD + chance % (1u << GUARD_BITS) * UNIT;
        chance >>= GUARD_BITS;
        size_t size = round_up(sizes[i], UNIT);
        *tables[i] = (struct area){.start = end, .size = size, .claimed = claimed};
        end += size;
    }
    window.tables_start = start;
    window.tables_size = end + WINDOW_GUARD - start;
    window.page_map = (_Atomic uint32_t *)(window.page_map_area.start + PAGE_MAP_SKEW);
    window.spans = (struct span **)window.spans_area.start;
    window.heaps = (_Atomic(struct heap *) *)window.heaps_area.start;
    window.inbox_links = (_Atomic uint32_t *)(window.inbox_links_area.start + INBOX_LINKS_SKEW);
    window.live_map = (struct live_word *)(window.live_map_area.start + LIVE_MAP_SKEW);
    return window.tables_size;
}

static void lay_out_units(uintptr_t start, size_t units, bool claimed) {
    window.units_area = (struct area){.start = start, .size = units * UNIT, .claimed = claimed};
    window.units_reserved = units;
    window.base = start;
}

/*
 * A random address for `size` bytes below `limit`, an address that the kernel has handed out: so it is one that the
 * processor, the kernel and a sanitizer allow, but for what they keep for themselves in between. The first attempt
 * looks at the whole address space, each further one at the upper half of what the one before looked at. 0 when there
 * is no such address.
 */
static uintptr_t random_place(uintptr_t limit, size_t size, unsigned attempt) {
    uintptr_t lowest = limit - (limit >> attempt);
    if (lowest < PLACE_MIN) {
        lowest = PLACE_MIN;
    }
    if (limit < lowest || limit - lowest <= size) {
        return 0;
    }
    return round_down(lowest + os_random() % (limit - lowest - size), UNIT);
}

/* Behind the units, so that window.base is known. Where no random place is free, the kernel chooses one. */
static int reserve_tables(size_t units) {
    uint64_t chance = os_random();
    size_t size = lay_out_tables(0, units, chance, false);
    for (unsigned attempt = 0; attempt < PLACES_TRIED; attempt++) {
        uintptr_t start = random_place(window.base, size, attempt);
        if (start != 0 && os_reserve_at((void *)start, size) == 0) {
            lay_out_tables(start, units, chance, false);
            return 0;
        }
    }
    void *start;
    if (os_reserve(size, UNIT, &start)) {
        return ENOMEM;
    }
    lay_out_tables((uintptr_t)start, units, chance, false);
    return 0;
}

/* The units are aligned by the length of their guards, which saves the calls that would cut the ends off. */
static int reserve(size_t size) {
    void *start;
    size_t guarded = size + 2 * WINDOW_GUARD + UNIT;
    if (os_reserve(guarded, OS_PAGE, &start)) {
        return ENOMEM;
    }
    lay_out_units(round_up((uintptr_t)start + WINDOW_GUARD, UNIT), size >> UNIT_SHIFT, false);
    if (reserve_tables(size >> UNIT_SHIFT)) {
        os_unmap(start, guarded);
        return ENOMEM;
    }
    window.guarded_start = (uintptr_t)start;
    window.guarded_size = guarded;
    return 0;
}

/* The beginnings of all tables at a random place below the units; or none of them. */
static int claim_tables(size_t units, uint64_t chance, unsigned attempt) {
    uintptr_t start = random_place(window.base, lay_out_tables(0, units, chance, true), attempt);
    lay_out_tables(start, units, chance, true);
    if (start != 0 && reach_tables(1) == 0) {
        return 0;
    }
    for (unsigned i = 0; i < TABLES; i++) {
        if (tables[i]->accessible != 0) {
            os_unmap((void *)tables[i]->start, tables[i]->accessible);
        }
    }
    return ENOMEM;
}

/*
 * Where nothing may be reserved: an address well below the mappings of the moment, which the kernel hands out
 * downwards, and far enough from them that they are unlikely ever to meet; the tables anywhere below that. What the
 * kernel puts there all the same is left alone: os_claim never takes a mapped page, so the window just ends early.
 */
static int claim(size_t size) {
    void *probe;
    if (os_map(OS_PAGE, OS_PAGE, &probe)) {
        return ENOMEM;
    }
    os_unmap(probe, OS_PAGE);
    uint64_t chance = os_random();
    unsigned attempt = 0;
    for (size_t distance = CLAIM_DISTANCE; distance > size; distance /= 2) {
        if ((uintptr_t)probe / 2 < distance) {
            continue;
        }
        uintptr_t start = (uintptr_t)probe - distance - os_random() % (distance / 4);
        lay_out_units(round_down(start, UNIT), size >> UNIT_SHIFT, true);
        if (claim_tables(size >> UNIT_SHIFT, chance, attempt++) == 0) {
            return 0;
        }
    }
    return ENOMEM;
}

static size_t default_size(void) {
    size_t ample = os_physical_memory() * PHYSICAL_SHARE;
    return ample > WINDOW_DEFAULT ? ample : WINDOW_DEFAULT;
}

/* Whether what is accessible counts, touched or not, or address space alone does. */
static bool is_limited(size_t address_limit) {
    return address_limit < WINDOW_DEFAULT || os_data_limit() != SIZE_MAX || os_strict_overcommit();
}

int window_start(size_t size) {
    size_t limit = os_address_limit();
    bool claims = confined || is_limited(limit);
    if (size == 0) {
        size = default_size();
    }
    if (size > WINDOW_LIMIT) {
        size = WINDOW_LIMIT;
    }
    if (claims && size > limit) {
        size = limit;
    }
    size = round_up(size < WINDOW_MIN ? WINDOW_MIN : size, UNIT);
    while ((claims ? claim(size) : reserve(size)) != 0) {
        size = round_up(size / 2, UNIT);
        if (size < WINDOW_MIN) {
            return ENOMEM;
        }
    }
    return 0;
}

/* Unmaps what lies between two addresses, in which an area may grow: it is claimed from now on. Whether that could be
 * done. */
static bool release(struct area *area, uintptr_t end) {
    uintptr_t start = area->start + area->accessible;
    bool released = start == end || os_unmap((void *)start, end - start) == 0;
    if (released) {
        atomic_store_explicit(&area->claimed, true, memory_order_relaxed);
    }
    return released;
}

/* Each piece that goes ends where another protection begins, so no mapping is divided. The units come first: if the
 * kernel does not let them go, all stays as it is. */
void window_confine(void) {
    confined = true;
    if (window.guarded_size == 0 || !release(&window.units_area, window.guarded_start + window.guarded_size)) {
        return;
    }
    os_unmap((void *)window.guarded_start, window.base - window.guarded_start);
    os_unmap((void *)window.tables_start, tables[0]->start - window.tables_start);
    for (unsigned i = 0; i < TABLES; i++) {
        release(tables[i], i + 1 < TABLES ? tables[i + 1]->start : window.tables_start + window.tables_size);
    }
    window.guarded_size = 0;
}

/* The pages of the live map that tell of these units alone. */
static void purge_live_map(size_t first, size_t units) {
    size_t page = os_page_size();
    uintptr_t map = (uintptr_t)window.live_map;
    uintptr_t start = round_up(map + first * LIVE_MAP_BYTES, page);
    uintptr_t end = round_down(map + (first + units) * LIVE_MAP_BYTES, page);
    if (start < end) {
        (void)os_purge((void *)start, end - start);
    }
}

bool window_purge(size_t first, size_t units) {
    if (os_purge(window_address(first), units << UNIT_SHIFT) != 0) {
        return false;
    }
    purge_live_map(first, units);
    return true;
}

int window_renew(size_t first, size_t units, bool *lost) {
    int error = os_replace(window_address(first), units << UNIT_SHIFT, lost);
    if (error == 0) {
        purge_live_map(first, units);
    }
    return error;
}

bool window_unmap(size_t first, size_t units) {
    if (os_unmap(window_address(first), units << UNIT_SHIFT) != 0) {
        return false;
    }
    purge_live_map(first, units);
    return true;
}

int window_map(size_t first, size_t units) {
    return os_claim(window_address(first), units << UNIT_SHIFT);
}

void window_retreat(size_t units) {
    struct area *map = &window.live_map_area;
    size_t needed = round_up(LIVE_MAP_SKEW + units * LIVE_MAP_BYTES, UNIT);
    window.units_area.accessible = units << UNIT_SHIFT;
    tell_granules();
    if (map->claimed && needed < map->accessible &&
        os_unmap((void *)(map->start + needed), map->accessible - needed) == 0) {
        map->accessible = needed;
    }
}
