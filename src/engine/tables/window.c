#include "window.h"

#include <errno.h>

#include "engine/probe.h"
#include "os/os.h"

/* The reservation without limits, unless PHYSICAL_SHARE times the machine's memory is more. */
#define WINDOW_DEFAULT ((size_t)1 << 40)
#define PHYSICAL_SHARE 4u
/* A claimed window lies this far below the initial mappings, or a half, a quarter ... of it. */
#define CLAIM_DISTANCE ((size_t)4 << 40)

/* Units become accessible in steps of a quarter, within these bounds; in small ones where accessible memory counts. */
#define GROWTH_MIN ((size_t)1 << 20)
#define GROWTH_MAX ((size_t)64 << 20)
#define GROWTH_CLAIMED ((size_t)256 << 10)

/* Tables of a claimed window grow in steps of this, or of a page, because they may be locked in memory. */
#define TABLE_STEP_CLAIMED (UNIT / 4)

#define METADATA_SHARE 32u
/* Enough for the heaps and magazines of some hundred threads. */
#define METADATA_AREA_MIN ((size_t)16 << 20)

/* The guard before a table is WINDOW_GUARD and a random number of units with this many bits. */
#define GUARD_BITS 9u

/* Lower addresses are left to programs that can use no others, unless the kernel itself chooses such. */
#define PLACE_MIN ((size_t)64 << 30)
/* Random places to try before the kernel chooses. */
#define PLACES_TRIED 8u

/* A load stalls if an earlier store matches it in the low 12 address bits (4K aliasing). These offsets separate the
 * first units' entries, live bits and slots, which one malloc or free touches. */
#define PAGE_MAP_SKEW ((size_t)1088)
#define LIVE_MAP_SKEW ((size_t)2176)
#define INBOX_LINKS_SKEW ((size_t)3264)

struct window window;

/* In the order of their addresses. */
static struct area *const tables[] = {&window.page_map_area,    &window.spans_area,    &window.heaps_area,
                                      &window.inbox_links_area, &window.live_map_area, &window.records_area,
                                      &window.metadata_area};
#define TABLES (sizeof tables / sizeof *tables)

/* Reserve nothing, regardless of limits. */
static bool confined;

static bool keeps_records;

