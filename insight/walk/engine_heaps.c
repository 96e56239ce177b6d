#include "walk/engine_heaps.h"

#include <stdlib.h>
#include <string.h>

#include "support/sorted.h"
#include "support/support.h"
#include "walk/engine_hardened.h"

/* Heaps that are read in one system call. */
#define HEAPS_AT_ONCE 64u

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

/* Where a heap has its numbers. */
struct heap_fields {
    struct field whole, id, bare, arena, checks_every, inbox, thread, slab_bytes, stored_bytes, large_units,
        large_ready, refills, flushes, remote_frees, adoptions, stolen, class_refills, class_flushes;
    uint64_t closed;
};

static struct heap_fields find_fields(struct layout *layout) {
    struct heap_fields fields;
    const struct wanted names[] = {
        {"heap", &fields.whole},
        {"heap.id", &fields.id},
        {"heap.bare", &fields.bare},
        {"heap.arena", &fields.arena},
        {"heap.checks_every", &fields.checks_every},
        {"heap.inbox", &fields.inbox},
        {"heap.thread", &fields.thread},
        {"heap.slab_bytes", &fields.slab_bytes},
        {"heap.depot.stored_bytes", &fields.stored_bytes},
        {"heap.larges.units", &fields.large_units},
        {"heap.larges.ready", &fields.large_ready},
        {"heap.counters.refills", &fields.refills},
        {"heap.counters.flushes", &fields.flushes},
        {"heap.counters.remote_frees", &fields.remote_frees},
        {"heap.counters.adoptions", &fields.adoptions},
        {"heap.counters.stolen", &fields.stolen},
        {"heap.counters.class_refills", &fields.class_refills},
        {"heap.counters.class_flushes", &fields.class_flushes},
    };
    layout_find(layout, NULL, names, COUNT_OF(names));
    fields.closed = layout_constant(layout, "INBOX_CLOSED", UINT32_MAX);
    return fields;
}

/* From a heap's copy. False if the id differs: a stale entry of the table, or a hostile target. */
static bool take_heap(struct engine *engine, const struct heap_fields *fields, const char *copy,
                      struct engine_heap *heap) {
    const size_t size = fields->whole.size;
    heap->checks_every = field_of(copy, size, fields->checks_every) != 0;
    heap->in_use = field_of(copy, size, fields->inbox) != fields->closed;
    heap->bare = field_of(copy, size, fields->bare) != 0;
    heap->thread = field_of(copy, size, fields->thread);
    heap->slab_bytes = field_of(copy, size, fields->slab_bytes);
    heap->stored_bytes = field_of(copy, size, fields->stored_bytes);
    heap->large_bytes = field_of(copy, size, fields->large_units);
    for (unsigned at = 0; at + 8 <= fields->large_ready.size; at += 8) {
        struct field units = {.offset = fields->large_ready.offset + at + 4, .size = 4}; /* the upper half */
        heap->large_bytes += field_of(copy, size, units);
    }
    heap->large_bytes *= engine->unit;
    heap->refills = field_of(copy, size, fields->refills);
    heap->flushes = field_of(copy, size, fields->flushes);
    heap->remote_frees = field_of(copy, size, fields->remote_frees);
    heap->adoptions = field_of(copy, size, fields->adoptions);
    heap->stolen = field_of(copy, size, fields->stolen);
    const bool right = field_of(copy, size, fields->id) == heap->id;
    read_arena(engine, right ? field_of(copy, size, fields->arena) : 0, heap);
    return right;
}

bool engine_heap(struct engine *engine, uint64_t id, struct engine_heap *heap) {
    const struct heap_fields fields = find_fields(engine->layout);
    memset(heap, 0, sizeof *heap);
    heap->id = id;
    if (!engine->has_heaps || id == 0 || id > engine->heaps_made ||
        !target_read_pointer(engine->target, engine->heaps + id * 8, &heap->address)) {
        return false;
    }
    char *copy = make(fields.whole.size);
    const bool read =
        target_read(engine->target, heap->address, copy, fields.whole.size) && take_heap(engine, &fields, copy, heap);
    free(copy);
    return read;
}

/* The magazine whose top is stored at `place`: from the top down to the NULL at the bottom. A small one lies within the
 * range read. False if the visit was ended. */
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

/* Where a stored magazine has its blocks, in pointers behind its link: a full magazine without its newest part. At most
 * `most`. */
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

static bool add_deferred(const struct engine_cached *cached, void *context) {
    struct engine *engine = context;
    engine->deferred = grow(engine->deferred, engine->deferred_count, sizeof *engine->deferred);
    engine->deferred[engine->deferred_count++] = cached->block;
    return true;
}

static void add_counters(const struct engine *engine, const char *copy, size_t size, struct field field,
                         uint64_t sums[CLASSES_MAX]) {
    for (unsigned i = 0; i < engine->class_count && 4 * (i + 1) <= field.size; i++) {
        sums[i] += field_of(copy, size, (struct field){field.offset + 4 * i, 4});
    }
}

/* The first address's heap has the id `first`. */
static void read_some(struct engine *engine, const struct heap_fields *fields, const uint64_t *addresses, size_t count,
                      uint64_t first) {
    const size_t size = fields->whole.size;
    struct reading readings[HEAPS_AT_ONCE];
    char *copies = make(count * size);
    for (size_t i = 0; i < count; i++) {
        readings[i] = (struct reading){addresses[i], copies + i * size, size, false};
    }
    target_read_many(engine->target, readings, count);
    for (size_t i = 0; i < count; i++) {
        const char *copy = copies + i * size;
        struct engine_heap *heap = &engine->heap_list[engine->heap_count];
        *heap = (struct engine_heap){.id = first + i, .address = addresses[i]};
        if (readings[i].read && take_heap(engine, fields, copy, heap)) {
            engine->heap_count++;
            if (engine->has_counters) {
                add_counters(engine, copy, size, fields->class_refills, engine->refills);
                add_counters(engine, copy, size, fields->class_flushes, engine->flushes);
            }
        }
    }
    free(copies);
}

static void read_deferred(struct engine *engine) {
    for (size_t i = 0; i < engine->heap_count; i++) {
        if (!engine->heap_list[i].checks_every && engine->heap_list[i].in_use) {
            engine_cached(engine, engine->heap_list[i].id, add_deferred, engine);
        }
    }
    sort(engine->deferred, engine->deferred_count, sizeof *engine->deferred);
}

void engine_read_heaps(struct engine *engine) {
    const struct heap_fields fields = find_fields(engine->layout);
    const uint64_t made = engine->has_heaps ? engine->heaps_made : 0;
    uint64_t *addresses = make(made * sizeof *addresses);
    engine->heap_list = make(made * sizeof *engine->heap_list);
    if (target_read(engine->target, engine->heaps + sizeof *addresses, addresses, made * sizeof *addresses)) {
        for (uint64_t at = 0; at < made; at += HEAPS_AT_ONCE) {
            read_some(engine, &fields, addresses + at, (size_t)smaller(made - at, HEAPS_AT_ONCE), at + 1);
        }
    }
    free(addresses);
    read_deferred(engine);
}
