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
        error = area_reach(&window.inbox_links_area, INBOX_LINKS_SKEW + units * sizeof *window.inbox_links, UNIT);
    }
    if (!error) {
        error = area_reach(&window.live_map_area, LIVE_MAP_SKEW + units * LIVE_MAP_BYTES, UNIT);
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

size_t window_ahead(size_t units) {
    size_t accessible = window.units_area.accessible;
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
static size_t lay_out_tables(uintptr_t start, size_t units, uint64_t chance) {
    size_t metadata = round_up(units * UNIT / METADATA_SHARE, UNIT);
    const struct {
        struct area *area;
        size_t size;
    } tables[] = {
        {&window.page_map_area, PAGE_MAP_SKEW + units * sizeof *window.page_map},
        {&window.spans_area, units * sizeof *window.spans},
        {&window.heaps_area, HEAPS_MAX * sizeof *window.heaps},
        {&window.inbox_links_area, INBOX_LINKS_SKEW + units * sizeof *window.inbox_links},
        {&window.live_map_area, LIVE_MAP_SKEW + units * LIVE_MAP_BYTES},
        {&window.metadata_area, metadata > METADATA_AREA_MIN ? metadata : METADATA_AREA_MIN},
    };
    _Static_assert(sizeof tables / sizeof *tables * GUARD_BITS <= 64, "there is chance enough for every guard");
    uintptr_t end = start;
    for (unsigned i = 0; i < sizeof tables / sizeof *tables; i++) {
        end += WINDOW_GUARD + chance % (1u << GUARD_BITS) * UNIT;
        chance >>= GUARD_BITS;
        size_t size = round_up(tables[i].size, UNIT);
        *tables[i].area = (struct area){.start = end, .size = size};
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

static void lay_out_units(uintptr_t start, size_t units) {
    window.units_area = (struct area){.start = start, .size = units * UNIT};
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
    size_t size = lay_out_tables(0, units, chance);
    for (unsigned attempt = 0; attempt < PLACES_TRIED; attempt++) {
        uintptr_t start = random_place(window.base, size, attempt);
        if (start != 0 && os_reserve_at((void *)start, size) == 0) {
            lay_out_tables(start, units, chance);
            return 0;
        }
    }
    void *start;
    if (os_reserve(size, UNIT, &start)) {
        return ENOMEM;
    }
    lay_out_tables((uintptr_t)start, units, chance);
    return 0;
}

/* The units are aligned by the length of their guards, which saves the calls that would cut the ends off. */
static int reserve(size_t size) {
    void *start;
    size_t guarded = size + 2 * WINDOW_GUARD + UNIT;
    if (os_reserve(guarded, OS_PAGE, &start)) {
        return ENOMEM;
    }
    lay_out_units(round_up((uintptr_t)start + WINDOW_GUARD, UNIT), size >> UNIT_SHIFT);
    if (reserve_tables(size >> UNIT_SHIFT)) {
        os_unmap(start, guarded);
        return ENOMEM;
    }
    return 0;
}

/* The beginnings of all tables at a random place below the units; or none of them. */
static int claim_tables(size_t units, uint64_t chance, unsigned attempt) {
    uintptr_t start = random_place(window.base, lay_out_tables(0, units, chance), attempt);
    lay_out_tables(start, units, chance);
    if (start != 0 && reach_tables(1) == 0) {
        return 0;
    }
    const struct area *const tables[] = {&window.page_map_area, &window.spans_area, &window.inbox_links_area,
                                         &window.live_map_area};
    for (unsigned i = 0; i < sizeof tables / sizeof *tables; i++) {
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
        lay_out_units(round_down(start, UNIT), size >> UNIT_SHIFT);
        if (claim_tables(size >> UNIT_SHIFT, chance, attempt++) == 0) {
            return 0;
        }
    }
    return ENOMEM;
}

int window_start(size_t size) {
    size_t limit = os_address_limit();
    window.claimed = limit < WINDOW_DEFAULT;
    if (size == 0) {
        size = WINDOW_DEFAULT;
    }
    if (size > WINDOW_LIMIT) {
        size = WINDOW_LIMIT;
    }
    if (window.claimed) {
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
