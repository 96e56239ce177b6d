/*
 * damage_test.c - a program writes where it must not, and goes on. Whatever and wherever it wrote, either the heap ends
 * the program with a report, or no block that it hands out overlaps another and users' data stay intact.
 */
#include "support/fresh.h"

#include <unistd.h>

#include "support/hmm_heap.h"
#include "support/thread.h"

#define BLOCKS 120
#define STEPS 600
#define TRIALS affordable(1000)

enum { REPORTED = 7 };

struct held {
    unsigned char *memory;
    size_t size;
    unsigned char mark;
};

static struct random dice;
static struct held held[BLOCKS];
static bool written;

static void reported(const char *line) {
    CHECK(written && strncmp(line, "mems: ", 6) == 0);
    _exit(REPORTED);
}

static size_t some_size(void) {
    return random_below(&dice, 4) == 0 ? 1100 + random_below(&dice, 3000) : random_below(&dice, 300);
}

static void take(struct held *block) {
    *block = (struct held){.size = some_size(), .mark = (unsigned char)random_below(&dice, 256)};
    block->memory = HmmAlloc(block->size);
    CHECK(block->memory != NULL);
    memset(block->memory, block->mark, block->size);
}

static void give(struct held *block) {
    for (size_t i = 0; i < block->size; i++) {
        CHECK(block->memory[i] == block->mark);
    }
    HmmFree(block->memory);
    block->memory = NULL;
}

static void work(unsigned steps) {
    for (; steps > 0; steps--) {
        struct held *block = &held[random_below(&dice, BLOCKS)];
        if (block->memory == NULL) {
            take(block);
        } else {
            give(block);
        }
    }
}

/* Writes zeros, text, an address in the heap, or anything over some bytes of a freed block, or over the word before
 * it. */
static void damage(unsigned char *block, size_t size) {
    size_t at = random_below(&dice, 2) == 0 ? 0 : random_below(&dice, size + 1);
    size_t length = 1 + random_below(&dice, random_below(&dice, 2) == 0 ? 24 : size + 8);
    unsigned char *from = block + at - (random_below(&dice, 3) == 0 ? 8 : 0);
    length = length < (size_t)(block + size - from) ? length : (size_t)(block + size - from);
    const struct held *other = &held[random_below(&dice, BLOCKS)];
    uintptr_t address = (uintptr_t)(other->memory != NULL ? other->memory : block) - 8;
    unsigned kind = (unsigned)random_below(&dice, 4);
    for (size_t i = 0; i < length; i++) {
        const unsigned char kinds[] = {0, 'x', (unsigned char)(address >> 8 * (i % 8)),
                                       (unsigned char)random_below(&dice, 256)};
        from[i] = kinds[kind];
    }
    written = true;
}

/* The argument is the trial's number. */
static void go_wrong(void *argument) {
    dice = (struct random){.state = *(uint64_t *)argument};
    HmmSetFaultHandler(reported);
    work(STEPS);
    struct held victim = held[random_below(&dice, BLOCKS)];
    while (victim.memory == NULL) {
        victim = held[random_below(&dice, BLOCKS)];
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if (held[i].memory == victim.memory) {
            give(&held[i]);
        }
    }
    damage(victim.memory, victim.size > 0 ? victim.size : 8);
    work(STEPS);
    for (size_t i = 0; i < BLOCKS; i++) {
        if (held[i].memory != NULL) {
            give(&held[i]);
        }
    }
    HmmTrim();
}

static void damage_is_reported_or_does_no_harm(void) {
    struct random random = random_start();
    size_t reports = 0;
    for (size_t trial = 0; trial < TRIALS; trial++) {
        uint64_t seed = random_next(&random);
        struct child_result result;
        child_run(&result, go_wrong, &seed);
        if (result.signal != 0 || (result.status != 0 && result.status != REPORTED)) {
            fail_msg("trial %zu, seed %llu: signal %d, status %d: %s", trial, (unsigned long long)seed, result.signal,
                     result.status, result.err);
        }
        reports += result.status == REPORTED;
    }
    assert_in_range(reports, TRIALS / 4, TRIALS); /* the others hit bytes that nobody reads */
}

/* --- Free blocks of one size, in a bin of their own, in two regions --------------------------------------------- */

#define SIZE 200
#define LISTED 4

static _Alignas(64) unsigned char memory[2][1 << 15];

/* Overwrites one of a free block's words: its header, link to the next or to the previous, or size. Its bin has
 * LISTED blocks, from either region in turn. */
static void overwrite(void *argument) {
    unsigned which = *(unsigned *)argument;
    struct HmmHeap *heap = HmmHeapCreate(memory[0], sizeof memory[0], NULL);
    CHECK(heap != NULL && HmmHeapAddRegion(heap, memory[1] + 3, sizeof memory[1] - 3) == 0);
    HmmHeapSetFaultHandler(heap, reported);
    unsigned char *blocks[512];
    size_t count = 0;
    while (count < 512 && (blocks[count] = HmmHeapAlloc(heap, SIZE)) != NULL) {
        count++;
    }
    unsigned char *listed[LISTED];
    for (size_t i = 0; i < LISTED; i++) {
        listed[i] = blocks[(i % 2 == 0 ? 0 : count - LISTED * 4) + 4 * (i / 2) + 1]; /* neighbours stay used */
        HmmHeapFree(heap, listed[i]);
    }
    HmmHeapTrim(heap);
    uintptr_t *word = (uintptr_t *)(void *)(listed[which % LISTED] - sizeof(uintptr_t)) + which / LISTED % 4;
    uintptr_t value = which / LISTED / 4 == 0 ? 0 : (uintptr_t)(listed[(which + 1) % LISTED] - sizeof(uintptr_t));
    *word = *word != value ? value : ~value;
    written = true;
    for (size_t i = 0; i < LISTED; i++) {
        CHECK(HmmHeapAlloc(heap, SIZE) != NULL);
    }
}

static void a_list_through_two_regions_is_proved(void) {
    for (unsigned which = 0; which < LISTED * 4 * 2; which++) {
        struct child_result result;
        child_run(&result, overwrite, &which);
        if (result.signal != 0 || result.status != REPORTED) {
            fail_msg("word %u: signal %d, status %d: %s", which, result.signal, result.status, result.err);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(damage_is_reported_or_does_no_harm),
        PLAIN(a_list_through_two_regions_is_proved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
