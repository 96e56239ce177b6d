/*
 * program.h - bytes as a program: operations on the blocks it holds, run on a heap by two threads and with failing
 * system calls.
 *
 * Only one of the threads works at a time, so an input does the same in every run. The second thread ends and restarts
 * when the input says so, and blocks then outlive the thread that allocated them. Blocks do not survive an input, but
 * what the heap has learned does.
 *
 * The fuzz target defines the operations (struct heap_calls). For all of them: blocks keep their contents, do not
 * overlap and are aligned, and allocations fail only if they may.
 */
#pragma once

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "input.h"
#include "os/os.h"
#include "support/check.h"
#include "support/marked.h"

#define PROGRAM_BLOCKS 256
#define PROGRAM_OPERATIONS 16

/* The program requests at most this much memory in total, and no larger alignment, except for sums that must fail. */
#define PROGRAM_BYTES ((size_t)24 << 20)
#define PROGRAM_ALIGNMENT ((size_t)1 << 22)

/* All heaps align every block to this, and to what was requested. */
#define PROGRAM_GRANULE ((size_t)16)

/* --- Blocks --------------------------------------------------------------------------------------------------- */

/* Invariant: either there is no block and all is 0, or what is written in the block is marked. */
struct holding {
    struct marked written; /* `size` bytes or more, up to the usable size */
    size_t size;           /* as requested */
    size_t alignment;      /* as requested; 0: none */
};

static struct {
    struct holding blocks[PROGRAM_BLOCKS];
    size_t held; /* bytes of all blocks, as requested */
    uint64_t marks;
    bool tight; /* the heap may be too small for everything requested */
} program;

/* Checks that no other block overlaps the `size` bytes at `memory`, which are `block`. */
static inline void check_apart(const struct holding *block, const unsigned char *memory, size_t size) {
    for (const struct holding *other = program.blocks; other < program.blocks + PROGRAM_BLOCKS; other++) {
        const struct marked *there = &other->written;
        if (other != block && there->memory != NULL) {
            CHECK(there->memory + there->size <= memory || memory + size <= there->memory);
        }
    }
}

/* Records that the block is at `memory`; the program writes `written` bytes of it. */
static inline void holding_begin(struct holding *block, void *memory, size_t size, size_t written, size_t alignment) {
    CHECK((uintptr_t)memory % (alignment > PROGRAM_GRANULE ? alignment : PROGRAM_GRANULE) == 0);
    CHECK(written >= size);
    check_apart(block, memory, written);
    *block = (struct holding){{.memory = memory, .size = written, .mark = ++program.marks}, size, alignment};
    program.held += size;
    marked_fill(&block->written);
}

/* Gives the block up, if there is one, after checking its contents. Returns it. */
static inline struct holding holding_end(struct holding *block) {
    struct holding ended = *block;
    CHECK(marked_intact(&ended.written, SIZE_MAX));
    program.held -= ended.size;
    *block = (struct holding){.size = 0};
    return ended;
}

/* Records that the block moved to `memory` with its first `kept` bytes; the caller then says what it holds. */
static inline void holding_move(struct holding *block, void *memory, size_t kept) {
    block->written.memory = block->written.memory != NULL ? memory : NULL;
    CHECK(marked_intact(&block->written, kept));
    program.held -= block->size;
    *block = (struct holding){.size = 0};
}

/* --- Requests ------------------------------------------------------------------------------------------------- */

struct request {
    unsigned operation; /* below PROGRAM_OPERATIONS */
    uint8_t choice;     /* for whatever else the operation needs */
    size_t size;        /* what the program can hold, or SIZE_MAX / 2 or more */
    bool refused;       /* a system call fails, so an allocation may fail */
};

/* Any magnitude up to some MiB, and impossible sizes. */
static inline size_t program_size(uint8_t mantissa, uint8_t magnitude) {
    unsigned exponent = magnitude % 26;
    size_t fine = magnitude / 26;
    switch (exponent) {
    case 23:
        return mantissa / 16 + fine;
    case 24:
        return (size_t)PTRDIFF_MAX + fine * 4096 + mantissa;
    case 25:
        return SIZE_MAX - fine * 4096 - mantissa;
    default: {
        size_t size = ((0x100 | (size_t)mantissa) << exponent >> 8) + fine;
        return size + program.held <= PROGRAM_BYTES ? size : size % 4096;
    }
    }
}

static inline bool size_granted(size_t size) {
    return size <= PROGRAM_BYTES;
}

