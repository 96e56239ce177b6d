/*
 * whatis.c - `mems whatis`: what an address is.
 */
#include <stdlib.h>
#include <string.h>

#include "hmm.h"
#include "session.h"
#include "spaces.h"
#include "support.h"
#include "text.h"
#include "verbs.h"

/* A slot beside the one that was asked for. */
struct neighbour {
    bool exists;
    uint64_t start;
    enum engine_state state;
};

/* The answer. What is "" or 0 or NULL is not known, or does not apply. */
struct answer {
    uint64_t address;
    const char *kind;  /* "slot", "large block", ... */
    const char *state; /* "live", "cached", ... */
    uint64_t start;    /* of the block, the span or the mapping */
    uint64_t size;
    uint64_t slot, slots;
    uint64_t slab, slab_units;
    uint64_t slab_age;
    bool age_known;
    uint64_t heap;    /* id */
    pid_t thread;     /* of that heap */
    char owner[64];   /* "heap 3 (thread 4711)", "no heap: abandoned" */
    const char *kept; /* where a cached block lies */
    struct neighbour before, after;
    uint64_t handle; /* of the segment */
    bool was_handle; /* of a block that had the place of a segment */
    bool by_virtual; /* of a segment of the MeMS heap: the address is a virtual one */
    unsigned space;
    uint64_t v_start, v_last, physical;
    char *starts_with; /* the symbol that the block's first word points at */
    char *symbol;      /* of the address itself */
    const struct mapping *mapping;
};

static const char *const state_names[STATES] = {
    [STATE_LIVE] = "live",
    [STATE_CACHED] = "cached",
    [STATE_REMOTE] = "freed by another thread, and not collected yet",
    [STATE_FREE] = "free",
};

/* The symbol that the first word of a block points at: in C++ that of its class's virtual table. */
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
    if (engine_heap(engine, id, &heap) && heap.in_use) {
        answer->thread = target_thread_of(engine->target, heap.thread);
    }
    if (answer->thread != 0) {
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
    answer->state = state_names[state];
    answer->before = neighbour_of(walk, (int64_t)slot - 1);
    answer->after = neighbour_of(walk, (int64_t)slot + 1);
    if (state == STATE_CACHED) {
        answer->kept = engine_heap_keeps(&session->engine, span->heap, answer->start);
    }
    if (state == STATE_LIVE) {
        answer->starts_with = first_word(session, answer->start);
    }
}

