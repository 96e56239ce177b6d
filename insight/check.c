/*
 * check.c - `mems check`: whether everything holds that the heaps' structures promise, seen from outside.
 *
 * A living process is stopped while its metadata are copied, at a moment when no thread holds a lock of the heap, and
 * goes on while the copy is looked at.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hmm.h"
#include "session.h"
#include "spaces.h"
#include "support.h"
#include "text.h"
#include "verbs.h"

/* So many findings are told; the others are counted. */
#define FINDINGS_TOLD 50u

/* How often a living process is stopped anew because a thread of it holds a lock. */
#define ATTEMPTS 100

/* A process with one thread takes no lock in HMM: only what is damaged so many times is. */
#define LOOKS 20

struct check {
    struct session *session;
    struct engine *engine;
    json_t *findings;
    uint64_t found;
    uint64_t slabs, slots, spans, cached, segments, blocks;
    const char *held; /* a lock that a thread held at that moment; NULL: none */
    double pause;     /* seconds */
    int attempts;
};

__attribute__((format(printf, 4, 5))) static void find(struct check *check, const char *heap, uint64_t where,
                                                       const char *format, ...) {
    if (check->found++ >= FINDINGS_TOLD) {
        return;
    }
    char *text;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0) {
        fail("no memory for a line of text");
    }
    va_end(arguments);
    json_array_append_new(check->findings,
                          json_pack("{s:s, s:I, s:s}", "heap", heap, "where", (json_int_t)where, "what", text));
    free(text);
}

#define FIND(check, where, ...) find(check, "engine", where, __VA_ARGS__)

/* A number of a structure that the root points at. */
static uint64_t number_of(struct check *check, const char *member, const char *field) {
    struct engine *engine = check->engine;
    uint64_t structure;
    uint64_t value = 0;
    if (!field_read(engine->target, engine->layout->start, layout_field(engine->layout, member), &structure) ||
        !field_read(engine->target, structure, layout_field(engine->layout, field), &value)) {
        FIND(check, engine->layout->start, "%s cannot be read", field);
    }
    return value;
}

/* --- The window --------------------------------------------------------------------------------------------------- */

static unsigned count_bits(uint64_t bits) {
    return (unsigned)__builtin_popcountll(bits);
}

/* No bit of the live map is set but at starts of slots, and no slot is more than one thing. */
static void check_slots(struct check *check, const struct engine_walk *walk) {
    const struct engine *engine = check->engine;
    const struct engine_span *span = &walk->span;
    const uint64_t size = engine->classes[span->size_class].size;
    uint64_t seen = 0;
    for (unsigned slot = 0; slot < span->slots; slot++) {
        uint64_t granule = slot * size / engine->granule;
        bool is_live = walk->live[granule / 64] >> granule % 64 & 1;
        bool is_remote = walk->remote[granule / 64] >> granule % 64 & 1;
        bool is_free = walk->free[slot / 64] >> slot % 64 & 1;
        seen += (uint64_t)is_live + is_remote;
        if (is_remote && !is_live) {
            FIND(check, span->start + slot * size, "slot %u is freed remotely and not live", slot);
        } else if (is_free && is_live && !is_remote) {
            FIND(check, span->start + slot * size, "slot %u is both free and live", slot);
        } else if (is_free && is_remote && !span->unsettled) {
            FIND(check, span->start + slot * size, "slot %u is to be settled, in a slab that has none", slot);
        }
    }
    uint64_t all = 0;
    for (uint64_t word = 0; word < span->units * engine->unit / engine->granule / 64; word++) {
        all += count_bits(walk->live[word]) + count_bits(walk->remote[word]);
    }
    if (all != seen) {
        FIND(check, span->start, "%" PRIu64 " bits of the live map are no slot's", all > seen ? all - seen : 0);
    }
    check->slots += span->slots;
    check->slabs++;
}

static void check_entries(struct check *check, const struct engine_walk *walk) {
    const struct engine_span *span = &walk->span;
    const uint64_t wanted = span->kind == SPAN_LARGE ? check->engine->part : walk->entries[span->unit - walk->first];
    for (uint64_t unit = span->unit + 1; unit < span->unit + span->units; unit++) {
        uint64_t entry;
        if (!target_read_number(check->engine->target, check->engine->page_map + unit * 4, 4, &entry) ||
            entry != wanted) {
            FIND(check, span->start, "the page map tells something else of a unit than its span does");
            break;
        }
    }
}

