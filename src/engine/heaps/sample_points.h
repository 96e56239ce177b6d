/*
 * sample_points.h - which allocations are sampled: one per `sample` bytes (the option) on average, at random.
 *
 * A heap's beat (heap_count) counts the bytes that its thread requests, and comes when a pass of upkeep is due, after
 * HEAP_BEAT bytes, or at the next sample point if that is nearer. So sampling costs malloc nothing until a sample is
 * due, and passes come after the same calls with it and without. Each byte is equally likely to be a point
 * (base/exponential.h). So blocks of other heaps that the thread frees may count too: a point there is ignored.
 *
 * A sample costs a small process pages, mostly of unwind tables. So, unless all are samples,
 *
 *   - sampling begins once the engine holds (holding.h) SAMPLE_BEGIN_HELD intervals. What was allocated before is in no
 *     estimate; samples.held_before says how much was held.
 *   - while it holds less than SAMPLE_SMALL_HELD intervals, the mean interval is SAMPLE_SMALL_TIMES as long.
 *
 * A sample takes microseconds, and makes other threads wait; a pair of malloc and free for a block longer than the
 * interval may take only tens of nanoseconds. So there is a pace: each sample of the process counts as a millisecond,
 * or as one for every SAMPLE_PACE bytes of the interval, rounded up. Their sum may be SAMPLE_AHEAD_MS ahead of the
 * clock, which is SAMPLE_BURST samples of the longest intervals. For each SAMPLE_BURST samples beyond, the mean
 * interval doubles, until the clock has caught up. With an interval below SAMPLE_PACED the user has asked for many
 * samples, and gets them.
 *
 * An interval follows from what came before, never from the block that is counted next, and each sample records its
 * own. So estimates stay unbiased, although those of a small or fast process are less certain.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "heap.h"

#define SAMPLE_BEGIN_HELD 4u
#define SAMPLE_SMALL_HELD 16u
#define SAMPLE_SMALL_TIMES 4u

#define SAMPLE_PACE ((uint64_t)1 << 17)
#define SAMPLE_AHEAD_MS 128u
#define SAMPLE_PACED ((uint64_t)64 << 10)
#define SAMPLE_BURST 8u
#define SAMPLE_DOUBLINGS 20u

/* An interval longer than this is never lengthened. */
#define SAMPLE_LONGEST ((uint64_t)1 << 35)

/* The mean interval from now on, as the option `sample`. Samples with another no longer count as ahead of the clock.
 * One thread at a time. */
void sample_points_set(uint64_t interval);

/* By how much the process's samples are ahead of the clock. */
uint64_t sample_points_ahead_ms(void);

/* A thread has taken the heap, and its first beat begins. */
void sample_points_begin(struct heap *heap);

/* Ends a beat of the heap and begins the next. Returns the mean interval if the block is to be sampled, else 0. *pass:
 * upkeep is due. */
uint64_t sample_points_beat(struct heap *heap, bool *pass);

/* Counts bytes of a block towards the next sample point, but not towards the next pass. False if the point may be among
 * them: then the beat has to count them too. */
static inline bool sample_points_skip(struct heap *heap, size_t bytes) {
    uint64_t left;
    if (__builtin_sub_overflow(heap->beat_to_sample, bytes, &left)) {
        heap->beat_to_pass += bytes;
        return false;
    }
    heap->beat_to_sample = left;
    return true;
}

/* Ends the beat with the next allocation, and leaves the next sample point and the next pass where they are. */
void sample_points_hasten(struct heap *heap);

/* In a forked child, for the heap of its thread: random numbers that differ from the parent's. */
void sample_points_fork(struct heap *heap);
