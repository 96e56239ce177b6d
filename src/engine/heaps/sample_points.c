#include "sample_points.h"

#include "base/exponential.h"
#include "engine/samples/sample.h"
#include "engine/tables/holding.h"
#include "heap.h"
#include "os/os.h"

static void begin_beat(struct heap *heap) {
    heap->beat = heap->until_sample < HEAP_BEAT ? (size_t)heap->until_sample : HEAP_BEAT;
    heap->until_beat = heap->beat;
}

/* The next sample point, if samples are taken. */
static void begin_interval(struct heap *heap, uint64_t interval) {
    heap->interval = interval;
    if (interval != 0 && heap->random == 0) {
        heap->random = os_random() | 1;
    }
    heap->until_sample = interval != 0 ? exponential_draw(exponential_random(&heap->random), interval) : UINT64_MAX;
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

/* The mean interval that is due at present. */
static uint64_t wanted(void) {
    const uint64_t interval = atomic_load_explicit(&samples.interval, memory_order_relaxed);
    const size_t held = holding_held();
    if (interval == 0 || !has_begun(interval, held)) {
        return 0;
    }
    const bool can_be_longer = interval > 1 && interval <= UINT64_MAX / SAMPLE_SMALL_TIMES;
    return can_be_longer && held / SAMPLE_SMALL_HELD < interval ? SAMPLE_SMALL_TIMES * interval : interval;
}

void sample_points_begin(struct heap *heap) {
    begin_interval(heap, wanted());
    begin_beat(heap);
}

uint64_t sample_points_beat(struct heap *heap) {
    const uint64_t counted = heap->beat - heap->until_beat;
    const uint64_t interval = heap->interval;
    /* No point falls in a block of no bytes, but with an interval of 1 every block is a sample. */
    const bool due = interval == 1 || (interval != 0 && counted > heap->until_sample);
    if (due || interval != wanted()) {
        begin_interval(heap, wanted());
    } else if (interval != 0) {
        heap->until_sample -= counted;
    }
    begin_beat(heap);
    return due && atomic_load_explicit(&samples.armed, memory_order_relaxed) ? interval : 0;
}

void sample_points_fork(struct heap *heap) {
    if (heap->random != 0) {
        heap->random = os_random() | 1;
    }
}
