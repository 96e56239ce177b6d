#include "walk/engine_heaps.h"

#include <stdlib.h>
#include <string.h>

#include "support/support.h"
#include "walk/engine_hardened.h"

/* The name that an arena's heap has. */
static void read_arena(struct engine *engine, uint64_t arena, struct engine_heap *heap) {
    struct field name = layout_field(engine->layout, "arena.name");
    heap->is_arena = arena != 0;
    if (arena == 0 || name.size >= sizeof heap->arena ||
        !target_read(engine->target, arena + name.offset, heap->arena, name.size)) {
        return;
    }
    for (char *at = heap->arena; *at != '\0'; at++) {
        *at = (unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f ? '?' : *at;
    }
}

bool engine_heap(struct engine *engine, uint64_t id, struct engine_heap *heap) {
    struct layout *layout = engine->layout;
    memset(heap, 0, sizeof *heap);
    heap->id = id;
    if (!engine->has_heaps || id == 0 || id > engine->heaps_made ||
        !target_read_pointer(engine->target, engine->heaps + id * 8, &heap->address)) {
        return false;
    }
    uint64_t every = 1;
    uint64_t inbox = 0;
    uint64_t told = 0;
    uint64_t arena = 0;
    const struct {
        const char *name;
        uint64_t *value;
    } numbers[] = {
        {"heap.id", &told},
        {"heap.arena", &arena},
        {"heap.checks_every", &every},
        {"heap.inbox", &inbox},
        {"heap.thread", &heap->thread},
        {"heap.slab_bytes", &heap->slab_bytes},
        {"heap.depot.stored_bytes", &heap->stored_bytes},
        {"heap.larges.units", &heap->large_bytes},
        {"heap.counters.refills", &heap->refills},
        {"heap.counters.flushes", &heap->flushes},
        {"heap.counters.remote_frees", &heap->remote_frees},
        {"heap.counters.adoptions", &heap->adoptions},
        {"heap.counters.stolen", &heap->stolen},
    };
    struct field whole = layout_field(layout, "heap");
    char *copy = make(larger(whole.size, 1));
    bool read = whole.size != 0 && target_read(engine->target, heap->address, copy, whole.size);
    for (size_t i = 0; read && i < COUNT_OF(numbers); i++) {
        struct field field = layout_field(layout, numbers[i].name);
        *numbers[i].value = field_of(copy, whole.size, field);
    }
    struct field ready = layout_field(layout, "heap.larges.ready");
    for (unsigned at = 0; read && at + 8 <= ready.size; at += 8) {
        struct field units = {.offset = ready.offset + at + 4, .size = 4}; /* the upper half: little-endian */
        heap->large_bytes += field_of(copy, whole.size, units);
    }
    free(copy);
    /* A heap with another id is a stale entry of the table, or comes from a hostile target. */
    read = read && told == id;
    heap->large_bytes *= engine->unit;
    heap->checks_every = every != 0;
    read_arena(engine, read ? arena : 0, heap);
    heap->in_use = inbox != layout_constant(layout, "INBOX_CLOSED", UINT32_MAX);
    return read;
}

static void add_counters(struct engine *engine, uint64_t heap, const char *name, uint64_t sums[CLASSES_MAX]) {
    uint32_t counters[CLASSES_MAX];
    struct field field = layout_field(engine->layout, name);
    size_t size = engine->class_count * sizeof *counters;
    if (size <= field.size && target_read(engine->target, heap + field.offset, counters, size)) {
        for (unsigned size_class = 0; size_class < engine->class_count; size_class++) {
            sums[size_class] += counters[size_class];
        }
    }
}

void engine_heap_classes(struct engine *engine, const struct engine_heap *heap, uint64_t refills[CLASSES_MAX],
                         uint64_t flushes[CLASSES_MAX]) {
    if (!engine->has_counters) {
        return;
    }
    add_counters(engine, heap->address, "heap.counters.class_refills", refills);
    add_counters(engine, heap->address, "heap.counters.class_flushes", flushes);
}

/* The blocks of the magazine whose top is stored at `place`: between the top and the NULL at its bottom. A small
 * magazine lies within the range that is read. False when the visit has been ended. */
static bool visit_magazine(struct engine *engine, uint64_t place, struct engine_cached *cached,
                           bool (*visit)(const struct engine_cached *cached, void *context), void *context) {
    uint64_t slots = layout_constant(engine->layout, "MAGAZINE_MAX", 0) + 1;
    uint64_t blocks[1024];
    uint64_t top;
    if (slots == 1 || slots > COUNT_OF(blocks) || (slots & (slots - 1)) != 0 ||
        !target_read_pointer(engine->target, place, &top)) {
        return true;
    }
    uint64_t start = top & ~(slots * 8 - 1);
    uint64_t count = (top - start) / 8 + 1;
    if (!target_read(engine->target, start, blocks, count * 8)) {
        return true;
    }
    cached->where = "its thread's magazine";
    for (uint64_t i = count; i != 0 && blocks[i - 1] != 0; i--) {
        cached->block = blocks[i - 1];
        if (!visit(cached, context)) {
            return false;
        }
    }
    return true;
}

/* Where a stored magazine of a class has its blocks, counted in pointers behind its link: a full magazine without its
 * newest part. There are at most `most`. */
static bool stored_range(struct engine *engine, unsigned size_class, uint64_t most, uint64_t *first, uint64_t *count) {
    uint64_t share = layout_constant(engine->layout, "KEPT_SHARE", 0);
    uint64_t size = engine->classes[size_class].magazine;
    uint64_t slots = layout_constant(engine->layout, "MAGAZINE_SLOTS", 0);
    if (share == 0 || slots == 0 || size > most) {
        return false;
    }
    while (slots <= size) {
        slots *= 2;
    }
    *first = slots - 1 - size;
    *count = size - size / share;
    return true;
}

/* The stored magazines of a class. */
static bool visit_stock(struct engine *engine, uint64_t class_address, struct engine_cached *cached,
                        bool (*visit)(const struct engine_cached *cached, void *context), void *context) {
    struct layout *layout = engine->layout;
    struct field next = layout_field(layout, "stored.next");
    struct field place = layout_field(layout, "stored.slots");
    uint64_t blocks[1024];
    uint64_t stored;
    if (place.size == 0 || place.size > sizeof blocks ||
        !field_read(engine->target, class_address, layout_field(layout, "heap_class.stock.magazines"), &stored)) {
        return true;
    }
    cached->where = "its depot";
    struct circle circle = {0};
    while (stored != 0 && !circle_closed(&circle, stored)) {
        uint64_t first;
        uint64_t held;
        if (!stored_range(engine, cached->size_class, place.size / 8, &first, &held) ||
            !target_read(engine->target, stored + place.offset + first * 8, blocks, held * 8)) {
            break;
        }
        for (uint64_t i = 0; i < held; i++) {
            cached->block = blocks[i];
            if (!visit(cached, context)) {
                return false;
            }
        }
        if (!field_read(engine->target, stored, next, &stored)) {
            break;
        }
    }
    return true;
}

void engine_cached(struct engine *engine, uint64_t id, bool (*visit)(const struct engine_cached *cached, void *context),
                   void *context) {
    struct layout *layout = engine->layout;
    struct field tops = layout_field(layout, "heap.tops");
    struct field classes = layout_field(layout, "heap.classes");
    struct field each = layout_field(layout, "heap_class");
    struct engine_heap heap;
    uint64_t mode;
    if (!engine->has_cached || !engine_heap(engine, id, &heap) ||
        !field_read(engine->target, heap.address, layout_field(layout, "heap.mode_offset"), &mode)) {
        return;
    }
    for (unsigned size_class = 0; size_class < engine->class_count; size_class++) {
        struct engine_cached cached = {.heap = id, .size_class = size_class};
        uint64_t at = (mode + size_class) * 8;
        if (at + 8 > tops.size || !visit_magazine(engine, heap.address + tops.offset + at, &cached, visit, context) ||
            !visit_stock(engine, heap.address + classes.offset + size_class * (uint64_t)each.size, &cached, visit,
                         context) ||
            !engine_quarantine(engine, heap.address, &cached, visit, context)) {
            return;
        }
    }
}

struct sought {
    uint64_t block;
    const char *where;
};

static bool compare_cached(const struct engine_cached *cached, void *context) {
    struct sought *sought = context;
    if (cached->block == sought->block) {
        sought->where = cached->where;
    }
    return sought->where == NULL;
}

const char *engine_heap_keeps(struct engine *engine, uint64_t id, uint64_t block) {
    struct sought sought = {.block = block};
    engine_cached(engine, id, compare_cached, &sought);
    return sought.where;
}

static int by_number(const void *a, const void *b) {
    const uint64_t *left = a;
    const uint64_t *right = b;
    return *left < *right ? -1 : *left > *right;
}

static bool add_deferred(const struct engine_cached *cached, void *context) {
    struct engine *engine = context;
    engine->deferred = grow(engine->deferred, engine->deferred_count, sizeof *engine->deferred);
    engine->deferred[engine->deferred_count++] = cached->block;
    return true;
}

void engine_read_deferred(struct engine *engine) {
    struct engine_heap heap;
    for (uint64_t id = 1; id <= engine->heaps_made; id++) {
        if (engine_heap(engine, id, &heap) && !heap.checks_every && heap.in_use) {
            engine_cached(engine, id, add_deferred, engine);
        }
    }
    if (engine->deferred_count != 0) {
        qsort(engine->deferred, engine->deferred_count, sizeof *engine->deferred, by_number);
    }
}