static void compare(struct check *check, const char *what, uint64_t counted, uint64_t told) {
    if (counted != told) {
        FIND(check, check->engine->spans_state, "%s: %" PRIu64 " are counted, and %" PRIu64 " are told", what, counted,
             told);
    }
}

static void check_window(struct check *check) {
    struct engine *engine = check->engine;
    struct engine_walk walk;
    uint64_t units[SPAN_KINDS] = {0};
    engine_walk_start(&walk, engine, 0);
    while (engine_walk_next(&walk)) {
        units[walk.span.kind] += walk.span.units;
        check->spans++;
        if (walk.span.kind == SPAN_SLAB) {
            check_entries(check, &walk);
            check_slots(check, &walk);
            if (walk.span.torn) {
                FIND(check, walk.span.start, "a slab's count of free slots is not that of its bitmap");
            }
        } else if (walk.span.kind == SPAN_LARGE) {
            check_entries(check, &walk);
        } else if (walk.span.kind == SPAN_TORN) {
            FIND(check, walk.span.start, "a unit's entry, or the descriptor of its span, makes no sense");
        }
        progress("checking", walk.next, engine->top);
    }
    progress_end();
    if (walk.next != engine->top) {
        FIND(check, engine->base + walk.next * engine->unit, "the tables cannot be read from unit %" PRIu64 " on",
             walk.next);
    }
    engine_walk_end(&walk);
    compare(check, "units of slabs and large blocks", units[SPAN_SLAB] + units[SPAN_LARGE],
            number_of(check, "mems_root.spans", "spans.live_units"));
    compare(check, "free units", units[SPAN_FRESH] + units[SPAN_UNMAPPED] + units[SPAN_DIRTY],
            number_of(check, "mems_root.spans", "spans.free_units"));
    compare(check, "unmapped units", units[SPAN_UNMAPPED], number_of(check, "mems_root.spans", "spans.unmapped_units"));
    compare(check, "dirty units", units[SPAN_DIRTY], number_of(check, "mems_root.spans", "spans.dirty_units"));
    compare(check, "lost units", units[SPAN_LOST], number_of(check, "mems_root.spans", "spans.lost_units"));
}

/* --- Heaps -------------------------------------------------------------------------------------------------------- */

/* Blocks that heaps have at hand, to be found twice. */
struct at_hand {
    struct check *check;
    uint64_t *blocks;
    size_t count;
};

static bool check_cached(const struct engine_cached *cached, void *context) {
    struct at_hand *hand = context;
    struct check *check = hand->check;
    const struct engine *engine = check->engine;
    uint64_t unit = (cached->block - engine->base) / engine->unit;
    uint64_t entry;
    hand->blocks = grow(hand->blocks, hand->count, sizeof *hand->blocks);
    hand->blocks[hand->count++] = cached->block;
    if (cached->block < engine->base || unit >= engine->top ||
        !target_read_number(engine->target, engine->page_map + unit * 4, 4, &entry) ||
        entry != (cached->heap << engine->heap_shift | cached->size_class)) {
        FIND(check, cached->block, "heap %" PRIu64 " has in %s what is no block of its class %u", cached->heap,
             cached->where, cached->size_class);
    }
    return true;
}

static int by_number(const void *a, const void *b) {
    const uint64_t *left = a;
    const uint64_t *right = b;
    return *left < *right ? -1 : *left > *right;
}

/* Each block once, and in its slab it is neither free nor live. */
static void check_at_hand(struct check *check, const struct at_hand *hand) {
    struct engine *engine = check->engine;
    struct engine_walk walk = {0};
    bool walking = false;
    for (size_t i = 0; i < hand->count; i++) {
        uint64_t block = hand->blocks[i];
        if (i != 0 && block == hand->blocks[i - 1]) {
            FIND(check, block, "a block is cached twice");
            continue;
        }
        if (!walking || block - walk.span.start >= walk.span.units * engine->unit) {
            if (walking) {
                engine_walk_end(&walk);
            }
            walking = block >= engine->base && (block - engine->base) / engine->unit < engine->top;
            if (walking && !engine_walk_to(&walk, engine, block)) {
                engine_walk_end(&walk);
                walking = false;
            }
        }
        if (walking && walk.span.kind == SPAN_SLAB) {
            uint64_t size = engine->classes[walk.span.size_class].size;
            uint64_t slot = (block - walk.span.start) / size;
            if ((block - walk.span.start) % size != 0 || slot >= walk.span.slots) {
                FIND(check, block, "what is cached is no slot's start");
            } else if (engine_slot_state(&walk, (unsigned)slot) != STATE_CACHED) {
                FIND(check, block, "a cached block is free in its slab, or live");
            }
        }
    }
    if (walking) {
        engine_walk_end(&walk);
    }
    check->cached = hand->count;
}

