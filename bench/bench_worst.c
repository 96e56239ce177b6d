/*
 * bench_worst.c - the number of instructions that single calls of a heap take: maximum and mean.
 *
 * The processor traps after each instruction, and a signal handler counts. So the numbers are exact for the compiled
 * code, and the same in each run. x86-64 only.
 *
 * The sequences are deliberately bad: sizes that just do not fit the blocks looked at first, frees between two free
 * blocks, heaps that are full, in pieces, or move from piece to piece. The seed is fixed.
 *
 *     cc -O2 -ffreestanding -Iinclude -Isrc ... builds it with HMM's sources, whose HMM_QUICK_BYTES may be set;
 *     cc -include PEER.h defines PEER and the five functions below for another heap, to be measured the same way.
 *
 * usage: bench_worst [pieces [operations [most]]]    with memory in this many pieces; fails if a call takes more than
 *                                                   `most` instructions
 *        bench_worst mix [operations [most]]        an ordinary mix instead: up to 500 live blocks of random sizes,
 * with enough memory; fails if an allocation and a free together take more than `most` instructions on average
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "single_step.h"

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

enum operation { ALLOC, FREE, RESIZE, ALIGN, FAIL, OPERATIONS };
static const char *const names[OPERATIONS] = {"alloc", "free", "realloc", "aligned", "failing"};
static struct tally {
    uint64_t calls, total, most;
} tallies[OPERATIONS];

static void count(enum operation operation) {
    struct tally *tally = &tallies[operation];
    uint64_t taken = single_steps();
    tally->calls++;
    tally->total += taken;
    tally->most = taken > tally->most ? taken : tally->most;
}

/* --- Calls ---------------------------------------------------------------------------------------------------- */

static void *counted_alloc(size_t size) {
    single_step_start();
    void *block = peer_alloc(size);
    single_step_stop();
    count(block != NULL ? ALLOC : FAIL);
    return block;
}

static void counted_free(void *block) {
    single_step_start();
    peer_free(block);
    single_step_stop();
    count(FREE);
}

/* To less, or slightly more: a copy would be counted byte by byte. */
static void counted_resize(size_t i, size_t size) {
    single_step_start();
    void *block = peer_resize(blocks[i], size);
    single_step_stop();
    if (block == blocks[i]) {
        count(RESIZE);
    }
    blocks[i] = block != NULL ? block : blocks[i];
}

static void *counted_align(size_t alignment, size_t size) {
    single_step_start();
    void *block = peer_align(alignment, size);
    single_step_stop();
    if (block != NULL) {
        count(ALIGN);
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

static double mean(enum operation operation) {
    const struct tally *tally = &tallies[operation];
    return tally->calls > 0 ? (double)tally->total / (double)tally->calls : 0;
}

int main(int argc, char **arguments) {
    bool mix = argc > 1 && strcmp(arguments[1], "mix") == 0;
    size_t pieces = argc > 1 && !mix ? strtoul(arguments[1], NULL, 0) : 1;
    size_t operations = argc > 2 ? strtoul(arguments[2], NULL, 0) : 1000;
    uint64_t most = argc > 3 ? strtoul(arguments[3], NULL, 0) : UINT64_MAX;
    single_step_begin();
    if (!peer_begin(memory, sizeof memory, pieces)) {
        fprintf(stderr, "bench_worst: %s takes no memory in %zu pieces\n", PEER, pieces);
        return 2;
    }
    if (mix) {
        blocks_used = BLOCKS / 4;
        settle(100 * operations);
        at_random(operations, false);
    } else {
        bad_sequences(operations);
    }
    int status = mix && mean(ALLOC) + mean(FREE) > (double)most;
    printf("%-10s %10s %10s %10s\n", PEER, "calls", "mean", "most");
    for (enum operation i = 0; i < OPERATIONS; i++) {
        const struct tally *tally = &tallies[i];
        printf("%-10s %10lu %10.1f %10lu\n", names[i], (unsigned long)tally->calls, mean(i),
               (unsigned long)tally->most);
        status |= !mix && i != ALIGN && tally->most > most;
    }
    return status;
}