/* Cores include one unit more than is accessible (see os_dump), so areas can grow at the limit of mappings. */
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
    /* If the system refuses a step, there may be room for the minimum. */
    const size_t steps[] = {step, min_size(step, UNIT)};
    int error = ENOMEM;
    for (unsigned i = 0; i < 2; i++) {
        size_t end = min_size(round_up(bytes, steps[i]), area->size);
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

size_t area_step(const struct area *table) {
    return table->claimed ? max_size(TABLE_STEP_CLAIMED, os_page_size()) : UNIT;
}

static int reach_table(struct area *area, size_t bytes) {
    return area_reach(area, bytes, area_step(area));
}

/* Bytes of a table that describe `units` units; 0 if its length does not depend on them. */
static size_t bytes_for(const struct area *table, size_t units) {
    return table == &window.page_map_area                   ? PAGE_MAP_SKEW + units * sizeof *window.page_map
           : table == &window.spans_area                    ? units * sizeof *window.spans
           : table == &window.inbox_links_area              ? INBOX_LINKS_SKEW + units * sizeof *window.inbox_links
           : table == &window.live_map_area                 ? LIVE_MAP_SKEW + units * LIVE_MAP_BYTES
           : table == &window.records_area && keeps_records ? units * RECORDS_BYTES
                                                            : 0;
}

/* The other tables grow under other locks. */
static int reach_tables(size_t units) {
    int error = 0;
    for (unsigned i = 0; i < TABLES && !error; i++) {
        const size_t bytes = bytes_for(tables[i], units);
        error = bytes != 0 ? reach_table(tables[i], bytes) : 0;
    }
    return error ? ENOMEM : 0;
}

static void tell_granules(void) {
    atomic_store_explicit(&window.granules, window.units_area.accessible >> GRANULE_SHIFT, memory_order_relaxed);
}

/* First the tables for a step's units, then the units, then their announcement. */
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

/* How much more becomes accessible, if possible. */
static size_t growth(size_t accessible) {
    if (window_is_claimed()) {
        return GROWTH_CLAIMED;
    }
    return min_size(max_size(round_up(accessible / 4, GROWTH_MIN), GROWTH_MIN), GROWTH_MAX);
}

size_t window_ahead(size_t units) {
    size_t accessible = window.units_area.accessible;
    return max_size(min_size(accessible + growth(accessible), window.units_area.size) >> UNIT_SHIFT, units);
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

static size_t metadata_size(size_t units) {
    return max_size(units * UNIT / METADATA_SHARE, METADATA_AREA_MIN);
}

/* From `start` on, with guards by `chance`. Returns the total bytes. */
static size_t lay_out_tables(uintptr_t start, size_t units, uint64_t chance, bool claimed) {
    _Static_assert(TABLES * GUARD_BITS <= 64, "there is chance enough for every guard");
    uintptr_t end = start;
    for (unsigned i = 0; i < TABLES; i++) {
        end += WINDOW_GUARD + chance % (1u << GUARD_BITS) * UNIT;
        chance >>= GUARD_BITS;
        size_t size = round_up(tables[i] == &window.heaps_area      ? HEAPS_MAX * sizeof *window.heaps
                               : tables[i] == &window.metadata_area ? metadata_size(units)
                                                                    : bytes_for(tables[i], units),
                               UNIT);
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
    window.records = keeps_records ? (_Atomic uint16_t *)window.records_area.start : NULL;
    return window.tables_size;
}

static void lay_out_units(uintptr_t start, size_t units, bool claimed) {
    window.units_area = (struct area){.start = start, .size = units * UNIT, .claimed = claimed};
    window.units_reserved = units;
    window.base = start;
}

/* A random address for `size` bytes below `limit`, or 0 if there is none. The kernel has chosen `limit`, so processor,
 * kernel and sanitizer allow what is below it, except for what they keep themselves. The first attempt draws from the
 * whole range, each further one from the upper half of the one before. */
static uintptr_t random_place(uintptr_t limit, size_t size, unsigned attempt) {
    uintptr_t lowest = max_size(limit - (limit >> attempt), min_size(limit / 2, PLACE_MIN));
    if (limit < lowest || limit - lowest <= size) {
        return 0;
    }
    return round_down(lowest + os_random() % (limit - lowest - size), UNIT);
}

/* After the units, so that window.base is known. If no random place is free, the kernel chooses. */
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

/* Aligning by the guards' length saves the calls that would cut off the ends. */
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

/* At a random place below the units; all or none. */
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

/* If nothing may be reserved: an address so far from the current mappings that later ones are unlikely to meet it; the
 * tables lie below. If they do meet, the window just ends early: os_claim never takes a mapped page. The kernel places
 * mappings downwards, so the address is below them. Where there is no room, as under valgrind, which places them
 * upwards from low addresses, it is above. */
static int claim(size_t size) {
    void *probe;
    if (os_map(OS_PAGE, OS_PAGE, &probe)) {
        return ENOMEM;
    }
    os_unmap(probe, OS_PAGE);
    const uintptr_t next = (uintptr_t)probe;
    uint64_t chance = os_random();
    unsigned attempt = 0;
    for (size_t distance = CLAIM_DISTANCE; distance > size; distance /= 2) {
        const bool below = next / 2 >= distance;
        const size_t away = distance + os_random() % (distance / 4);
        lay_out_units(round_down(below ? next - away : next + away, UNIT), size >> UNIT_SHIFT, true);
        if (claim_tables(size >> UNIT_SHIFT, chance, below ? attempt++ : 0) == 0) {
            return 0;
        }
    }
    return ENOMEM;
}

/* Whether the limit counts accessible memory, touched or not, or only address space. */
static bool is_limited(size_t address_limit) {
    return address_limit < WINDOW_DEFAULT || os_data_limit() != SIZE_MAX || os_strict_overcommit();
}

COLD int window_start(size_t size, bool records) {
    keeps_records = records;
    size_t limit = os_address_limit();
    bool claims = confined || is_limited(limit);
    if (size == 0) {
        size = max_size(os_physical_memory() * PHYSICAL_SHARE, WINDOW_DEFAULT);
    }
    size = min_size(size, claims ? min_size(limit, WINDOW_MAX) : WINDOW_MAX);
    size = round_up(max_size(size, WINDOW_MIN), UNIT);
    while ((claims ? claim(size) : reserve(size)) != 0) {
        size = round_up(size / 2, UNIT);
        if (size < WINDOW_MIN) {
            return ENOMEM;
        }
    }
    return 0;
}

/* Unmaps the range into which an area may grow, so that it is claimed from now on. */
static bool release(struct area *area, uintptr_t end) {
    uintptr_t start = area->start + area->accessible;
    bool released = start == end || os_unmap((void *)start, end - start) == 0;
    if (released) {
        atomic_store_explicit(&area->claimed, true, memory_order_relaxed);
    }
    return released;
}

/* For a table of which only `used` bytes are needed yet. */
static bool release_unused(struct area *area, size_t used, uintptr_t end) {
    const size_t before = area->accessible;
    area->accessible = min_size(before, round_up(used, os_page_size()));
    const bool released = release(area, end);
    area->accessible = released ? area->accessible : before;
    return released;
}

/* No mapping is split: a piece ends where the protection does. If the kernel refuses the units, nothing changes. */
void window_confine(size_t heaps, size_t metadata) {
    confined = true;
    if (window.guarded_size == 0 || !release(&window.units_area, window.guarded_start + window.guarded_size)) {
        return;
    }
    const size_t units = window.units_area.accessible >> UNIT_SHIFT;
    os_unmap((void *)window.guarded_start, window.base - window.guarded_start);
    os_unmap((void *)window.tables_start, tables[0]->start - window.tables_start);
    for (unsigned i = 0; i < TABLES; i++) {
        const size_t used = tables[i] == &window.heaps_area      ? heaps
                            : tables[i] == &window.metadata_area ? metadata
                                                                 : bytes_for(tables[i], units);
        release_unused(tables[i], used,
                       i + 1 < TABLES ? tables[i + 1]->start : window.tables_start + window.tables_size);
    }
    window.guarded_size = 0;
}

/* The pages that describe only these units. */
static void purge_table(uintptr_t table, size_t bytes, size_t first, size_t units) {
    size_t page = os_page_size();
    uintptr_t start = round_up(table + first * bytes, page);
    uintptr_t end = round_down(table + (first + units) * bytes, page);
    if (start < end) {
        (void)os_purge((void *)start, end - start);
    }
}

static void purge_tables(size_t first, size_t units) {
    purge_table((uintptr_t)window.live_map, LIVE_MAP_BYTES, first, units);
    if (window.records != NULL) {
        purge_table((uintptr_t)window.records, RECORDS_BYTES, first, units);
    }
}

bool window_purge(size_t first, size_t units) {
    PROBE_2(purge, window_address(first), units << UNIT_SHIFT);
    if (os_purge(window_address(first), units << UNIT_SHIFT) != 0) {
        return false;
    }
    purge_tables(first, units);
    return true;
}

int window_renew(size_t first, size_t units, bool *lost) {
    int error = os_replace(window_address(first), units << UNIT_SHIFT, lost);
    if (error == 0) {
        purge_tables(first, units);
    }
    return error;
}

bool window_unmap(size_t first, size_t units) {
    if (os_unmap(window_address(first), units << UNIT_SHIFT) != 0) {
        return false;
    }
    purge_tables(first, units);
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
