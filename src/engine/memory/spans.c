#include "spans.h"

#include "base/bits.h"
#include "base/fault.h"
#include "engine/tables/metadata.h"
#include "engine/tables/page_map.h"
#include "span_age.h"

/* How many descriptors are freed at a time. */
#define DESCRIPTORS_STEP 256u

void spans_start(uint32_t decay_ms) {
    list_init(&spans.aging);
    list_init(&spans.spare);
    spans.decay_ms = decay_ms;
    spans.due_ms = SPANS_NEVER;
    spans.kept_units = KEPT_MIN_UNITS;
    spans.renewals = SIZE_MAX;
}

void spans_keep_mapped(bool keep) {
    lock_take(&spans.lock);
    atomic_store_explicit(&spans.keeps_mapped, keep, memory_order_relaxed);
    lock_give(&spans.lock);
}

void spans_allow(size_t bytes) {
    lock_take(&spans.lock);
    spans.allowed_units = bytes >> UNIT_SHIFT;
    lock_give(&spans.lock);
}

/* The indexes. These functions do not change the order of the aging list: a span that changes keeps its place. */
static void index_insert(struct free_span *free) {
    window.spans[free->span.first] = &free->span;
    window.spans[free->span.first + free->span.units - 1] = &free->span;
    free_span_insert(free->dirty_units ? &spans.dirty : &spans.fresh, free);
    spans.free_units += free->span.units;
    spans.dirty_units += free->dirty_units;
}

void spans_lift(struct free_span *free) {
    free_span_remove(free->dirty_units ? &spans.dirty : &spans.fresh, free);
    spans.free_units -= free->span.units;
    spans.dirty_units -= free->dirty_units;
}

static struct free_span *descriptor_take(void) {
    ASSERT(!list_empty(&spans.spare));
    struct free_span *free = CONTAINER_OF(spans.spare.next, struct free_span, age);
    list_remove(&free->age);
    return free;
}

/* A free span's age link is in `aging` or `spare`, or in neither and points at itself. */
void spans_discard(struct free_span *free) {
    list_remove(&free->age);
    list_push_front(&spans.spare, &free->age);
}

bool spans_descriptors_suffice(void) {
    while (spans.descriptors < spans.taken + 1 + SPANS_SPARE) {
        struct free_span *free = metadata_alloc(sizeof *free);
        if (free == NULL) {
            return false;
        }
        list_push_front(&spans.spare, &free->age);
        spans.descriptors++;
    }
    return true;
}

static struct free_span *free_span_at(size_t unit) {
    return CONTAINER_OF(window.spans[unit], struct free_span, span);
}

struct free_span *spans_free_before(size_t unit) {
    return unit > 0 && entry_is_free(page_map_load(unit - 1)) ? free_span_at(unit - 1) : NULL;
}

struct free_span *spans_free_from(size_t unit) {
    return unit < spans.top && entry_is_free(page_map_load(unit)) ? free_span_at(unit) : NULL;
}

void spans_settle(struct free_span *free, size_t first, size_t units, size_t dirty_units, size_t dirty_end) {
    if (units == 0) {
        spans_discard(free);
        return;
    }
    free->span = (struct span){.first = (uint32_t)first, .units = (uint32_t)units};
    free->dirty_units = (uint32_t)dirty_units;
    free->node.tag = (uint32_t)min_size(dirty_end, first + units);
    if (dirty_units == 0) {
        list_remove(&free->age);
    }
    index_insert(free);
}

