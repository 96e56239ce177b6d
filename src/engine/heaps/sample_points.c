#include "sample_points.h"

#include "base/compiler.h"
#include "base/exponential.h"
#include "engine/samples/sample.h"
#include "engine/tables/holding.h"
#include "heap.h"
#include "os/os.h"

/* Begins a beat, this many bytes before the next sample point and pass. */
static void begin_beat(struct heap *heap, uint64_t until_sample, uint64_t until_pass) {
    const uint64_t until = until_sample < until_pass ? until_sample : until_pass;
    heap->beat = until < HEAP_BEAT ? (size_t)until : HEAP_BEAT;
    heap->until_beat = heap->beat;
    heap->beat_to_sample = until_sample - heap->beat;
    heap->beat_to_pass = until_pass - heap->beat;
}

/* The same before a sample point drawn with this mean interval. */
static void begin_interval(struct heap *heap, uint64_t interval, uint64_t until_pass) {
    heap->interval = interval;
    if (interval != 0 && heap->random == 0) {
        heap->random = os_random() | 1;
    }
    begin_beat(heap, interval != 0 ? exponential_draw(exponential_random(&heap->random), interval) : UINT64_MAX,
               until_pass);
}

/* Whether sampling has begun: the engine holds enough now, or has held it. */
static bool has_begun(uint64_t interval, size_t held) {
    if (atomic_load_explicit(&samples.held_before, memory_order_relaxed) != 0) {
        return true;
    }
    if (interval > 1 && held / SAMPLE_BEGIN_HELD < interval) {
        return false;
    }
    /* Relaxed: if two threads begin at once, either amount will do. */
    atomic_store_explicit(&samples.held_before, held | 1, memory_order_relaxed);
    return true;
}

/* The time at which the coarse clock has caught up with the samples taken so far. Relaxed: only a bound. */
static _Atomic uint64_t caught_up_ms;

uint64_t sample_points_ahead_ms(void) {
    const uint64_t caught_up = atomic_load_explicit(&caught_up_ms, memory_order_relaxed);
    const uint64_t now = caught_up != 0 ? os_coarse_ms() : 0;
    return caught_up > now ? caught_up - now : 0;
}

void sample_points_set(uint64_t interval) {
    if (interval != atomic_load_explicit(&samples.interval, memory_order_relaxed)) {
        atomic_store_explicit(&samples.interval, interval, memory_order_relaxed); /* heaps notice at their next beat */
        atomic_store_explicit(&caught_up_ms, 0, memory_order_relaxed);
    }
}

/* The milliseconds that a sample counts as; of a long interval, few enough for a burst. */
static uint64_t ms_per_sample(uint64_t interval) {
    const uint64_t ms = (interval - 1) / SAMPLE_PACE + 1;
    return ms < SAMPLE_AHEAD_MS / SAMPLE_BURST ? ms : SAMPLE_AHEAD_MS / SAMPLE_BURST;
}

/* How many times as long the mean interval is, with the process this far ahead. */
static uint64_t times_ahead(uint64_t interval) {
    const uint64_t ahead_ms = sample_points_ahead_ms();
    if (LIKELY(ahead_ms <= SAMPLE_AHEAD_MS)) {
        return 1;
    }
    const uint64_t doublings = (ahead_ms - SAMPLE_AHEAD_MS) / (SAMPLE_BURST * ms_per_sample(interval)) + 1;
    return UINT64_C(1) << (doublings < SAMPLE_DOUBLINGS ? doublings : SAMPLE_DOUBLINGS);
}

/* A sample is due, with which the process is further ahead of the clock. */
static void step_ahead(void) {
    const uint64_t interval = atomic_load_explicit(&samples.interval, memory_order_relaxed);
    if (interval < SAMPLE_PACED) {
        return;
    }
    const uint64_t now = os_coarse_ms();
    uint64_t before = atomic_load_explicit(&caught_up_ms, memory_order_relaxed);
    uint64_t after;
    do {
        after = (before > now ? before : now) + ms_per_sample(interval);
    } while (!atomic_compare_exchange_weak_explicit(&caught_up_ms, &before, after, memory_order_relaxed,
                                                    memory_order_relaxed));
}

/* The mean interval that is due at present. */
static uint64_t wanted(void) {
    const uint64_t interval = atomic_load_explicit(&samples.interval, memory_order_relaxed);
    const size_t held = holding_held();
    if (interval == 0 || !has_begun(interval, held)) {
        return 0;
    }
    if (interval == 1 || interval > SAMPLE_LONGEST) {
        return interval;
    }
    const uint64_t times = held / SAMPLE_SMALL_HELD < interval ? SAMPLE_SMALL_TIMES : 1;
    return times * times_ahead(interval) * interval;
}

void sample_points_begin(struct heap *heap) {
    begin_interval(heap, wanted(), HEAP_BEAT);
}

uint64_t sample_points_beat(struct heap *heap, bool *pass) {
    const uint64_t counted = heap->beat - heap->until_beat;
    const uint64_t until_sample = heap->beat + heap->beat_to_sample;
    const uint64_t until_pass = heap->beat + heap->beat_to_pass;
    const uint64_t interval = heap->interval;
    /* No point falls in a block of no bytes, but with an interval of 1 every block is a sample. */
    const bool due = interval == 1 || (interval != 0 && counted > until_sample);
    *pass = counted >= until_pass;
    const uint64_t next_pass = *pass ? HEAP_BEAT : until_pass - counted;
    if (due) {
        step_ahead();
    }
    const uint64_t next = wanted();
    if (due || interval != next || interval == 0) {
        begin_interval(heap, next, next_pass);
    } else {
        begin_beat(heap, until_sample - counted, next_pass);
    }
    return due && atomic_load_explicit(&samples.armed, memory_order_relaxed) ? interval : 0;
}

void sample_points_hasten(struct heap *heap) {
    const size_t left = heap->until_beat > 1 ? heap->until_beat - 1 : 0;
    heap->until_beat -= left;
    heap->beat -= left;
    heap->beat_to_sample += left;
    heap->beat_to_pass += left;
}

void sample_points_fork(struct heap *heap) {
    if (heap->random != 0) {
        heap->random = os_random() | 1;
    }
}
