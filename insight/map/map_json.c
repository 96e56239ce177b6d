#include "map/map_json.h"

#include <stdlib.h>
#include <string.h>

#include "map/map_samples.h"
#include "support/json.h"
#include "support/known.h"
#include "support/sorted.h"
#include "support/support.h"
#include "support/texts.h"
#include "target/residency.h"
#include "walk/engine_heaps.h"
#include "walk/engine_huge.h"
#include "walk/engine_slots.h"
#include "walk/hmm.h"
#include "walk/spaces.h"

/* The most blocks whose first words are named, and different names, for browsers' sake. */
#define FIRST_WORDS_MOST 200000u
#define NAMES_MOST 4096u

/* The sources of a map. */
struct writer {
    struct session *session;
    FILE *to;
    enum map_detail detail;
    bool any; /* an element of the array at hand is written */
    struct residency residency;

    /* All blocks in magazines and depots, ascending. */
    struct engine_cached *cached;
    size_t cached_count;

    struct known words; /* the names of first words; NULL: it has none */
    struct texts names;
    uint64_t told;
};

/* An array's element, on a line of its own. */
static void write_line(struct writer *writer, json_t *json) {
    fputs(writer->any ? ",\n" : "\n", writer->to);
    writer->any = true;
    json_dumpf(json, writer->to, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(json);
}

/* --- Runs: "l12f3m" is twelve times l, three times f, one m ---------------------------------------------------------
 */

struct runs {
    char *text;
    size_t length, room;
    char letter;
    uint64_t count;
};

static void runs_close(struct runs *runs) {
    char part[32];
    if (runs->count == 0) {
        return;
    }
    int size = runs->count == 1 ? snprintf(part, sizeof part, "%c", runs->letter)
                                : snprintf(part, sizeof part, "%c%lu", runs->letter, runs->count);
    if (runs->length + (size_t)size + 1 > runs->room) {
        runs->room = 2 * runs->room + 64;
        runs->text = remake(runs->text, runs->room);
    }
    memcpy(runs->text + runs->length, part, (size_t)size + 1);
    runs->length += (size_t)size;
    runs->count = 0;
}

static void runs_add(struct runs *runs, char letter, uint64_t count) {
    if (letter != runs->letter) {
        runs_close(runs);
        runs->letter = letter;
    }
    runs->count += count;
}

static json_t *runs_json(struct runs *runs) {
    runs_close(runs);
    json_t *json = json_string(runs->length != 0 ? runs->text : "");
    free(runs->text);
    return json;
}

/* --- Slots and pages ---------------------------------------------------------------------------------------------- */

static bool keep_cached(const struct engine_cached *cached, void *context) {
    struct writer *writer = context;
    writer->cached = grow(writer->cached, writer->cached_count, sizeof *writer->cached);
    writer->cached[writer->cached_count++] = *cached;
    return true;
}

static void find_cached(struct writer *writer) {
    struct engine *engine = &writer->session->engine;
    for (uint64_t id = 1; id <= engine->heaps_made; id++) {
        engine_cached(engine, id, keep_cached, writer);
    }
    sort(writer->cached, writer->cached_count, sizeof *writer->cached);
}

/* m in a magazine, d in a depot, c in transit. */
static char cached_letter(const struct writer *writer, uint64_t block) {
    const struct engine_cached *found = sorted_find(writer->cached, writer->cached_count, sizeof *found, block);
    return found == NULL ? 'c' : strcmp(found->where, "its depot") == 0 ? 'd' : 'm';
}

static json_t *slots_json(const struct writer *writer, const struct engine_walk *walk) {
    const struct engine_span *span = &walk->span;
    const uint64_t size = walk->engine->classes[span->size_class].size;
    struct runs runs = {0};
    for (unsigned slot = 0; slot < span->slots; slot++) {
        static const char letters[STATES] = {[STATE_LIVE] = 'l', [STATE_REMOTE] = 'r', [STATE_FREE] = 'f'};
        enum engine_state state = engine_slot_state(walk, slot);
        char letter = state == STATE_CACHED ? cached_letter(writer, span->start + slot * size) : letters[state];
        runs_add(&runs, letter, 1);
    }
    return runs_json(&runs);
}

/* r resident, s swapped out, z the zero page, g a guard, a absent. */
static char page_letter(unsigned state) {
    return page_counts(state)            ? 'r'
           : (state & PAGE_GUARD) != 0   ? 'g'
           : (state & PAGE_SWAPPED) != 0 ? 's'
           : (state & PAGE_ZERO) != 0    ? 'z'
                                         : 'a';
}

/* Resident bytes, 0 if what is mapped there is not the heap's. With `pages`, all as runs. */
static uint64_t count_resident(struct writer *writer, uint64_t start, uint64_t end, bool is_heaps, json_t **pages) {
    const uint64_t size = writer->session->target.page_size;
    struct runs runs = {0};
    uint64_t resident = 0;
    for (uint64_t page = start; page < end; page += size) {
        uint64_t next = is_heaps ? residency_next(&writer->residency, page, end) : end;
        if (next > page) {
            runs_add(&runs, 'a', (next - page + size - 1) / size);
            page = next;
        }
        if (page < end) {
            unsigned state = residency_of(&writer->residency, page);
            resident += page_counts(state) ? size : 0;
            runs_add(&runs, page_letter(state), 1);
        }
    }
    json_t *text = runs_json(&runs);
    if (pages != NULL) {
        *pages = text;
    } else {
        json_decref(text);
    }
    return resident;
}

/* --- What blocks begin with ----------------------------------------------------------------------------------------
 */

/* Only addresses in a mapped file can be a class's virtual table, or another symbol. */
static bool may_be_named(const struct target *target, uint64_t word) {
    const struct mapping *mapping = word >= 4096 ? target_mapping(target, word) : NULL;
    return mapping != NULL && mapping->path[0] == '/';
}

/* Remembered; NULL: no name, or too many. */
static const char *name_of(struct writer *writer, uint64_t word) {
    bool is_new;
    void **name = known_find(&writer->words, word, &is_new);
    if (is_new && writer->words.count <= NAMES_MOST) {
        *name = session_name(writer->session, word);
    }
    return *name;
}

static void tell_first_word(struct writer *writer, json_t *list, uint64_t slot, uint64_t word) {
    const char *name = may_be_named(&writer->session->target, word) ? name_of(writer, word) : NULL;
    if (name != NULL && writer->told < FIRST_WORDS_MOST) {
        writer->told++;
        json_array_append_new(list, json_integer((json_int_t)slot));
        json_array_append_new(list, json_integer((json_int_t)texts_place(&writer->names, name)));
    }
}

/* Live slots that begin on a page. */
static void tell_page(struct writer *writer, const struct engine_walk *walk, uint64_t page, json_t *list) {
    const struct engine_span *span = &walk->span;
    const uint64_t size = walk->engine->classes[span->size_class].size;
    const uint64_t page_size = writer->session->target.page_size;
    char copy[65536];
    if (page_size > sizeof copy || !target_read(&writer->session->target, page, copy, page_size)) {
        return;
    }
    const uint64_t end = page - span->start + page_size;
    for (uint64_t slot = (page - span->start + size - 1) / size; slot < span->slots && slot * size + 8 <= end; slot++) {
        uint64_t word;
        memcpy(&word, copy + (span->start + slot * size - page), sizeof word);
        if (engine_slot_state(walk, (unsigned)slot) == STATE_LIVE) {
            tell_first_word(writer, list, slot, word);
        }
    }
}

/* Slot, index of the name, slot, index, .. Only pages in memory are read: otherwise the kernel would map a zero page or
 * swap one in, and looking would change the process. */
static json_t *first_words_json(struct writer *writer, const struct engine_walk *walk) {
    const uint64_t page_size = writer->session->target.page_size;
    const uint64_t end = walk->span.start + walk->span.units * walk->engine->unit;
    const uint64_t last = walk->span.kind == SPAN_SLAB ? end : walk->span.start + page_size;
    json_t *list = json_array();
    struct residency residency;
    residency_start(&residency, &writer->session->target, walk->span.start, last);
    for (uint64_t page = walk->span.start; (page = residency_next(&residency, page, last)) < last; page += page_size) {
        uint64_t word;
        if (!page_counts(residency_of(&residency, page))) {
            continue;
        }
        if (walk->span.kind == SPAN_SLAB) {
            tell_page(writer, walk, page, list);
        } else if (target_read_pointer(&writer->session->target, page, &word)) {
            tell_first_word(writer, list, 0, word);
        }
    }
    residency_end(&residency);
    return list;
}

/* --- The engine --------------------------------------------------------------------------------------------------- */

static void detail_json(struct writer *writer, const struct engine_walk *walk, json_t *json) {
    if (walk->span.kind == SPAN_SLAB) {
        json_object_set_new(json, "slots", slots_json(writer, walk));
    }
    if (walk->span.kind == SPAN_SLAB || (walk->span.kind == SPAN_LARGE && walk->span.live)) {
        json_t *first = first_words_json(writer, walk);
        if (json_array_size(first) != 0) {
            json_object_set(json, "first", first);
        }
        json_decref(first);
    }
}

static json_t *span_json(struct writer *writer, const struct engine_walk *walk) {
    const struct engine_span *span = &walk->span;
    const uint64_t bytes = span->units * walk->engine->unit;
    json_t *pages = NULL;
    uint64_t resident = count_resident(writer, span->start, span->start + bytes, engine_span_mapped(span),
                                       writer->detail == MAP_WHOLE ? &pages : NULL);
    json_t *json = json_pack("{s:I, s:I, s:s, s:I}", "start", (json_int_t)span->start, "bytes", (json_int_t)bytes,
                             "kind", engine_kind_names[span->kind], "resident", (json_int_t)resident);
    if (span->kind == SPAN_SLAB) {
        uint64_t slots[STATES];
        engine_slab_states(walk, slots);
        json_object_update_new(json,
                               json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "size",
                                         (json_int_t)walk->engine->classes[span->size_class].size, "heap",
                                         (json_int_t)span->heap, "live", (json_int_t)slots[STATE_LIVE], "cached",
                                         (json_int_t)slots[STATE_CACHED], "remote", (json_int_t)slots[STATE_REMOTE],
                                         "free", (json_int_t)slots[STATE_FREE], "born_s", (json_int_t)span->born_s));
    } else if (span->kind == SPAN_LARGE) {
        json_object_update_new(json, json_pack("{s:I, s:b}", "size", (json_int_t)span->size, "live", span->live));
    }
    if (pages != NULL) {
        json_object_set_new(json, "pages", pages);
        detail_json(writer, walk, json);
    }
    return json;
}

