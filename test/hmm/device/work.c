/*
 * work.c - what a device does with HMM. Its status, 0 or the number of what went wrong first, is where it ends.
 */
#include "device.h"

#include "hmm.h"

static _Alignas(16) unsigned char buffer[65536];
static void *blocks[400];
static int told; /* the fault that is wanted comes next */

static void tell(const char *line) {
    static const char start[] = "mems: HmmFree(";
    for (unsigned i = 0; i < sizeof start - 1; i++) {
        if (line[i] != start[i]) {
            device_leave(9);
        }
    }
    device_leave(told ? 0 : 8);
}

static int count(const struct HmmBlock *block, void *context) {
    *(int *)context += block->state == HMM_USED;
    return 0;
}

int device_work(void) {
    if (HmmAlloc(10) != NULL) {
        return 1; /* there is no memory yet */
    }
    if (HmmUseBuffer(buffer, sizeof buffer) != 0) {
        return 2;
    }
    for (int round = 0; round < 50; round++) {
        int filled = 0;
        for (int i = 0; i < 400; i++) {
            unsigned char *block = HmmCalloc(1, (unsigned)(i * 7 + round) % 300);
            blocks[i] = HmmRealloc(block, (unsigned)(i * 13 + round) % 400 + 1);
            if (blocks[i] == NULL) {
                HmmFree(block);
            } else {
                filled++;
            }
        }
        int used = 0;
        if (HmmWalk(count, &used) != 0 || used != filled || filled < 200) {
            return 3;
        }
        for (int i = 0; i < 400; i++) {
            HmmFree(blocks[(i * 7 + round) % 400]);
        }
        struct HmmStats stats;
        HmmTrim();
        HmmStats(&stats);
        if (stats.used_blocks != 0 || stats.free_blocks > 1 || stats.region > 64) {
            return 4;
        }
    }
    void *block = HmmAlignedAlloc(1024, 100);
    if (block == NULL || (uintptr_t)block % 1024 != 0) {
        return 5;
    }
    HmmSetFaultHandler(tell);
    HmmFree(block);
    told = 1;
    HmmFree(block);
    return 6;
}
