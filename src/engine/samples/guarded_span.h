/*
 * guarded_span.h - separate pages for sampled small blocks, between inaccessible ones.
 *
 * A guarded span is a span of the window, cut into cells of a few pages, with a guard page behind each. A block ends
 * where its cell ends, as far as its alignment allows, so the first byte behind its last granule faults.
 *
 *   | cell 0: pages ... block | guard | cell 1: pages ... block | guard | ...
 *
 * An unused cell is completely inaccessible and has no memory. Guards are separate mappings (os_close_pages), because
 * gdb's gcore leaves out what follows another kind of inaccessible page in a mapping. Mappings take longer, and their
 * number is limited (guard_limits.h). So beyond that, or if samples are frequent, guards are marks in the page tables
 * (os_guard). Where the kernel allows neither, cells have no guard, and are counted.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "engine/memory/span.h"

struct sample;

#define GUARDED_CELLS_MAX 8u

/* Cells have 1, 2, 4 or 8 pages. */
#define GUARDED_KINDS 4u

/* If the option `sample` is below this, samples are frequent. */
#define GUARDED_FREQUENT ((uint64_t)512 << 10)

enum guard_state {
    GUARD_NONE,   /* accessible, or could not be changed */
    GUARD_MARKED, /* by os_guard */
    GUARD_CLOSED  /* by os_close_pages */
};

/* Cells are taken and freed under samples.lock; the states of a taken cell belong to its user. */
struct guarded {
    struct span span;
    uint32_t kind;
    uint32_t cells;
    uint32_t taken;                            /* bit i: cell i is taken */
    struct list link;                          /* among those of the kind with a free cell; otherwise by itself */
    uint8_t behind[GUARDED_CELLS_MAX];         /* enum guard_state of the page behind a cell */
    uint8_t pages[GUARDED_CELLS_MAX];          /* and of its own pages */
    bool used[GUARDED_CELLS_MAX];              /* the pages are accessible, and may not read as zero */
    struct sample *samples[GUARDED_CELLS_MAX]; /* NULL: the cell is free */
};

struct guarded_cell {
    struct guarded *of;
    unsigned index;
};

/* Under samples.lock, except what is atomic; `mappings` is only a bound (relaxed). */
struct guarded_table {
    struct list available[GUARDED_KINDS];
    uint32_t spans;
    size_t bytes; /* of these */
    uint32_t cells_taken;
    _Atomic bool marks_first; /* samples are frequent (relaxed: a choice) */
    _Atomic uint32_t mappings;
    _Atomic uint64_t fenced_ms; /* when a large or huge block last got a guard (relaxed: a choice) */
    _Atomic uint64_t unguarded; /* samples without a guard behind them */
};

extern struct guarded_table guarded_table;

void guarded_start(void);

/* The strictest alignment that a cell can have. */
size_t guarded_alignment_max(void);

/* Takes a cell for a sample of `bytes`; false if there is no memory. Under samples.lock. */
bool guarded_take(size_t bytes, struct sample *sample, struct guarded_cell *cell);

/* Makes the pages of a cell accessible; they read as zero. False if the system does not allow it. */
bool guarded_open(struct guarded_cell cell);

/* Takes a cell's memory away and makes it inaccessible, as far as the system allows. */
void guarded_close(struct guarded_cell cell);

/* In a forked child: the same for a cell that another thread was opening or closing. It is not known whether and how
 * its pages were guarded by then, and a second kind of guard on top of a first one would stay when the cell is
 * opened. */
void guarded_recover(struct guarded_cell cell);

/* Gives a cell back. Under samples.lock. */
void guarded_give(struct guarded_cell cell);

/* The bytes of a cell's pages; where these end. */
size_t guarded_size(struct guarded_cell cell);
uintptr_t guarded_end(struct guarded_cell cell);

/* The cell around an address in a unit of UNIT_SAMPLES, or ending right before it; false if there is none. */
bool guarded_find(const void *address, struct guarded_cell *cell);

/* Makes the page behind a large or huge block inaccessible; returns how. */
enum guard_state guarded_fence(void *page);

/* Makes it accessible again; false if the system does not allow it. */
bool guarded_unfence(void *page, enum guard_state state);

/* The page is about to be unmapped, with its guard. */
void guarded_unmap(enum guard_state state);

/* Frees the spans without taken cells; returns their bytes. Under samples.lock. */
size_t guarded_trim(void);

bool guarded_valid(const struct guarded *guarded, const char **why);