/* A list of slabs: its links agree, and all are of the entry. Adds their number. */
static void check_list(struct check *check, uint64_t head, uint64_t entry, uint64_t *slabs) {
    struct engine *engine = check->engine;
    struct field next = layout_field(engine->layout, "list.next");
    struct field prev = layout_field(engine->layout, "list.prev");
    struct field link = layout_field(engine->layout, "slab.link");
    uint64_t at = head;
    struct circle circle = {0};
    for (;;) {
        uint64_t after;
        uint64_t back;
        if (circle_closed(&circle, at) || !field_read(engine->target, at, next, &after) ||
            !field_read(engine->target, after, prev, &back) || back != at) {
            FIND(check, at, "a list of slabs is torn");
            return;
        }
        if (after == head) {
            return;
        }
        uint64_t unit;
        uint64_t told;
        if (!field_read(engine->target, after - link.offset, engine->slab_first, &unit) || unit >= engine->top ||
            !target_read_number(engine->target, engine->page_map + unit * 4, 4, &told) || told != entry) {
            FIND(check, after - link.offset, "a slab is in the list of another heap or class");
        }
        ++*slabs;
        at = after;
    }
}

static void check_heaps(struct check *check) {
    struct engine *engine = check->engine;
    struct layout *layout = engine->layout;
    struct field classes = layout_field(layout, "heap.classes");
    struct field each = layout_field(layout, "heap_class");
    struct field list = layout_field(layout, "heap_class.slabs");
    struct at_hand hand = {.check = check};
    uint64_t in_use = 0;
    uint64_t slabs = 0;
    for (uint64_t id = 1; id <= engine->heaps_made; id++) {
        struct engine_heap heap;
        if (!engine_heap(engine, id, &heap)) {
            FIND(check, engine->heaps + id * 8, "heap %" PRIu64 " cannot be read, or takes itself for another", id);
            continue;
        }
        in_use += heap.in_use;
        for (unsigned size_class = 0; size_class < engine->class_count; size_class++) {
            check_list(check, heap.address + classes.offset + size_class * (uint64_t)each.size + list.offset,
                       id << engine->heap_shift | size_class, &slabs);
        }
        engine_cached(engine, id, check_cached, &hand);
    }
    struct field abandoned = layout_field(layout, "abandoned");
    struct field abandoned_list = layout_field(layout, "abandoned.slabs");
    for (unsigned size_class = 0; size_class < engine->class_count && abandoned.size != 0; size_class++) {
        uint64_t at = engine->abandoned + size_class * (uint64_t)abandoned.size;
        uint64_t shared;
        check_list(check, at + abandoned_list.offset, engine->heap_abandoned << engine->heap_shift | size_class,
                   &slabs);
        if (field_read(engine->target, at, layout_field(layout, "abandoned.shared"), &shared)) {
            slabs += shared != 0;
        }
    }
    if (slabs != check->slabs) {
        FIND(check, engine->heaps, "%" PRIu64 " slabs are in lists, and %" PRIu64 " are in the window", slabs,
             check->slabs);
    }
    compare(check, "heaps in use", in_use, engine->heaps_in_use);
    if (hand.count != 0) {
        qsort(hand.blocks, hand.count, sizeof *hand.blocks, by_number);
    }
    check_at_hand(check, &hand);
    free(hand.blocks);
}