void spans_release(size_t first, size_t units, size_t dirty_units, uint64_t since_ms, bool aged) {
    struct free_span *before = spans_free_before(first);
    struct free_span *after = spans_free_from(first + units);
    struct free_span *whole = NULL; /* the descriptor that stays */
    size_t largest = dirty_units;
    size_t end = first + units;
    size_t dirty_end = dirty_units ? end : 0;
    if (before != NULL) {
        spans_lift(before);
        first = before->span.first;
        dirty_units += before->dirty_units;
        dirty_end = max_size(dirty_end, before->node.tag);
        if (before->dirty_units > largest) {
            largest = before->dirty_units;
            whole = before;
        }
    }
    if (after != NULL) {
        spans_lift(after);
        end += after->span.units;
        dirty_units += after->dirty_units;
        dirty_end = after->dirty_units ? after->node.tag : dirty_end;
        if (after->dirty_units > largest) {
            whole = after;
        }
    }
    if (whole == NULL) {
        whole = before != NULL ? before : after != NULL ? after : descriptor_take();
        list_remove(&whole->age);
        if (dirty_units) {
            whole->freed_ms = (uint32_t)since_ms;
            list_insert_after(aged ? &spans.aging : spans.aging.prev, &whole->age);
        }
    }
    if (before != NULL && before != whole) {
        spans_discard(before);
    }
    if (after != NULL && after != whole) {
        spans_discard(after);
    }
    spans_settle(whole, first, end - first, dirty_units, dirty_end);
    spans_set_due();
}

size_t spans_dirty_within(const struct free_span *free, size_t first, size_t units) {
    if (free->dirty_units == free->span.units) {
        return units;
    }
    size_t end = min_size(first + units, free->node.tag);
    return free->dirty_units != 0 && first < end ? page_map_count(first, end - first, UNIT_DIRTY) : 0;
}

bool spans_carve(struct free_span *free, size_t first, size_t units) {
    size_t end = free->span.first + free->span.units;
    size_t head = first - free->span.first;
    size_t tail = end - (first + units);
    size_t dirty_end = free->node.tag;
    size_t taken_dirty = spans_dirty_within(free, first, units);
    /* Count the shorter one. */
    size_t head_dirty = head <= tail ? spans_dirty_within(free, free->span.first, head) : 0;
    size_t tail_dirty =
        head <= tail ? free->dirty_units - taken_dirty - head_dirty : spans_dirty_within(free, first + units, tail);
    head_dirty = free->dirty_units - taken_dirty - tail_dirty;
    spans_lift(free);
    if (head && tail) {
        struct free_span *rest = descriptor_take();
        rest->freed_ms = free->freed_ms;
        if (tail_dirty) {
            list_insert_after(&free->age, &rest->age);
        }
        spans_settle(rest, first + units, tail, tail_dirty, dirty_end);
        spans_settle(free, free->span.first, head, head_dirty, dirty_end);
    } else if (head) {
        spans_settle(free, free->span.first, head, head_dirty, dirty_end);
    } else {
        spans_settle(free, first + units, tail, tail_dirty, dirty_end);
    }
    spans_set_due();
    return taken_dirty == 0;
}

void spans_trim_descriptors(void) {
    bool more = true;
    while (more) {
        /* A few at a time, so that others need not wait long. */
        struct list unneeded;
        list_init(&unneeded);
        lock_take(&spans.lock);
        for (unsigned i = 0; i < DESCRIPTORS_STEP && more; i++) {
            more = spans.descriptors > spans.taken + SPANS_SPARE && !list_empty(&spans.spare);
            if (more) {
                struct list *link = spans.spare.next;
                list_remove(link);
                list_push_front(&unneeded, link);
                spans.descriptors--;
            }
        }
        lock_give(&spans.lock);
        while (!list_empty(&unneeded)) {
            struct free_span *free = CONTAINER_OF(unneeded.next, struct free_span, age);
            list_remove(&free->age);
            metadata_free(free, sizeof *free);
        }
    }
}

const struct free_span *span_around(size_t unit) {
    /* Only the first and last unit of a free span point at it; the other units' pointers are stale. */
    for (size_t first = unit + 1; first-- > 0 && entry_is_free(page_map_load(first));) {
        const struct span *span = window.spans[first];
        bool starts = first == 0 || !entry_is_free(page_map_load(first - 1));
        if (starts) {
            return span != NULL && span->first == first && first + span->units > unit
                       ? CONTAINER_OF(span, struct free_span, span)
                       : NULL;
        }
    }
    return NULL;
}
