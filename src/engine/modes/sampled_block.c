#include "sampled_block.h"

#include <string.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "base/fault.h"
#include "engine/heaps/heap.h"
#include "engine/memory/harden_guards.h"
#include "engine/memory/huge.h"
#include "engine/memory/large.h"
#include "engine/probe.h"
#include "engine/reports/sample_report.h"
#include "engine/samples/sample.h"
#include "os/os.h"

/* Fills the slack behind a small block: neither 0 nor the end of a string. */
#define SLACK 0xb5

static void walk(struct heap *heap, struct stack_frames *frames) {
    struct os_stack unknown = {0};
    struct os_stack *stack = heap != &heap_none ? &heap->stack : &unknown;
    const unsigned depth = os_stack_walk(stack, frames->frames, STACK_DEPTH, &frames->cut);
    const unsigned own = os_stack_own(frames->frames, depth);
    frames->depth = depth - own;
    memmove(frames->frames, frames->frames + own, frames->depth * sizeof *frames->frames);
}

static void describe_site(struct heap *heap, struct sample_site *site) {
    site->event = (struct sample_event){
        .ms = os_coarse_ms(),
        .thread = heap != &heap_none ? heap->thread_number : 0,
        .pointer = (uintptr_t)__builtin_thread_pointer(),
    };
    site->frames = sample_frames_take();
    if (site->frames != NULL) {
        walk(heap, site->frames);
    }
}

void sampled_block_end(struct heap *heap, struct sample *sample) {
    struct sample_site site;
    if (sample_claim(sample)) {
        describe_site(heap, &site);
        sample_end(sample, &site);
    }
}

static size_t slack_of(const struct sample *sample) {
    return guarded_end(sample->cell) - (sample->start + sample->size);
}

NOINLINE void *sampled_block_take(struct heap *heap, size_t size, size_t alignment, uint64_t interval) {
    if (alignment > guarded_alignment_max()) {
        sample_miss();
        return NULL;
    }
    struct sample_site site;
    describe_site(heap, &site);
    struct sample *sample = sample_make(SAMPLE_SMALL, size, interval, &site);
    if (sample == NULL) {
        return NULL;
    }
    if (!guarded_open(sample->cell)) {
        sample_drop(sample);
        return NULL;
    }
    const uintptr_t end = guarded_end(sample->cell);
    const uintptr_t start = round_down(end - (size != 0 ? size : 1), alignment > GRANULE ? alignment : GRANULE);
    memset((void *)(start + size), SLACK, end - (start + size));
    sample_complete(sample, start);
    PROBE_2(sample, start, size);
    return (void *)start;
}

/* The first byte of the slack that was overwritten, or its length. */
static size_t damaged(const struct sample *sample) {
    const unsigned char *slack = (const unsigned char *)(sample->start + sample->size);
    const size_t length = slack_of(sample);
    size_t i = 0;
    while (i < length && slack[i] == SLACK) {
        i++;
    }
    return i;
}

static COLD void report_damage(const struct sample *sample, size_t at) {
    char text[160];
    struct fmt state = fmt_of(text, sizeof text);
    fmt_format(&state, "a sampled block of %u bytes, of which byte %u is not one", (uint64_t)sample->size,
               (uint64_t)(sample->size + at));
    sample_tell(sample);
    fault("free", (const void *)sample->start, "written behind its end", text);
}

NOINLINE bool sampled_block_free(struct heap *heap, void *block) {
    struct sample *sample = sample_at(block);
    if (sample == NULL || sample->start != (uintptr_t)block || !sample_claim(sample)) {
        return false;
    }
    const size_t at = damaged(sample);
    if (at != slack_of(sample)) {
        report_damage(sample, at);
    }
    struct sample_site site;
    describe_site(heap, &site);
    guarded_close(sample->cell);
    sample_end(sample, &site);
    return true;
}

/* The page behind a block's last page. */
static uintptr_t fence_of(uintptr_t start, size_t size) {
    return round_up(start + size, os_page_size());
}

