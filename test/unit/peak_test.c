/*
 * peak_test.c - before slabs raise memory to a new peak, they get what their heap has cached: large blocks, the depot.
 * Nothing decays.
 */
#include "support/fresh.h"

#include <string.h>

#include "engine/heaps/depot.h"
#include "engine/heaps/heap.h"
#include "engine/memory/large_cache.h"
#include "engine/slabs/slab.h"
#include "engine/tables/holding.h"
#include "os/os.h"
#include "support/engine_heap.h"
#include "support/engine_locked.h"

#define UNDECAYED "decay_ms=4294967295"
#define BLOCKS 4096u

static void *blocks[BLOCKS];

static void begin(void) {
    begin_heap();
    if (!os_purge_zeroes()) {
        child_cannot();
    }
}

/* A cached block that is small beside the heap serves slabs that grow; a larger one is left to large blocks. */
static void slabs_grow_into_cached_large_blocks(void) {
    begin();
    for (size_t i = 0; i < 2000; i++) {
        CHECK(engine_alloc(SMALL_MAX) != NULL);
    }
    void *larger = engine_alloc(100 * UNIT);
    engine_free(memset(engine_alloc(16 * UNIT), 1, 16 * UNIT));
    engine_free(larger);
    const size_t held = holding_held();
    CHECK_EQUAL(large_cache_units(&heap_mine->larges), 116);
    for (size_t i = 0; i < 40; i++) {
        CHECK(engine_alloc(SMALL_MAX) != NULL); /* 20 units */
    }
    CHECK_EQUAL(large_cache_units(&heap_mine->larges), 100); /* too much for so little growth */
    CHECK_AT_MOST(holding_held(), held + 8 * UNIT);
    CHECK_VALID();
}

/* The depot of a class, less than the eighth of the heap that always goes back, serves another class. */
static void slabs_grow_into_the_depot(void) {
    enum { SIZE = 16000, CACHED = 200 };
    begin();
    for (size_t i = 0; i < 1400; i++) {
        CHECK(engine_alloc(SMALL_MAX) != NULL);
    }
    for (size_t i = 0; i < CACHED; i++) {
        blocks[i] = memset(engine_alloc(SIZE), 1, SIZE);
    }
    for (size_t i = 0; i < CACHED; i++) {
        engine_free(blocks[i]);
    }
    CHECK(depot_bytes(&heap_mine->depot) >= 2 * MIB);
    const size_t held = holding_held() - slabs_absent() * OS_PAGE;
    for (size_t i = 0; i < 100; i++) {
        CHECK(engine_alloc(SMALL_MAX) != NULL);
    }
    CHECK_EQUAL(depot_bytes(&heap_mine->depot), 0);
    CHECK_AT_MOST(holding_held() - slabs_absent() * OS_PAGE, held + 2 * MIB);
    CHECK_VALID();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH_WITH(slabs_grow_into_cached_large_blocks, UNDECAYED),
        FRESH_WITH(slabs_grow_into_the_depot, UNDECAYED),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
