/*
 * hmm_fuzz.c - HMM under libFuzzer: the input is a list of operations that run against the model of the heap's tests;
 * all invariants are checked after each. The heap of the process survives from input to input, empty in between; inputs
 * whose first byte is odd use a heap of their own, in up to four pieces.
 */
#include <stddef.h>
#include <stdint.h>

#include "support/hmm_heap.h"
#include "support/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(16) unsigned char buffer[(size_t)1 << 18];

/* Four bytes are an operation: what, on which block, and a size of any magnitude up to 64 KiB. */
static void step(struct model *model, const uint8_t *bytes) {
    enum model_operation operation = (enum model_operation)(bytes[0] % MODEL_OPERATIONS);
    size_t alignment = (size_t)1 << bytes[0] / MODEL_OPERATIONS % 13;
    size_t size = (size_t)(bytes[2] | 0x100) << 8 >> bytes[3] % 17;
    model_step(model, operation, bytes[1], size + bytes[3] / 17, alignment);
}

/* A heap in 1 to 4 separate pieces of memory, the first one in the middle. */
static void use_own_heap(size_t pieces) {
    static _Alignas(16) unsigned char pool[4 << 14];
    const size_t piece = (1 << 14) - 48;
    hmm_under_test = HmmHeapCreate(pool + (2 << 14), piece, NULL);
    for (size_t i = 1; i < pieces; i++) {
        CHECK(HmmHeapAddRegion(hmm_under_test, pool + ((i + 2) % 4 << 14) + i, piece) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct model model = {.allocator = &allocator, .refusals = true};
    (void)HmmUseBuffer(buffer, sizeof buffer); /* succeeds the first time */
    hmm_under_test = &hmm_heap;
    bool own = size > 0 && data[0] % 2 != 0;
    if (own) {
        use_own_heap(1 + data[0] / 2 % 4);
        data++, size--;
    }
    for (; size >= 4; data += 4, size -= 4) {
        step(&model, data);
        CHECK_VALID();
    }
    model_free_all(&model);
    hmm_trim(hmm_under_test, 0);
    CHECK_VALID();
    struct HmmStats stats;
    hmm_stats(hmm_under_test, &stats);
    CHECK(stats.used_blocks == 0 && stats.cached_blocks == 0);
    CHECK(stats.free_blocks == (own ? stats.regions : 0));
    return 0;
}
