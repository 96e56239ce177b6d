/*
 * engine_fuzz.c - the engine under libFuzzer: programs of two threads (program.h) call its entry points; all invariants
 * are checked after each operation, and nothing is left at the end.
 *
 * MEMS_OPTIONS chooses a mode, and possibly a window so small that allocations fail and large blocks get their own
 * mappings. By default everything that a program requests fits.
 */
#include "program.h"

#include "engine/engine.h"
#include "engine/reports/stats.h"
#include "valid/engine_valid.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void release(struct holding *block) {
    engine_free(holding_end(block).written.memory);
}

static void release_sized(struct holding *block) {
    struct holding ended = holding_end(block);
    engine_free_sized("free_sized", ended.written.memory, ended.size, ended.alignment);
}

static void hold(struct holding *block, const struct request *request, void *memory, size_t alignment) {
    check_granted(request, memory, request->size, alignment);
    if (memory == NULL) {
        return;
    }
    size_t usable = engine_usable_size("malloc_usable_size", memory);
    CHECK(usable >= request->size);
    holding_begin(block, memory, request->size, (request->choice & 128) != 0 ? usable : request->size, alignment);
}

static void resize(struct holding *block, const struct request *request) {
    void *memory = engine_realloc("realloc", block->written.memory, request->size);
    if (memory != NULL) {
        holding_move(block, memory, request->size);
    }
    hold(block, request, memory, 0);
}

static void set_decay(const struct request *request) {
    (void)engine_option_set("decay_ms", (request->choice & 1) != 0 ? "0" : "500");
}

/* Blocks are rounded up, so the statistics exceed what was requested. */
static void check_stats(void) {
    struct mems_engine_stats stats;
    stats_collect(&stats);
    CHECK(stats.live + stats.huge_bytes >= program.held);
}

static void allocate(struct holding *block, const struct request *request) {
    release(block);
    void *memory;
    size_t alignment = 0;
    switch (request->operation) {
    case 0:
        memory = engine_alloc_zeroed(1, request->size);
        CHECK(memory == NULL || marked_zero(&(struct marked){.memory = memory, .size = request->size}));
        break;
    case 1:
        alignment = program_alignment(request);
        memory = engine_alloc_aligned(alignment, request->size);
        break;
    default:
        memory = engine_alloc(request->size);
    }
    hold(block, request, memory, alignment);
}

static void perform(struct holding *block, const struct request *request) {
    switch (request->operation) {
    case 6:
    case 7:
    case 8:
        resize(block, request);
        break;
    case 9:
    case 10:
    case 11:
        release(block);
        break;
    case 12:
        release_sized(block);
        break;
    case 13:
        engine_trim();
        break;
    case 14:
        set_decay(request);
        break;
    case 15:
        check_stats();
        break;
    default:
        allocate(block, request);
    }
}

static void trim(void) {
    engine_trim();
}

static void check(void) {
    const char *why = "no reason given";
    CHECK_OR_SAY(engine_valid(&why), why);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    program.tight = getenv("MEMS_OPTIONS") != NULL;
    if (!program.tight) {
        CHECK(engine_option_set("window", "64m") == 0);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct heap_calls heap = {perform, release, trim, check};
    program_run(&heap, data, size);
    struct mems_engine_stats stats;
    stats_collect(&stats);
    CHECK(stats.live == 0 && stats.huge_bytes == 0);
    return 0;
}
