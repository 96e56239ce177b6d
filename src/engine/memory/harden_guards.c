#include "harden_guards.h"

#include "base/bits.h"
#include "engine/memory/guard_limits.h"
#include "engine/tables/size_class.h"
#include "os/os.h"

struct guards guards;

void guards_start(void) {
    void *trial;
    if (os_page_size() != OS_PAGE || os_map(UNIT, OS_PAGE, &trial) != 0) {
        return;
    }
    guards.means = os_guard(trial, OS_PAGE) == 0 ? GUARDS_BY_MARKS : GUARDS_BY_PROTECTION;
    os_unmap(trial, UNIT);
}

size_t guard_size(void) {
    return guards.means != GUARDS_NONE ? OS_PAGE : 0;
}

bool guard_lengthen(void *start, size_t size) {
    return (guards.means == GUARDS_BY_MARKS ? os_guard(start, size) : os_forbid(start, size)) == 0;
}

bool guard_shorten(void *start, size_t size) {
    return (guards.means == GUARDS_BY_MARKS ? os_guard_end(start, size) : os_commit(start, size)) == 0;
}

bool guard_set(void *start, size_t size) {
    if (guards.means == GUARDS_NONE) {
        return false;
    }
    const uint32_t before = atomic_fetch_add_explicit(&guards.set, 1, memory_order_relaxed);
    const bool may = guards.means == GUARDS_BY_MARKS || before < HARDEN_GUARDS_MAX;
    const bool set = may && guard_lengthen(start, size);
    if (!set) {
        atomic_fetch_sub_explicit(&guards.set, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&guards.refused, 1, memory_order_relaxed);
    }
    return set;
}

/* Clears a range with `count` guards and nothing else of value. */
static bool clear(void *start, size_t size, unsigned count) {
    const bool cleared = guard_shorten(start, size);
    if (cleared) {
        atomic_fetch_sub_explicit(&guards.set, count, memory_order_relaxed);
    }
    return cleared;
}

bool guard_clear(void *start, size_t size) {
    return clear(start, size, 1);
}

/* Closed first, so that a write after the free cannot fill a page behind the purge. What has failed may be half done,
 * and is opened again. */
static bool close_freed(void *start, size_t size) {
    const bool closed = os_close_pages(start, size) == 0 && os_purge(start, size) == 0;
    if (!closed) {
        (void)os_commit(start, size);
    }
    return closed;
}

static bool is_closed_when_freed(size_t size) {
    return guards.means == GUARDS_BY_MARKS && size >= GUARD_CLOSED_LEAST;
}

bool guard_set_freed(void *start, size_t size) {
    if (!is_closed_when_freed(size)) {
        return guard_set(start, size);
    }
    const bool set = close_freed(start, size);
    atomic_fetch_add_explicit(set ? &guards.set : &guards.refused, 1, memory_order_relaxed);
    return set;
}

bool guard_clear_freed(void *start, size_t size) {
    if (!is_closed_when_freed(size)) {
        return guard_clear(start, size);
    }
    const bool cleared = os_commit(start, size) == 0;
    atomic_fetch_sub_explicit(&guards.set, cleared, memory_order_relaxed);
    return cleared;
}

unsigned guard_slab(void *start, unsigned size_class) {
    const struct size_class *of = &size_classes[size_class];
    const size_t bytes = (size_t)of->units << UNIT_SHIFT;
    if (size_class == EMPTY_CLASS) {
        return guard_set(start, bytes);
    }
    unsigned count = 0;
    const size_t guard = of->guard_pages * OS_PAGE;
    for (unsigned slot = 1; guard != 0 && slot <= of->slots; slot++) {
        count += guard_set((char *)start + slot * (size_t)of->size - guard, guard);
    }
    const size_t tail = round_up((size_t)of->slots * of->size, OS_PAGE);
    if (size_class_tails_guarded && tail < bytes) {
        count += guard_set((char *)start + tail, bytes - tail);
    }
    return count;
}

bool guard_clear_slab(void *start, unsigned size_class, unsigned count) {
    return count == 0 || clear(start, (size_t)size_classes[size_class].units << UNIT_SHIFT, count);
}
