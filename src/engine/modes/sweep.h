/* sweep.h - checks slots that no call touches: with harden=full a few at a time, on slow paths; with harden=light only
 * at first and at exit, and only that free slots read as zero. So a canary is checked even if its block is never freed,
 * and a write to freed memory is found even if the slot is not used again. The thread of a heap checks that heap's
 * slabs; those of no heap are only checked at exit. */
#pragma once

#include <stddef.h>

struct heap;

/* How many calls a thread makes between steps, if it takes no slow path; and how many slots a step checks. The first
 * SWEEPS_EARLY steps check more, because most mistakes show early, and each of the first SWEEPS_AT_ONCE is followed by
 * one at the thread's next call. */
#define SWEEP_CALLS 128u
#define SWEEPS_AT_ONCE 16u
#define SWEEP_SLOTS 24u
#define SWEEP_SLOTS_EARLY 2048u
#define SWEEPS_EARLY 64u

/* How many slots are checked at exit, in some 10 ms; and when a thread ends. */
#define SWEEP_SLOTS_LAST ((size_t)1 << 20)
#define SWEEP_SLOTS_ENDING ((size_t)1 << 16)

/* The same with harden=light: the first SWEEPS_LIGHT refills of a heap check some; at exit some 0.3 ms. */
#define SWEEP_SLOTS_LIGHT 512u
#define SWEEPS_LIGHT 16u
#define SWEEP_SLOTS_LAST_LIGHT ((size_t)1 << 15)

/* With harden=light: does such a check if it is due. Call it with no lock held. */
void sweep_light(struct heap *heap, const char *operation);

/* In a forked child whose parent had several threads: with harden=light, ends all checks. */
void sweep_stop(void);

/* Checks some slots, from where the last step ended. Call it with no lock held. */
void sweep_step(struct heap *heap, const char *operation);

/* Checks the heap's slots before its thread ends; all of an arena's, with no limit, before all its blocks end. */
void sweep_ending(struct heap *heap, const char *operation);
void sweep_arena(struct heap *heap, const char *operation);

/* At exit: checks the heap's slots, and as many in slabs of no heap, up to SWEEP_SLOTS_LAST, or SWEEP_SLOTS_LAST_LIGHT
 * with harden=light. The heap may be heap_none. Waits for no lock, because a signal handler that exits may have
 * interrupted its holder. */
void sweep_all(struct heap *heap, const char *operation);
