/*
 * cache_lines.h - counts the writes that move cache lines between threads, in code compiled for it.
 *
 * Sources compiled with -fsanitize=thread call a function before each access to memory, and for each atomic operation.
 * cache_lines.c has these functions, in place of ThreadSanitizer's. It keeps for each line of 64 bytes who wrote it
 * last and who has read it since, as if each thread had its own processor, whose cache holds everything:
 *
 *   a *shared write* is one to a line that another thread has written or read since this thread last wrote it
 *   a *shared read* is one of a line that another thread has written since this thread last had it
 *
 * So it shows what would cost time with as many cores as threads, on a machine that has fewer. It does not see the
 * accesses of assembly and the C library. Locks are counted by rank (MEMS_DEBUG). Upkeep is counted apart, because its
 * passes follow the clock and not the calls; and the clock is lines_ms, because counting takes time. So the program is
 * linked with --wrap of lock_take_shared, lock_try, upkeep, upkeep_beat, os_coarse_ms.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define LINE_RANKS 16

struct line_counts {
    uint64_t writes, reads;         /* shared ones */
    uint64_t locked;                /* atomic read-modify-writes, and whatever else locks the bus on x86-64 */
    uint64_t taken[LINE_RANKS];     /* locks, by rank */
    uint64_t contended[LINE_RANKS]; /* of these: held by another thread */
};

/* The engine's coarse clock; the program sets it. */
extern _Atomic uint64_t lines_ms;

/* The calling thread's accesses count in between. */
void lines_begin(void);
void lines_end(void);

/* Over all threads, of which none may be counting: what upkeep did, or everything else. */
struct line_counts lines_total(bool upkeep);

/* "where ADDRESS WRITES LOCKED" for each place in the code, upkeep aside, with shared writes or locked instructions. */
void lines_places(FILE *stream);
