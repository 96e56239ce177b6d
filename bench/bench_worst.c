/*
 * bench_worst.c - sequences of calls of a heap, for bench/worst, which counts the instructions of each call.
 *
 * The sequences are deliberately bad: sizes that just do not fit the blocks looked at first, frees between two free
 * blocks, heaps that are full, in pieces, or move from piece to piece. The seed is fixed, so the numbers are the same
 * in each run. Valgrind collects counts only from counting_start to counting_stop, and count() has it write them down.
 *
 *     cc -O2 -ffreestanding -Iinclude -Isrc ... builds it with HMM's sources, whose HMM_QUICK_BYTES may be set;
 *     cc -include PEER.h defines PEER and the five functions below for another heap, to be measured the same way.
 *
 * usage: bench_worst [pieces [operations]]    with memory in this many pieces
 *        bench_worst mix [operations]         an ordinary mix instead: up to 500 live blocks of random sizes, with
 *                                             enough memory
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

#ifndef PEER
#include "hmm.h"
#define PEER "HMM"

static struct HmmHeap *heap;

/* A heap in separate pieces of memory. */
static bool peer_begin(unsigned char *start, size_t size, size_t pieces) {
    size_t piece = size / pieces / 64 * 64;
    heap = HmmHeapCreate(start, piece, NULL);
    for (size_t i = 1; i < pieces; i++) {
        if (HmmHeapAddRegion(heap, start + i * piece + 64, piece - 64) != 0) {
            return false;
        }
    }
    return heap != NULL;
}

static void *peer_alloc(size_t size) {
    return HmmHeapAlloc(heap, size);
}

static void peer_free(void *block) {
    HmmHeapFree(heap, block);
}

static void *peer_resize(void *block, size_t size) {
    return HmmHeapRealloc(heap, block, size);
}

static void *peer_align(size_t alignment, size_t size) {
    return HmmHeapAlignedAlloc(heap, alignment, size);
}
#endif

#define MEMORY ((size_t)1 << 19)
#define BLOCKS 2000

static _Alignas(4096) unsigned char memory[MEMORY];
static void *blocks[BLOCKS];
static size_t blocks_used = BLOCKS;
static uint64_t state = 1;

static size_t below(size_t limit) {
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (size_t)(state >> 33) % limit;
}

/* --- Counting ------------------------------------------------------------------------------------------------- */

static void counting_start(void) {
    CALLGRIND_ZERO_STATS;
    CALLGRIND_TOGGLE_COLLECT;
}

static void counting_stop(void) {
    CALLGRIND_TOGGLE_COLLECT;
}

/* Attributes the last count to a call of this name. */
static void count(const char *call) {
    CALLGRIND_DUMP_STATS_AT(call);
}

/* --- Calls ---------------------------------------------------------------------------------------------------- */

static void *counted_alloc(size_t size) {
    counting_start();
    void *block = peer_alloc(size);
    counting_stop();
    count(block != NULL ? "alloc" : "failing");
    return block;
}

static void counted_free(void *block) {
    counting_start();
    peer_free(block);
    counting_stop();
    count("free");
}

/* To less, or slightly more: a copy would be counted byte by byte. */
static void counted_resize(size_t i, size_t size) {
    counting_start();
    void *block = peer_resize(blocks[i], size);
    counting_stop();
    if (block == blocks[i]) {
        count("realloc");
    }
    blocks[i] = block != NULL ? block : blocks[i];
}

static void *counted_align(size_t alignment, size_t size) {
    counting_start();
    void *block = peer_align(alignment, size);
    counting_stop();
    if (block != NULL) {
        count("aligned");
    }
    return block;
}

static void free_all(void) {
    for (size_t i = 0; i < BLOCKS; i++) {
        if (blocks[i] != NULL) {
            peer_free(blocks[i]);
            blocks[i] = NULL;
        }
    }
}

/* --- Sequences ------------------------------------------------------------------------------------------------ */

/* Any magnitude up to 4 KiB, or a few similar sizes. */
static size_t some_size(bool close) {
    return close ? 1200 + 16 * below(40) : below((size_t)16 << below(9)) + 1;
}

static void at_random(size_t operations, bool close) {
    for (size_t n = 0; n < operations; n++) {
        size_t i = below(blocks_used);
        size_t what = below(20);
        if (blocks[i] == NULL) {
            blocks[i] =
                what == 0 ? counted_align((size_t)32 << below(6), some_size(close)) : counted_alloc(some_size(close));
        } else if (what < 2) {
            counted_resize(i, some_size(close));
        } else {
            counted_free(blocks[i]);
            blocks[i] = NULL;
        }
    }
}

/* Warms a heap up to its steady state. */
static void settle(size_t operations) {
    for (size_t n = 0; n < operations; n++) {
        size_t i = below(blocks_used);
        if (blocks[i] == NULL) {
            blocks[i] = peer_alloc(some_size(false));
        } else {
            peer_free(blocks[i]);
            blocks[i] = NULL;
        }
    }
}

/* Blocks of similar sizes between walls; every bin has many that are just too small. Then the walls go, one by one,
 * each between two free blocks whose neighbours in the list are elsewhere. */
static void between_walls(size_t operations) {
    size_t filled = 0;
    while (filled + 1 < BLOCKS && (blocks[filled] = peer_alloc(2000 + 16 * below(12))) != NULL) {
        if ((blocks[filled + 1] = peer_alloc(40 + 16 * below(4))) == NULL) {
            filled++;
            break;
        }
        filled += 2;
    }
    for (size_t i = 0; i < filled; i += 2) {
        peer_free(blocks[i]);
        blocks[i] = NULL;
    }
    for (size_t n = 0; n < operations / 4 && 2 * n < filled; n++) {
        void *block = counted_alloc(2000 + 16 * below(12));
        void *small = counted_alloc(24 + 16 * below(6));
        if (block != NULL) {
            counted_free(block);
        }
        if (small != NULL) {
            counted_free(small);
        }
    }
    for (size_t n = 0; n < operations / 4 && 2 * n + 1 < filled; n++) {
        size_t i = 2 * n + 1;
        counted_free(blocks[i]);
        blocks[i] = NULL;
    }
}

static void when_full(size_t operations) {
    size_t filled = 0;
    while (filled < BLOCKS && (blocks[filled] = peer_alloc(100 + below(600))) != NULL) {
        filled++;
    }
    for (size_t n = 0; n < operations; n++) {
        size_t i = below(filled);
        if (blocks[i] != NULL) {
            counted_free(blocks[i]);
        }
        blocks[i] = counted_alloc(100 + below(900));
    }
}

static void bad_sequences(size_t operations) {
    for (int round = 0; round < 2; round++) {
        at_random(operations, round != 0);
        free_all();
        between_walls(operations);
        free_all();
        when_full(operations);
        free_all();
    }
}

int main(int argc, char **arguments) {
    bool mix = argc > 1 && strcmp(arguments[1], "mix") == 0;
    size_t pieces = argc > 1 && !mix ? strtoul(arguments[1], NULL, 0) : 1;
    size_t operations = argc > 2 ? strtoul(arguments[2], NULL, 0) : 1000;
    if (!peer_begin(memory, sizeof memory, pieces)) {
        fprintf(stderr, "bench_worst: %s takes no memory in %zu pieces\n", PEER, pieces);
        return 2;
    }
    counting_start();
    counting_stop();
    count("nothing");
    if (mix) {
        blocks_used = BLOCKS / 4;
        settle(100 * operations);
        at_random(operations, false);
    } else {
        bad_sequences(operations);
    }
    return 0;
}