static void check_huge(struct check *check) {
    struct engine *engine = check->engine;
    size_t count;
    struct engine_huge *blocks = engine_huge_blocks(engine, &count);
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += blocks[i].last - blocks[i].start + 1;
        if (i != 0 && blocks[i].start <= blocks[i - 1].last) {
            FIND(check, blocks[i].start, "two huge blocks overlap");
        }
        if (target_mapping(engine->target, blocks[i].start) == NULL) {
            FIND(check, blocks[i].start, "a huge block is not mapped");
        }
    }
    compare(check, "huge blocks", count, number_of(check, "mems_root.huge_table", "huge_table.live.count"));
    compare(check, "bytes of huge blocks", bytes, number_of(check, "mems_root.huge_table", "huge_table.bytes"));
    free(blocks);
}

/* --- The other heaps ---------------------------------------------------------------------------------------------- */

static bool count_segment(const struct space_segment *segment, void *context) {
    (void)segment;
    ++*(uint64_t *)context;
    return true;
}

static bool count_block(const struct hmm_block *block, void *context) {
    (void)block;
    ++*(uint64_t *)context;
    return true;
}

/* What the check of the heaps other than the engine has found is forgotten. */
static void forget_others(struct check *check) {
    json_array_clear(check->findings);
    check->found = check->segments = check->blocks = 0;
}

static void check_others(struct check *check) {
    struct target *target = &check->session->target;
    struct layout *layout = layouts_of(&check->session->layouts, ROOT_SPACES);
    if (layout != NULL) {
        const char *broken = spaces_walk(target, layout, count_segment, &check->segments);
        if (broken != NULL) {
            find(check, "spaces", layout->start, "%s", broken);
        }
    }
    layout = layouts_of(&check->session->layouts, ROOT_HMM);
    if (layout != NULL) {
        uint64_t where = 0;
        const char *broken = hmm_walk(target, layout, count_block, &check->blocks, &where);
        if (broken != NULL) {
            find(check, "hmm", where, "%s", broken);
        }
    }
}

/* --- A moment without a lock -------------------------------------------------------------------------------------- */

static bool is_held(struct target *target, struct layout *layout, uint64_t structure, const char *name) {
    uint64_t state;
    return field_read(target, structure, layout_field(layout, name), &state) && state != 0;
}

static const char *engine_lock(struct engine *engine) {
    struct layout *layout = engine->layout;
    static const char *const tables[][2] = {{"mems_root.spans", "spans.lock.state"},
                                            {"mems_root.heaps", "heaps.lock.state"},
                                            {"mems_root.metadata", "metadata.lock.state"},
                                            {"mems_root.huge_table", "huge_table.lock.state"}};
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        uint64_t structure;
        if (field_read(engine->target, layout->start, layout_field(layout, tables[i][0]), &structure) &&
            is_held(engine->target, layout, structure, tables[i][1])) {
            return tables[i][1];
        }
    }
    for (unsigned size_class = 0; size_class < engine->class_count; size_class++) {
        uint64_t at = engine->abandoned + size_class * (uint64_t)layout_field(layout, "abandoned").size;
        if (is_held(engine->target, layout, at, "abandoned.lock.state")) {
            return "abandoned.lock.state";
        }
    }
    for (uint64_t id = 1; id <= engine->heaps_made; id++) {
        uint64_t heap;
        if (target_read_pointer(engine->target, engine->heaps + id * 8, &heap) &&
            is_held(engine->target, layout, heap, "heap.lock.state")) {
            return "heap.lock.state";
        }
    }
    return NULL;
}

static const char *held_lock(struct session *session) {
    struct layout *spaces = layouts_of(&session->layouts, ROOT_SPACES);
    struct layout *hmm = layouts_of(&session->layouts, ROOT_HMM);
    if (session->has_engine) {
        const char *held = engine_lock(&session->engine);
        if (held != NULL) {
            return held;
        }
    }
    const char *held = spaces != NULL ? spaces_held(&session->target, spaces) : NULL;
    if (held != NULL) {
        return held;
    }
    if (hmm != NULL && is_held(&session->target, hmm, hmm->start, "hmm_root.lock.state")) {
        return "hmm_root.lock.state";
    }
    return NULL;
}

/* Copies what the check of the engine reads. */
static void copy_metadata(struct session *session) {
    struct target *target = &session->target;
    const struct engine *engine = &session->engine;
    const char *module = engine->layout->module;
    for (size_t i = 0; i < target->mapping_count; i++) {
        const struct mapping *mapping = &target->mappings[i];
        bool behind = i != 0 && *mapping->path == '\0' && target->mappings[i - 1].end == mapping->start &&
                      strcmp(target->mappings[i - 1].path, module) == 0;
        if (mapping->writable && (strcmp(mapping->path, module) == 0 || behind)) {
            target_copy(target, mapping->start, mapping->end);
        }
    }
    for (unsigned i = 0; i < TABLES; i++) {
        target_copy(target, engine->tables[i].start, engine->tables[i].start + engine->tables[i].accessible);
    }
}