static void ask_span(struct session *session, const struct engine_walk *walk, struct answer *answer) {
    static const char *const names[SPAN_KINDS] = {
        [SPAN_UNUSED] = "unused",     [SPAN_FRESH] = "free span",   [SPAN_UNMAPPED] = "free span",
        [SPAN_DIRTY] = "free span",   [SPAN_PURGING] = "free span", [SPAN_LOST] = "lost unit",
        [SPAN_LARGE] = "large block", [SPAN_SLAB] = "slot",         [SPAN_TORN] = "changing",
    };
    const struct engine_span *span = &walk->span;
    answer->kind = names[span->kind];
    answer->start = span->start;
    answer->size = span->units * session->engine.unit;
    if (span->kind == SPAN_SLAB) {
        ask_slab(session, walk, answer);
    } else if (span->kind == SPAN_LARGE) {
        answer->state = span->live ? "live" : "cached";
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
        [TABLE_PAGE_MAP] = "page map", [TABLE_SPANS] = "table of spans", [TABLE_HEAPS] = "table of heaps",
        [TABLE_LINKS] = "inbox links", [TABLE_LIVE] = "live map",        [TABLE_METADATA] = "descriptors",
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

/* A segment of the MeMS heap, by a virtual or by a physical address. */
static bool meet_segment(const struct space_segment *segment, void *context) {
    struct answer *answer = context;
    const uint64_t size = segment->last - segment->start + 1;
    bool is_virtual = segment_holds(segment, answer->address);
    bool is_physical = segment->physical != 0 && answer->address - segment->physical < size;
    /* What is mapped is a physical address first. */
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

static void ask(struct session *session, uint64_t address, struct answer *answer) {
    memset(answer, 0, sizeof *answer);
    answer->address = address;
    answer->mapping = target_mapping(&session->target, address);
    if (ask_spaces(session, answer) || ask_hmm(session, answer)) {
        return;
    }
    if (session->has_engine &&
        (ask_window(session, answer) || ask_tables(session, answer) || ask_huge(session, answer))) {
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

/* --- Text --------------------------------------------------------------------------------------------------------- */

static void print_place(const struct answer *answer) {
    uint64_t offset = answer->address - answer->start;
    if (offset != 0) {
        printf(", at its byte %lu", offset);
    }
}

static void print_neighbour(const char *which, const struct neighbour *neighbour) {
    if (neighbour->exists) {
        printf("  the slot %s it, %#lx, is %s\n", which, neighbour->start, state_names[neighbour->state]);
    }
}

static void print_slot(const struct answer *answer) {
    printf("in a slot of %lu bytes that is %s%s%s, %#lx", answer->size, colour(COLOUR_BOLD), answer->state,
           colour_off(), answer->start);
    print_place(answer);
    printf("\n  slot %lu of %lu of the slab %#lx, of %s", answer->slot + 1, answer->slots, answer->slab, answer->owner);
    if (answer->age_known) {
        printf(", which is %s old", text_age(answer->slab_age));
    }
    putchar('\n');
    if (answer->kept != NULL) {
        printf("  it lies in %s\n", answer->kept);
    }
    print_neighbour("before", &answer->before);
    print_neighbour("after", &answer->after);
}

static void print_mapping(const struct answer *answer) {
    const struct mapping *mapping = answer->mapping;
    printf("not of the heap: in the mapping %#lx-%#lx %c%c%c%c %s", mapping->start, mapping->end,
           mapping->readable ? 'r' : '-', mapping->writable ? 'w' : '-', mapping->executable ? 'x' : '-',
           mapping->shared ? 's' : 'p', *mapping->path != '\0' ? mapping->path : "without a file");
    if (*mapping->path == '/') {
        printf(", at %#lx of the file", mapping->offset + (answer->address - mapping->start));
    }
    putchar('\n');
    if (answer->symbol != NULL) {
        printf("  %s\n", answer->symbol);
    }
}

static void print_segment(const struct answer *answer) {
    printf("%s address of the MeMS heap: in the %s %lu:%lu of ", answer->by_virtual ? "virtual" : "physical",
           answer->kind, answer->v_start, answer->v_last);
    if (answer->space == 0) {
        printf("the default space");
    } else {
        printf("space %u", answer->space);
    }
    print_place(answer);
    putchar('\n');
    if (answer->physical == 0) {
        printf("  it has no memory\n");
    } else if (answer->by_virtual) {
        printf("  its bytes are at %#lx\n", answer->physical + (answer->address - answer->start));
    } else {
        printf("  its virtual address is %lu\n", answer->handle + (answer->address - answer->physical));
    }
}

static void print_answer(const struct answer *answer) {
    printf("%#lx: ", answer->address);
    if (strcmp(answer->kind, "slot") == 0) {
        print_slot(answer);
    } else if (answer->v_start != 0) {
        print_segment(answer);
    } else if (strcmp(answer->kind, "mapping") == 0) {
        print_mapping(answer);
    } else if (strcmp(answer->kind, "nothing") == 0) {
        printf("nothing is mapped there\n");
    } else if (strcmp(answer->kind, "freed handle") == 0) {
        printf("a handle of the MeMS heap whose block is freed; its place has been used again\n");
    } else if (strcmp(answer->kind, "unused") == 0) {
        printf("in the window of the heap, where nothing has been allocated yet\n");
    } else if (strcmp(answer->kind, "changing") == 0) {
        printf("in the window of the heap, and changing while it is looked at\n");
    } else if (strcmp(answer->kind, "guard") == 0) {
        printf("in a guard between the tables of the heap\n");
    } else {
        printf("in %s %s", answer->kind[0] == 'H' ? "an" : "a", answer->kind);
        if (answer->state != NULL) {
            printf(" that is %s%s%s", colour(COLOUR_BOLD), answer->state, colour_off());
        }
        printf(", %#lx, of %lu bytes", answer->start, answer->size);
        print_place(answer);
        putchar('\n');
    }
    if (answer->starts_with != NULL) {
        printf("  its first word points at %s\n", answer->starts_with);
    }
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

static void set_number(json_t *json, const char *key, uint64_t number) {
    json_object_set_new(json, key, json_integer((json_int_t)number));
}

static void set_text(json_t *json, const char *key, const char *text) {
    if (text != NULL && *text != '\0') {
        json_object_set_new(json, key, json_text(text));
    }
}

static void set_neighbour(json_t *json, const char *key, const struct neighbour *neighbour) {
    if (neighbour->exists) {
        json_object_set_new(
            json, key,
            json_pack("{s:I, s:s}", "start", (json_int_t)neighbour->start, "state", state_names[neighbour->state]));
    }
}

static json_t *answer_json(const struct answer *answer) {
    json_t *json = json_object();
    set_number(json, "address", answer->address);
    set_text(json, "kind", answer->kind);
    set_text(json, "state", answer->state);
    if (answer->size != 0) {
        set_number(json, "start", answer->start);
        set_number(json, "size", answer->size);
        set_number(json, "offset", answer->address - answer->start);
    }
    if (answer->slots != 0) {
        set_number(json, "slot", answer->slot);
        set_number(json, "slots", answer->slots);
        set_number(json, "slab", answer->slab);
        set_number(json, "heap", answer->heap);
    }
    if (answer->v_start != 0) {
        set_number(json, "space", answer->space);
        set_number(json, "virtual_start", answer->v_start);
        set_number(json, "virtual_last", answer->v_last);
        set_number(json, "physical_start", answer->physical);
        json_object_set_new(json, "by_virtual", json_boolean(answer->by_virtual));
    }
    if (answer->age_known) {
        set_number(json, "slab_age_s", answer->slab_age);
    }
    if (answer->thread != 0) {
        set_number(json, "thread", (uint64_t)answer->thread);
    }
    set_text(json, "owner", answer->owner);
    set_text(json, "kept", answer->kept);
    set_neighbour(json, "before", &answer->before);
    set_neighbour(json, "after", &answer->after);
    set_text(json, "starts_with", answer->starts_with);
    set_text(json, "symbol", answer->symbol);
    if (answer->mapping != NULL) {
        set_text(json, "mapping", answer->mapping->path);
    }
    return json;
}

/* --- The verb ----------------------------------------------------------------------------------------------------- */

int verb_whatis(const struct arguments *arguments) {
    struct session session;
    json_t *answers = json_array();
    const size_t count = arguments->word_count - 1;
    const char *name = arguments->words[count];
    for (size_t i = 0; i < count; i++) {
        uint64_t address;
        if (!parse_number(arguments->words[i], &address)) {
            fail("%s: not an address: give it as 0x... or in decimal", arguments->words[i]);
        }
    }
    session_open(&session, name, true);
    for (size_t i = 0; i < count; i++) {
        uint64_t address;
        struct answer answer;
        parse_number(arguments->words[i], &address);
        ask(&session, address, &answer);
        if (arguments->json) {
            json_array_append_new(answers, answer_json(&answer));
        } else {
            print_answer(&answer);
        }
        free(answer.starts_with);
        free(answer.symbol);
    }
    if (arguments->json) {
        print_json(json_pack("{s:o, s:O}", "target", session_json(&session), "answers", answers));
    }
    json_decref(answers);
    session_close(&session);
    return EXIT_FINE;
}
