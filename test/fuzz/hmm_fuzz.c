/*
 * hmm_fuzz.c - HMM under libFuzzer: the input is a list of operations, carried out against the model of the heap's
 * tests, with all invariants looked at after each. The heap lives on from input to input, empty in between.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "hmm/heap.h"
#include "hmm/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(16) unsigned char buffer[(size_t)1 << 18];

static void require(int condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "hmm_fuzz: %s\n", what);
        abort();
    }
}

static void require_valid(void) {
    const char *why = "";
    require(hmm_valid(&why), why);
}

/* Four bytes are an operation: which, on which block, and with what size, of any magnitude up to 64 KiB. */
static void step(struct model *model, const uint8_t *bytes) {
    enum model_operation operation = (enum model_operation)(bytes[0] % MODEL_OPERATIONS);
    size_t alignment = (size_t)1 << bytes[0] / MODEL_OPERATIONS % 13;
    size_t size = (size_t)(bytes[2] | 0x100) << 8 >> bytes[3] % 17;
    require(model_step(model, operation, bytes[1], size + bytes[3] / 17, alignment), "a promise is broken");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct model model;
    (void)HmmUseBuffer(buffer, sizeof buffer); /* the first time */
    for (; size >= 4; data += 4, size -= 4) {
        step(&model, data);
        require_valid();
    }
    require(model_free_all(&model), "a block has changed");
    hmm_trim(0);
    require_valid();
    struct HmmStats stats;
    hmm_stats(&stats);
    require(stats.used_blocks == 0 && stats.cached_blocks == 0 && stats.free_blocks == 0, "a block is left");
    return 0;
}
