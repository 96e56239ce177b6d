#include "whatis/answer.h"

#include <stdlib.h>
#include <string.h>

#include "support/support.h"
#include "walk/engine_heaps.h"
#include "walk/engine_huge.h"
#include "walk/engine_slots.h"
#include "walk/hmm.h"
#include "walk/spaces.h"

const char *const slot_state_names[STATES] = {
    [STATE_LIVE] = "live",
    [STATE_CACHED] = "cached",
    [STATE_REMOTE] = "freed by another thread, and not collected yet",
    [STATE_FREE] = "free",
};

/* The symbol that a block's first word points at: in C++ its class's virtual table. */
static char *first_word(struct session *session, uint64_t start) {
    uint64_t word;
    return target_read_pointer(&session->target, start, &word) && word != 0 ? session_name(session, word) : NULL;
}

static struct neighbour neighbour_of(const struct engine_walk *walk, int64_t slot) {
    struct neighbour neighbour = {0};
    if (slot >= 0 && slot < (int64_t)walk->span.slots) {
        neighbour.exists = true;
        neighbour.start = walk->span.start + (uint64_t)slot * walk->engine->classes[walk->span.size_class].size;
        neighbour.state = engine_slot_state(walk, (unsigned)slot);
    }
    return neighbour;
}

static void tell_owner(struct engine *engine, struct answer *answer, uint64_t id) {
    struct engine_heap heap;
    answer->heap = id;
    if (id == engine->heap_abandoned) {
        snprintf(answer->owner, sizeof answer->owner, "no heap: abandoned or shared");
        return;
    }
    bool read = engine_heap(engine, id, &heap) && heap.in_use;
    if (read) {
        answer->thread = target_thread_of(engine->target, heap.thread);
    }
    if (read && heap.is_arena) {
        snprintf(answer->owner, sizeof answer->owner, "the arena \"%s\" (heap %lu)", heap.arena, id);
    } else if (answer->thread != 0) {
        snprintf(answer->owner, sizeof answer->owner, "heap %lu (thread %d)", id, answer->thread);
    } else {
        snprintf(answer->owner, sizeof answer->owner, "heap %lu", id);
    }
}

static void ask_slab(struct session *session, const struct engine_walk *walk, struct answer *answer) {
    const struct engine_span *span = &walk->span;
    const uint64_t size = session->engine.classes[span->size_class].size;
    const uint64_t slot = (answer->address - span->start) / size;
    answer->size = size;
    answer->slots = span->slots;
    answer->slab = span->start;
    answer->slab_units = span->units;
    uint64_t now = session_now(session);
    answer->age_known = now != 0 && span->born_s != 0;
    answer->slab_age = now > span->born_s ? now - span->born_s : 0;
    tell_owner(&session->engine, answer, span->heap);
    if (slot >= span->slots) {
        answer->kind = "slab end";
        answer->start = span->start + span->slots * size;
        answer->size = span->start + span->units * session->engine.unit - answer->start;
        return;
    }
    enum engine_state state = engine_slot_state(walk, (unsigned)slot);
    answer->kind = "slot";
    answer->slot = slot;
    answer->start = span->start + slot * size;
    answer->state = slot_state_names[state];
    answer->before = neighbour_of(walk, (int64_t)slot - 1);
    answer->after = neighbour_of(walk, (int64_t)slot + 1);
    if (state == STATE_CACHED) {
        answer->kept = engine_heap_keeps(&session->engine, span->heap, answer->start);
    }
    answer->has_record = engine_record(&session->engine, span, slot, &answer->record);
    if (state == STATE_LIVE) {
        answer->starts_with = first_word(session, answer->start);
    }
}

