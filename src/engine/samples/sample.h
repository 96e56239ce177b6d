/*
 * sample.h - records of sampled blocks: who allocated them, when, and who freed them.
 *
 * Records are in chunks that are never freed, so that a reader from outside finds all. The life of a record:
 *
 *   UNUSED -> WRITING -> LIVE -> CLAIMED -> DEAD -> UNUSED
 *
 * Whoever changes LIVE to CLAIMED, in one atomic operation, frees the block. A dead record stays while its cell is in
 * quarantine (inaccessible, until it is the oldest of QUARANTINE_MAX or memory runs out), and while the peak needs it:
 * of the blocks that were live at the peak, the dead ones are in the list `died`, which a new peak empties.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "engine/tables/metadata.h"
#include "guarded_span.h"
#include "os/lock.h"
#include "stack_table.h"

#define QUARANTINE_MAX 512u

enum sample_state { SAMPLE_UNUSED, SAMPLE_WRITING, SAMPLE_LIVE, SAMPLE_CLAIMED, SAMPLE_DEAD };

enum sample_kind {
    SAMPLE_SMALL, /* in a cell */
    SAMPLE_LARGE, /* a large block (large.h) */
    SAMPLE_HUGE   /* a huge one (huge.h) */
};

/* Who did something, and when. */
struct sample_event {
    struct stack *stack; /* NULL: not known */
    uint64_t ms;         /* by the coarse clock */
    uint64_t thread;     /* the thread's number (heap.h); 0: a thread without a heap */
    uintptr_t pointer;   /* its thread pointer */
};

/* The same before the stack is looked up. */
struct sample_site {
    struct stack_frames *frames; /* by sample_frames_take */
    struct sample_event event;   /* all but the stack */
};

/* `state`: release when a sample is complete and live; acquire and release by whoever claims it. The rest is written by
 * the thread that owns the sample in its state, or under samples.lock. */
struct sample {
    _Atomic uint32_t state; /* enum sample_state */
    uint8_t kind;           /* enum sample_kind */
    uint8_t behind;         /* of a large or huge block: enum guard_state of the page behind it */
    bool quarantined;       /* in samples.quarantine */
    bool died;              /* in samples.died */
    uint64_t number;        /* in the order of allocation, from 1 */
    uintptr_t start;
    size_t size;       /* as requested */
    uint64_t interval; /* the mean interval at that time */
    struct sample_event allocated;
    struct sample_event freed;
    struct guarded_cell cell; /* of a small block */
    struct list link;         /* in samples.unused or samples.quarantine */
    struct list died_link;
};

/* Small chunks, so that the few samples of a small process touch few pages. */
#define SAMPLE_CHUNK ((size_t)2048)
#define SAMPLES_IN_CHUNK ((SAMPLE_CHUNK - sizeof(void *)) / sizeof(struct sample))

struct sample_chunk {
    struct sample_chunk *next;
    struct sample samples[SAMPLES_IN_CHUNK];
};

/* All under `lock` unless noted. */
struct samples {
    struct lock lock;
    _Atomic uint64_t interval;  /* mean number of bytes between samples; 0: none are taken (relaxed) */
    _Atomic size_t held_before; /* odd: about what the engine held when sampling began; 0: it has not (relaxed) */
    _Atomic bool armed;         /* the process has started up (relaxed) */
    struct sample_chunk *chunks;
    uint64_t records; /* in all chunks */
    struct list unused;
    struct list quarantine; /* the oldest first */
    struct list died;
    uint32_t quarantined;
    uint64_t number; /* of the last sample */
    uint64_t live;
    double live_bytes;           /* estimate: the sum of size / probability */
    double peak_bytes;           /* its highest value, */
    uint64_t peak_ms;            /* when that was, */
    uint64_t peak_number;        /* and the last sample taken by then */
    uint64_t missed;             /* due but not taken, for lack of memory or because of their alignment */
    size_t cells;                /* of live small samples, */
    size_t cell_bytes;           /* and of the pages of these */
    uint64_t cut;                /* samples whose stack was cut short */
    struct stack_frames *frames; /* unused ones */
    _Atomic uint64_t huge_live;
    struct stack_sums allocated;
    struct stack_sums freed;
};

extern struct samples samples;

void samples_start(void);

/* For a site that is about to become a sample, or a sample's end: that gives them back. Not on the stack, because many
 * threads and signal handlers have little of it. A forked child loses those of other threads. NULL: there is no
 * memory. */
struct stack_frames *sample_frames_take(void);

/* A record for a block of `size` bytes, with a cell if it is small. NULL, and counted, if there is no memory. */
struct sample *sample_make(enum sample_kind kind, size_t size, uint64_t interval, const struct sample_site *site);

/* The sample is live. */
void sample_complete(struct sample *sample, uintptr_t start);

/* The sample's block was not allocated after all. */
void sample_drop(struct sample *sample);

/* A sample was due but cannot be taken. */
void sample_miss(void);

/* For statistics: the number of live small samples, the bytes of their pages, and those of the rest of guarded spans,
 * which is inaccessible. */
void samples_cells(size_t *live, size_t *bytes, size_t *rest);

/* Claims a sample for the calling thread, which then frees it. Of several threads exactly one gets true. */
bool sample_claim(struct sample *sample);

/* The end of a sample that the thread has claimed. A small block's cell is already inaccessible. */
void sample_end(struct sample *sample, const struct sample_site *site);

/* The sample, live or dead, around an address in a unit of UNIT_SAMPLES, or ending right before it; NULL: none. */
struct sample *sample_at(const void *address);

static inline bool sample_is_live(const struct sample *sample) {
    return atomic_load_explicit(&sample->state, memory_order_acquire) == SAMPLE_LIVE;
}

/* Frees the guarded spans that have no cell in use. Returns their bytes. */
size_t samples_trim(void);

/* Ends the quarantine and does the same, because an allocation that would fail is worth more than these addresses. */
void samples_reclaim(void);

/* In a forked child: drops records that other threads were writing, and ends samples that they were about to free. */
void samples_recover(void);

bool samples_valid(const char **why);