/* A power of two: most are small, some impossible. */
static inline size_t program_alignment(const struct request *request) {
    unsigned shift = request->choice % 32;
    return (size_t)1 << (shift < 23 ? shift : 2 * shift);
}

/* Whether a request for this size and alignment (0: any) may have had this result and this errno, which was EDOM
 * before. */
static inline void check_granted(const struct request *request, const void *memory, size_t size, size_t alignment) {
    bool granted = size_granted(size) && alignment <= PROGRAM_ALIGNMENT;
    CHECK(errno == (memory == NULL ? ENOMEM : EDOM));
    CHECK(memory == NULL || granted);
    CHECK(memory != NULL || !granted || request->refused || program.tight);
}

/* --- The second thread ---------------------------------------------------------------------------------------- */

static struct {
    pthread_t thread;
    bool runs;
    sem_t go, done;
    void (*work)(void *); /* NULL: end */
    void *argument;
} second;

/* libFuzzer's alarm interrupts waits. */
static inline void second_wait(sem_t *semaphore) {
    while (sem_wait(semaphore) != 0) {
        CHECK(errno == EINTR);
    }
}

static inline void *second_main(void *unused) {
    (void)unused;
    for (;;) {
        second_wait(&second.go);
        if (second.work == NULL) {
            return NULL;
        }
        second.work(second.argument);
        sem_post(&second.done);
    }
}

static inline void second_run(void (*work)(void *), void *argument) {
    if (!second.runs) {
        sem_init(&second.go, 0, 0);
        sem_init(&second.done, 0, 0);
        CHECK(pthread_create(&second.thread, NULL, second_main, NULL) == 0);
        second.runs = true;
    }
    second.work = work;
    second.argument = argument;
    sem_post(&second.go);
    second_wait(&second.done);
}

static inline void second_end(void) {
    if (second.runs) {
        second.work = NULL;
        sem_post(&second.go);
        CHECK(pthread_join(second.thread, NULL) == 0);
        second.runs = false;
    }
}

/* --- The program ---------------------------------------------------------------------------------------------- */

struct heap_calls {
    void (*perform)(struct holding *block, const struct request *request); /* errno is EDOM */
    void (*free)(struct holding *block);
    void (*trim)(void);
    void (*check)(void); /* all invariants of the heap */
};

struct turn {
    const struct heap_calls *heap;
    struct holding *block;
    struct request request;
};

static inline void turn_take(void *argument) {
    struct turn *turn = argument;
    errno = EDOM;
    turn->heap->perform(turn->block, &turn->request);
}

/* Six bytes: the operation and the thread, a failing system call, a block, a choice, and a size. */
static inline void program_step(const struct heap_calls *heap, struct input *input) {
    uint8_t first = input_byte(input);
    uint8_t refusal = input_byte(input);
    struct turn turn = {.heap = heap, .block = &program.blocks[input_byte(input)]};
    turn.request.operation = first % PROGRAM_OPERATIONS;
    turn.request.refused = refusal >= 160;
    turn.request.choice = input_byte(input);
    uint8_t mantissa = input_byte(input);
    turn.request.size = program_size(mantissa, input_byte(input));

    bool elsewhere = (first >> 4) % 4 == 3;
    if (first >> 6 == 3) {
        second_end();
    }
    if (turn.request.refused) {
        uint64_t count = (refusal & 1) != 0 ? 1000 : 1;
        os_inject((enum os_call)(refusal % OS_CALLS), refusal / OS_CALLS % 3, count, ENOMEM);
    }
    if (elsewhere) {
        second_run(turn_take, &turn);
    } else {
        turn_take(&turn);
    }
    os_inject_clear();
}

static inline void turn_trim(void *argument) {
    ((struct turn *)argument)->heap->trim();
}

/* Each thread gives back what it caches, and then what the other has sent it. */
static inline void program_trim(const struct heap_calls *heap) {
    struct turn turn = {.heap = heap};
    for (int round = 0; round < 2; round++) {
        heap->trim();
        if (second.runs) {
            second_run(turn_trim, &turn);
        }
    }
    heap->trim();
}

static inline void program_run(const struct heap_calls *heap, const uint8_t *data, size_t size) {
    struct input input = {.next = data, .end = data + size};
    while (input.next < input.end) {
        program_step(heap, &input);
        heap->check();
    }
    for (size_t i = 0; i < PROGRAM_BLOCKS; i++) {
        heap->free(&program.blocks[i]);
    }
    CHECK(program.held == 0);
    program_trim(heap);
    heap->check();
}