static void write_spans(struct writer *writer) {
    struct engine *engine = &writer->session->engine;
    struct engine_walk walk;
    residency_start(&writer->residency, engine->target, engine->base, engine->base + engine->top * engine->unit);
    engine_walk_start(&walk, engine, 0);
    while (engine_walk_next(&walk)) {
        write_line(writer, span_json(writer, &walk));
        progress("looking", walk.next, engine->top);
    }
    progress_end();
    engine_walk_end(&walk);
    residency_end(&writer->residency);
}

static void write_huge(struct writer *writer) {
    size_t count;
    struct engine_huge *blocks = engine_huge_blocks(&writer->session->engine, &count);
    for (size_t i = 0; i < count; i++) {
        uint64_t end = blocks[i].last + 1;
        json_t *pages = NULL;
        residency_start(&writer->residency, &writer->session->target, blocks[i].start, end);
        uint64_t resident =
            count_resident(writer, blocks[i].start, end, true, writer->detail == MAP_WHOLE ? &pages : NULL);
        residency_end(&writer->residency);
        json_t *json = json_pack("{s:I, s:I, s:I}", "start", (json_int_t)blocks[i].start, "bytes",
                                 (json_int_t)(end - blocks[i].start), "resident", (json_int_t)resident);
        if (pages != NULL) {
            json_object_set_new(json, "pages", pages);
        }
        write_line(writer, json);
    }
    free(blocks);
}