/* Where a large or huge block's own memory ends, except for a guard that it already has (harden_guards.h). */
static uintptr_t end_of(void *block, size_t bytes) {
    if (guard_size() != 0) {
        return fence_of((uintptr_t)block, bytes);
    }
    if (page_map_holds(block)) {
        const struct large *large = large_of(block);
        return (uintptr_t)window_address(large->span.first + large->span.units);
    }
    return huge_end(block);
}

/* Sets the sample stored with the block (NULL: none). Returns the one before. */
static struct sample *keep(void *block, struct sample *sample) {
    if (!page_map_holds(block)) {
        return huge_keep_sample(block, sample);
    }
    struct large *large = large_of(block);
    struct sample *before = large->sample;
    large->sample = sample;
    return before;
}

/* A guard takes a system call, and another when the block ends; each may stop all threads. So only one block gets one
 * in a tick of the clock; unless all are samples, because whoever wants that is looking for a bug. */
static bool may_fence(const struct sample *sample) {
    const uint64_t ms = os_coarse_ms();
    return sample->interval == 1 || atomic_exchange_explicit(&guarded_table.fenced_ms, ms, memory_order_relaxed) != ms;
}

/* A guard in the headroom would be lost with that. */
static void keep_units(void *block) {
    if (page_map_holds(block) && large_is_ample(large_of(block))) {
        large_end_headroom(large_of(block));
    }
}

static enum guard_state try_fence(const struct sample *sample) {
    void *block = (void *)sample->start;
    const uintptr_t page = fence_of(sample->start, sample->size);
    if (!may_fence(sample)) {
        return GUARD_NONE;
    }
    keep_units(block);
    return page + os_page_size() <= end_of(block, sample->size) ? guarded_fence((void *)page) : GUARD_NONE;
}

static void fence(struct sample *sample) {
    const enum guard_state state = try_fence(sample);
    if (state == GUARD_NONE) {
        atomic_fetch_add_explicit(&guarded_table.unguarded, 1, memory_order_relaxed);
    }
    sample->behind = (uint8_t)state;
}

static bool unfence(struct sample *sample) {
    const uintptr_t page = fence_of(sample->start, sample->size);
    if (!guarded_unfence((void *)page, (enum guard_state)sample->behind)) {
        return false;
    }
    sample->behind = GUARD_NONE;
    return true;
}

NOINLINE void sampled_block_mark(struct heap *heap, void *block, size_t size, uint64_t interval) {
    struct sample_site site;
    describe_site(heap, &site);
    struct sample *sample = sample_make(page_map_holds(block) ? SAMPLE_LARGE : SAMPLE_HUGE, size, interval, &site);
    if (sample == NULL) {
        return;
    }
    sample->start = (uintptr_t)block;
    fence(sample);
    (void)keep(block, sample);
    sample_complete(sample, (uintptr_t)block);
    PROBE_2(sample, block, size);
}

bool sampled_block_end_large(struct heap *heap, struct large *large) {
    struct sample *sample = large->sample;
    if (LIKELY(sample == NULL)) {
        return true;
    }
    large->sample = NULL;
    const bool reusable = unfence(sample);
    sampled_block_end(heap, sample);
    if (!reusable) {
        large_lose_ended(large);
    }
    return reusable;
}

/* Its guard goes with its mapping. */
void sampled_block_end_huge(struct heap *heap, void *block) {
    struct sample *sample = NULL;
    if (UNLIKELY(atomic_load_explicit(&samples.huge_live, memory_order_relaxed) != 0)) {
        sample = huge_keep_sample(block, NULL);
    }
    if (sample != NULL) {
        guarded_unmap((enum guard_state)sample->behind);
        sampled_block_end(heap, sample);
    }
}

struct sample *sampled_block_loosen(void *block, bool *stays) {
    struct sample *sample = keep(block, NULL);
    *stays = sample != NULL && !unfence(sample);
    if (*stays) {
        (void)keep(block, sample);
        return NULL;
    }
    return sample;
}

void sampled_block_tighten(struct sample *sample) {
    if (sample != NULL) {
        fence(sample);
        (void)keep((void *)sample->start, sample);
    }
}