/* Stops the process when no lock is held, if that can be had; copies; lets it go on. */
static void look(struct check *check) {
    struct session *session = check->session;
    struct target *target = &session->target;
    if (target->kind != TARGET_LIVE) {
        check->held = held_lock(session);
        check_others(check);
        return;
    }
    const char *why;
    for (check->attempts = 1;; check->attempts++) {
        double start = now_seconds();
        if (!target_stop(target, &why)) {
            fail("process %d: %s", target->pid, why);
        }
        session_refresh(session);
        check->held = held_lock(session);
        if (check->held == NULL || check->attempts == ATTEMPTS) {
            if (session->has_engine) {
                copy_metadata(session);
            }
            forget_others(check);
            check_others(check);
            target_continue(target);
            check->pause = now_seconds() - start;
            if (check->found == 0 || check->attempts >= LOOKS) {
                return;
            }
        } else {
            target_continue(target);
        }
        usleep(1000);
    }
}

static void check_engine(struct check *check) {
    if (check->session->has_engine) {
        check->engine = &check->session->engine;
        check_window(check);
        check_heaps(check);
        check_huge(check);
    }
}

void check_read(struct session *session) {
    struct check check = {.session = session, .findings = json_array()};
    held_lock(session);
    check_others(&check);
    check_engine(&check);
    json_decref(check.findings);
}

/* --- The verb ----------------------------------------------------------------------------------------------------- */

static void print_text(const struct check *check) {
    for (size_t i = 0; i < json_array_size(check->findings); i++) {
        const json_t *finding = json_array_get(check->findings, i);
        printf("%s%s%s: %#llx: %s\n", colour(COLOUR_RED), json_string_value(json_object_get(finding, "heap")),
               colour_off(), (unsigned long long)json_integer_value(json_object_get(finding, "where")),
               json_string_value(json_object_get(finding, "what")));
    }
    if (check->found > FINDINGS_TOLD) {
        printf("and %" PRIu64 " more\n", check->found - FINDINGS_TOLD);
    }
    if (check->held != NULL) {
        printf("a thread holds a lock (%.*s): what it is changing may look damaged\n", (int)strcspn(check->held, "."),
               check->held);
    }
    printf("%s: %" PRIu64 " spans, %" PRIu64 " slabs, %" PRIu64 " slots, %" PRIu64 " cached blocks, %" PRIu64
           " segments of the MeMS heap, %" PRIu64 " blocks of HMM\n",
           check->found == 0 ? "all is well" : "damaged", check->spans, check->slabs, check->slots, check->cached,
           check->segments, check->blocks);
    if (check->session->target.kind == TARGET_LIVE) {
        printf("the process was stopped for %.1f ms%s\n", check->pause * 1000,
               check->attempts > 1 ? ", and before that for moments in which a thread held a lock" : "");
    }
}

int verb_check(const struct arguments *arguments) {
    struct session session;
    struct check check = {.session = &session, .findings = json_array()};
    session_open(&session, arguments->words[0], true);
    target_read_threads(&session.target);
    look(&check);
    check_engine(&check);
    if (arguments->json) {
        print_json(json_pack("{s:o, s:O, s:I, s:f, s:i, s:s?, s:I, s:I, s:I, s:I, s:I, s:I}", "target",
                             session_json(&session), "findings", check.findings, "found", (json_int_t)check.found,
                             "pause_ms", check.pause * 1000, "attempts", check.attempts, "lock_held", check.held,
                             "spans", (json_int_t)check.spans, "slabs", (json_int_t)check.slabs, "slots",
                             (json_int_t)check.slots, "cached", (json_int_t)check.cached, "segments",
                             (json_int_t)check.segments, "blocks", (json_int_t)check.blocks));
    } else {
        print_text(&check);
    }
    json_decref(check.findings);
    session_close(&session);
    return check.found == 0 ? EXIT_FINE : EXIT_FOUND;
}