static void ask_span(struct session *session, const struct engine_walk *walk, struct answer *answer) {
    static const char *const names[SPAN_KINDS] = {
        [SPAN_UNUSED] = "unused",     [SPAN_FRESH] = "free span",   [SPAN_UNMAPPED] = "free span",
        [SPAN_DIRTY] = "free span",   [SPAN_PURGING] = "free span", [SPAN_LOST] = "lost unit",
        [SPAN_LARGE] = "large block", [SPAN_SLAB] = "slot",         [SPAN_TORN] = "changing",
        [SPAN_SAMPLES] = "samples",
    };
    const struct engine_span *span = &walk->span;
    answer->kind = names[span->kind];
    answer->start = span->start;
    answer->size = span->units * session->engine.unit;
    if (span->kind == SPAN_SLAB) {
        ask_slab(session, walk, answer);
    } else if (span->kind == SPAN_LARGE) {
        answer->state = span->live ? "live" : engine_large_fenced(&session->engine, walk) ? "quarantined" : "cached";
        answer->size = span->size;
        if (span->live) {
            answer->starts_with = first_word(session, answer->start);
        }
        if (answer->address - span->start >= span->size) {
            answer->kind = "large block's end";
        }
    } else if (span->kind == SPAN_FRESH || span->kind == SPAN_UNMAPPED || span->kind == SPAN_DIRTY ||
               span->kind == SPAN_PURGING) {
        answer->state = span->kind == SPAN_FRESH      ? "fresh: reads as zero"
                        : span->kind == SPAN_UNMAPPED ? "unmapped: nothing is there"
                                                      : "dirty: holds what its last user left";
    }
}

static bool ask_window(struct session *session, struct answer *answer) {
    struct engine *engine = &session->engine;
    if (answer->address < engine->units.start || answer->address - engine->units.start >= engine->units.size) {
        return false;
    }
    struct engine_walk walk;
    answer->kind = "unused";
    answer->start = engine->units.start + engine->top * engine->unit;
    answer->size = engine->units.size - engine->top * engine->unit;
    if (answer->address < answer->start) {
        if (engine_walk_to(&walk, engine, answer->address)) {
            ask_span(session, &walk, answer);
        } else {
            answer->kind = "changing";
        }
        engine_walk_end(&walk);
    }
    return true;
}

static bool ask_tables(struct session *session, struct answer *answer) {
    static const char *const names[TABLES] = {
        [TABLE_PAGE_MAP] = "page map",    [TABLE_SPANS] = "table of spans", [TABLE_HEAPS] = "table of heaps",
        [TABLE_LINKS] = "inbox links",    [TABLE_LIVE] = "live map",        [TABLE_RECORDS] = "records of blocks",
        [TABLE_METADATA] = "descriptors",
    };
    const struct engine *engine = &session->engine;
    if (answer->address - engine->tables_start >= engine->tables_size) {
        return false;
    }
    answer->kind = "guard";
    for (unsigned i = 0; i < TABLES; i++) {
        if (answer->address - engine->tables[i].start < engine->tables[i].size) {
            answer->kind = names[i];
            answer->start = engine->tables[i].start;
            answer->size = engine->tables[i].accessible;
        }
    }
    return true;
}

static bool ask_huge(struct session *session, struct answer *answer) {
    size_t count;
    struct engine_huge *blocks = engine_huge_blocks(&session->engine, &count);
    bool found = false;
    for (size_t i = 0; i < count && !found; i++) {
        if (answer->address >= blocks[i].start && answer->address <= blocks[i].last) {
            found = true;
            answer->kind = "huge block";
            answer->state = "live";
            answer->start = blocks[i].start;
            answer->size = blocks[i].last - blocks[i].start + 1;
            answer->starts_with = first_word(session, answer->start);
        }
    }
    free(blocks);
    return found;
}

/* By a virtual or a physical address. */
static bool meet_segment(const struct space_segment *segment, void *context) {
    struct answer *answer = context;
    const uint64_t size = segment->last - segment->start + 1;
    bool is_virtual = segment_holds(segment, answer->address);
    bool is_physical = segment->physical != 0 && answer->address - segment->physical < size;
    /* A mapped address is tried as a physical one first. */
    if (!is_physical && (!is_virtual || answer->mapping != NULL)) {
        answer->was_handle = answer->was_handle || segment_held(segment, answer->address);
        return true;
    }
    answer->kind = space_kind_names[segment->kind];
    answer->by_virtual = !is_physical;
    answer->space = segment->space;
    answer->v_start = segment->start;
    answer->v_last = segment->last;
    answer->physical = segment->physical;
    answer->handle = segment->handle;
    answer->start = is_physical ? segment->physical : segment->handle;
    answer->size = size;
    return false;
}

