/*
 * sample_points.h - which allocations are sampled: one per `sample` bytes (the option) on average, at random.
 *
 * A heap's beat (heap_count) counts the bytes that its thread requests, so sampling costs malloc nothing until a sample
 * is due: the next beat comes after HEAP_BEAT bytes, or at the next point. Each byte is equally likely to be a point
 * (base/exponential.h), so blocks of other heaps that the thread frees may count: a point there is ignored.
 *
 * A sample costs a small process pages, mostly of unwind tables, mapped 64 KiB at a time. So, unless all are samples,
 *
 *   - sampling begins once the engine holds (holding.h) SAMPLE_BEGIN_HELD intervals. What was allocated before is in no
 *     estimate; samples.held_before says how much was held.
 *   - while it holds less than SAMPLE_SMALL_HELD intervals, the mean interval is SAMPLE_SMALL_TIMES as long.
 *
 * Each sample records its interval, so estimates stay unbiased, although those of a small process are less certain.
 */
#pragma once

#include <stdint.h>

struct heap;

#define SAMPLE_BEGIN_HELD 4u
#define SAMPLE_SMALL_HELD 16u
#define SAMPLE_SMALL_TIMES 4u

/* A thread has taken the heap, and its first beat begins. */
void sample_points_begin(struct heap *heap);

/* Ends a beat of the heap and begins the next. Returns the mean interval if the block is to be sampled, else 0. */
uint64_t sample_points_beat(struct heap *heap);

/* In a forked child, for the heap of its thread: random numbers that differ from the parent's. */
void sample_points_fork(struct heap *heap);