static void write_heaps(struct writer *writer) {
    struct engine *engine = &writer->session->engine;
    for (size_t i = 0; i < engine->heap_count; i++) {
        const struct engine_heap *heap = &engine->heap_list[i];
        pid_t thread = heap->in_use ? target_thread_of(engine->target, heap->thread) : 0;
        write_line(writer, json_pack("{s:I, s:b, s:i}", "id", (json_int_t)heap->id, "in_use", heap->in_use, "thread",
                                     (int)thread));
    }
}

/* --- The MeMS heap, HMM ------------------------------------------------------------------------------------------- */

static bool write_segment(const struct space_segment *segment, void *context) {
    write_line(context,
               json_pack("{s:I, s:I, s:I, s:s, s:I, s:I, s:I}", "space", (json_int_t)segment->space, "main_start",
                         (json_int_t)segment->main_start, "main_last", (json_int_t)segment->main_last, "kind",
                         space_kind_names[segment->kind], "start", (json_int_t)segment->start, "last",
                         (json_int_t)segment->last, "physical", (json_int_t)segment->physical));
    return true;
}

static bool write_block(const struct hmm_block *block, void *context) {
    static const char *const states[] = {[HMM_USED] = "live", [HMM_CACHED] = "cached", [HMM_FREE] = "free"};
    write_line(context, json_pack("{s:I, s:I, s:s}", "start", (json_int_t)block->payload, "size",
                                  (json_int_t)block->room, "state", states[block->state]));
    return true;
}