static bool ask_spaces(struct session *session, struct answer *answer) {
    struct layout *layout = layouts_of(&session->layouts, ROOT_SPACES);
    if (layout != NULL) {
        const char *broken = spaces_walk(&session->target, layout, meet_segment, answer);
        if (broken != NULL) {
            warn("the MeMS heap: %s", broken);
        }
    }
    return answer->kind != NULL;
}

static bool meet_block(const struct hmm_block *block, void *context) {
    static const char *const states[] = {[HMM_USED] = "live", [HMM_CACHED] = "cached", [HMM_FREE] = "free"};
    struct answer *answer = context;
    const uint64_t header = block->payload - block->header;
    if (answer->address - header >= block->header + block->room) {
        return true;
    }
    answer->kind = answer->address < block->payload ? "header of an HMM block" : "HMM block";
    answer->state = states[block->state];
    answer->start = answer->address < block->payload ? header : block->payload;
    answer->size = answer->address < block->payload ? block->header : block->room;
    return false;
}

static bool ask_hmm(struct session *session, struct answer *answer) {
    struct layout *layout = layouts_of(&session->layouts, ROOT_HMM);
    if (layout != NULL) {
        uint64_t where;
        const char *broken = hmm_walk(&session->target, layout, meet_block, answer, &where);
        if (broken != NULL) {
            warn("HMM: at %#lx, %s", where, broken);
        }
        if (answer->kind != NULL && strcmp(answer->kind, "HMM block") == 0 && strcmp(answer->state, "live") == 0) {
            answer->starts_with = first_word(session, answer->start);
        }
    }
    return answer->kind != NULL;
}

/* With the address in its block, page or guard. */
static void ask_samples(struct origins *origins, struct answer *answer) {
    const struct sample *sample = origins_find(origins, answer->address);
    if (sample == NULL) {
        return;
    }
    const bool is_small = strcmp(answer->kind, "samples") == 0;
    const bool is_that = sample->live && sample->start == answer->start;
    if (!is_small && !is_that && strcmp(answer->kind, "nothing") != 0) {
        return; /* the place has another user now */
    }
    answer->sample = sample;
    if (is_small) {
        answer->kind = "sampled block";
        answer->state = sample->live ? "live" : "freed";
        answer->start = sample->start;
        answer->size = sample->size;
    }
}

static void ask_heaps(struct session *session, uint64_t address, struct answer *answer) {
    memset(answer, 0, sizeof *answer);
    answer->address = address;
    answer->mapping = target_mapping(&session->target, address);
    if (ask_spaces(session, answer) || ask_hmm(session, answer)) {
        return;
    }
    if (session->has_engine &&
        (ask_huge(session, answer) || ask_window(session, answer) || ask_tables(session, answer))) {
        return;
    }
    struct engine_huge freed;
    if (session->has_engine && answer->mapping == NULL && engine_huge_freed(&session->engine, address, &freed)) {
        answer->kind = "huge block";
        answer->state = "freed, and given back";
        answer->start = freed.start;
        answer->size = freed.last - freed.start + 1;
    } else if (answer->mapping != NULL) {
        answer->kind = "mapping";
        answer->start = answer->mapping->start;
        answer->size = answer->mapping->end - answer->mapping->start;
        answer->symbol = session_name(session, address);
    } else {
        answer->kind = answer->was_handle ? "freed handle" : "nothing";
    }
}

void answer_find(struct session *session, struct origins *origins, uint64_t address, struct answer *answer) {
    ask_heaps(session, address, answer);
    ask_samples(origins, answer);
}

void answer_free(struct answer *answer) {
    free(answer->starts_with);
    free(answer->symbol);
}
