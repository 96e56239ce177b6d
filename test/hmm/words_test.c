/*
 * words_test.c - each word of a heap in turn is overwritten in several ways, and then each function is called. Whatever
 * happens, it is a report: no crash, no endless loop, and no block that overlaps another.
 */
#include "support/test.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "hmm/heap_state.h"
#include "support/check.h"
#include "support/random.h"
#include "support/thread.h"

#define BLOCKS 34
#define POOL ((size_t)16 << 10)
#define ADDED ((size_t)2 << 10)

struct held {
    unsigned char *memory;
    size_t size;
};

/* All that a trial changes. */
static _Alignas(16) struct state {
    unsigned char pool[POOL];
    unsigned char added[ADDED];
    struct held held[BLOCKS];
} now, intact;

static struct HmmHeap *heap;
static struct random dice;
static FILE *nowhere;
static sigjmp_buf end;

enum { GOES_ON, REPORTED, CRASHED };

static void reported(const char *line) {
    (void)line;
    heap->locked = false;
    siglongjmp(end, REPORTED);
}

static void crashed(int signal) {
    (void)signal;
    siglongjmp(end, CRASHED);
}

/* --- What is called ---------------------------------------------------------------------------------------------- */

static void *check_apart(void *block, size_t size) {
    unsigned char *start = block;
    for (size_t i = 0; start != NULL && i < BLOCKS; i++) {
        const struct held *held = &now.held[i];
        CHECK(held->memory == NULL || start + size <= held->memory || start >= held->memory + held->size);
    }
    return block;
}

static void take(size_t size) {
    check_apart(HmmHeapAlloc(heap, size), size);
}

static void give(struct held *held) {
    void *block = held->memory;
    held->memory = NULL;
    HmmHeapFree(heap, block);
}

static void resize(struct held *held, size_t size) {
    void *block = held->memory;
    held->memory = NULL;
    held->memory = check_apart(HmmHeapRealloc(heap, block, size), size);
    held->size = size;
}

static int see(const struct HmmBlock *block, void *context) {
    (void)block, (void)context;
    return 0;
}

static void look(void) {
    struct HmmStats stats;
    struct hmm_row rows[HMM_ROWS];
    HmmHeapStats(heap, &stats);
    hmm_rows(heap, rows);
}

#define CALLS 9u

/* The first calls concern no block of the user's; each of the others one of three things with a block. */
static void call(size_t which) {
    struct held *held = &now.held[which < CALLS ? 0 : (which - CALLS) / 3];
    switch (which) {
    case 0:
        take(24);
        break;
    case 1:
        take(200);
        break;
    case 2:
        take(1500);
        break;
    case 3:
        take(POOL);
        break;
    case 4:
        look();
        break;
    case 5:
        HmmHeapPrintFreelist(heap, nowhere);
        break;
    case 6:
        HmmHeapWalk(heap, see, NULL);
        break;
    case 7:
        HmmHeapTrim(heap);
        break;
    case 8:
        check_apart(HmmHeapAlignedAlloc(heap, 512, 300), 300);
        break;
    default:
        if (held->memory != NULL && (which - CALLS) % 3 == 0) {
            give(held);
        } else if (held->memory != NULL) {
            resize(held, (which - CALLS) % 3 == 1 ? held->size / 3 : held->size * 2 + 40);
        }
    }
}

/* --- The trials -------------------------------------------------------------------------------------------------- */

/* A heap in two pieces with used, cached and free blocks, and one that is being cut. */
static void make_heap(void) {
    heap = HmmHeapCreate(now.pool, POOL, NULL);
    CHECK(heap != NULL && HmmHeapAddRegion(heap, now.added, ADDED) == 0);
    HmmHeapSetFaultHandler(heap, reported);
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t size = i % 3 != 0 ? random_below(&dice, 120) : 500 + random_below(&dice, 300);
        now.held[i] = (struct held){HmmHeapAlloc(heap, size), size};
        CHECK(now.held[i].memory != NULL);
    }
    for (size_t i = 1; i < BLOCKS; i += 2) {
        give(&now.held[i]);
    }
    HmmHeapTrim(heap);
    for (size_t i = 0; i < BLOCKS; i += 4) {
        give(&now.held[i]);
    }
    struct HmmStats stats;
    HmmHeapStats(heap, &stats);
    CHECK(stats.cached_blocks > 1 && stats.free_blocks > 4 && stats.used_blocks > 5 && heap->cut != NULL);
    intact = now;
}

static uintptr_t some_value(uintptr_t word, unsigned way) {
    const uintptr_t *words = (const uintptr_t *)(const void *)intact.pool;
    const uintptr_t values[] = {0,
                                ~word,
                                (uintptr_t)heap,
                                word ^ (uintptr_t)1 << random_below(&dice, 64),
                                random_below(&dice, 64),
                                word + 16,
                                (uintptr_t)now.pool + 16 * random_below(&dice, POOL / 16) + 8,
                                words[random_below(&dice, POOL / 8)]};
    return values[way];
}

#define WAYS 8u
#define STRIDE (SLOW > 1 ? 5u : 1u)

static int try_call(size_t which) {
    int result = sigsetjmp(end, 1);
    if (result == GOES_ON) {
        call(which);
        take(24);
        take(1500);
        look();
    }
    return result;
}

static size_t damage_words(unsigned char *memory, size_t size) {
    size_t reports = 0;
    uintptr_t *words = (uintptr_t *)(void *)memory;
    for (size_t word = 0; word < size / sizeof *words; word += STRIDE) {
        alarm(900); /* if a function does not end */
        for (unsigned way = 0; way < WAYS; way++) {
            uintptr_t value = some_value(words[word], way);
            for (size_t which = 0; which < CALLS + 3 * BLOCKS && value != words[word]; which++) {
                words[word] = value;
                int result = try_call(which);
                now = intact;
                CHECK(result != CRASHED);
                reports += result == REPORTED;
            }
        }
    }
    return reports;
}

static void whatever_word_is_overwritten_no_function_crashes(void) {
    const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGTRAP, SIGILL, SIGALRM};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        assert_int_not_equal(
            sigaction(signals[i], &(struct sigaction){.sa_handler = crashed, .sa_flags = SA_NODEFER}, NULL), -1);
    }
    dice = random_start();
    nowhere = fopen("/dev/null", "w");
    assert_non_null(nowhere);
    make_heap();
    size_t from = sizeof(struct HmmHeap);
    assert_true(damage_words(now.pool + from, POOL - from) > 1000 / STRIDE);
    assert_true(damage_words(now.added, ADDED) > 100 / STRIDE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(whatever_word_is_overwritten_no_function_crashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