/* --- All ---------------------------------------------------------------------------------------------------------- */

static void write_member(struct writer *writer, const char *name, json_t *json) {
    fprintf(writer->to, "\"%s\": ", name);
    json_dumpf(json, writer->to, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    json_decref(json);
    fputs(",\n", writer->to);
}

static void begin_array(struct writer *writer, const char *name) {
    fprintf(writer->to, "\"%s\": [", name);
    writer->any = false;
}

static void begin(struct writer *writer, struct session *session, FILE *to, enum map_detail detail) {
    *writer = (struct writer){.session = session, .to = to, .detail = detail};
    if (session->has_engine && detail == MAP_WHOLE) {
        find_cached(writer);
    }
    fputs("{", to);
    write_member(writer, "target", session_json(session));
    write_member(writer, "now_s", json_integer((json_int_t)session_now(session)));
    write_member(writer, "page", json_integer((json_int_t)session->target.page_size));
    write_member(writer, "unit", json_integer(session->has_engine ? (json_int_t)session->engine.unit : 0));
    write_member(writer, "abandoned",
                 json_integer(session->has_engine ? (json_int_t)session->engine.heap_abandoned : 0));
    if (session->has_engine) {
        begin_array(writer, "heaps");
        write_heaps(writer);
        fputs("],\n", to);
    }
}

/* The spans' `first` has the indices of `names`. */
static void end(struct writer *writer) {
    begin_array(writer, "names");
    for (size_t i = 0; i < writer->names.count; i++) {
        fputs(i != 0 ? ",\n" : "\n", writer->to);
        json_t *text = json_text(writer->names.texts[i]);
        json_dumpf(text, writer->to, JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
        json_decref(text);
    }
    fputs("]}\n", writer->to);
    known_free(&writer->words, free);
    texts_free(&writer->names);
    free(writer->cached);
}

void map_json(struct session *session, FILE *to, enum map_detail detail) {
    struct writer writer;
    uint64_t where;
    struct layout *spaces = layouts_of(&session->layouts, ROOT_SPACES);
    struct layout *hmm = layouts_of(&session->layouts, ROOT_HMM);
    begin(&writer, session, to, detail);
    if (session->has_engine) {
        map_samples(session, to);
    }
    begin_array(&writer, "spans");
    if (session->has_engine) {
        write_spans(&writer);
    }
    fputs("],\n", to);
    begin_array(&writer, "huge");
    if (session->has_engine) {
        write_huge(&writer);
    }
    fputs("],\n", to);
    begin_array(&writer, "segments");
    if (spaces != NULL) {
        spaces_walk(&session->target, spaces, write_segment, &writer);
    }
    fputs("],\n", to);
    begin_array(&writer, "blocks");
    if (hmm != NULL) {
        hmm_walk(&session->target, hmm, write_block, &writer, &where);
    }
    fputs("],\n", to);
    end(&writer);
}

bool map_json_place(struct session *session, uint64_t address, FILE *to) {
    struct engine *engine = &session->engine;
    struct engine_walk walk;
    struct writer writer;
    if (!engine_walk_to(&walk, engine, address)) {
        return false;
    }
    begin(&writer, session, to, MAP_WHOLE);
    residency_start(&writer.residency, engine->target, walk.span.start,
                    walk.span.start + walk.span.units * engine->unit);
    write_member(&writer, "span", span_json(&writer, &walk));
    residency_end(&writer.residency);
    end(&writer);
    engine_walk_end(&walk);
    return true;
}
