/* check.c - `mems check`: checks the invariants of the heaps' structures from outside. A live process is stopped while
 * its metadata is copied, when no thread holds a lock of the heap; then the copy is examined. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/check.h"
#include "check/in_flight.h"
#include "support/json.h"
#include "support/support.h"
#include "support/text.h"
#include "verbs.h"
#include "walk/spaces.h"

/* How often to stop a process because a thread holds a lock, and the longest pause in between. */
#define STOPS_MOST 100
#define PAUSE_MOST_MS 20

/* LOOKS_IN_FLIGHT for when a lock is held, and for the other heaps: with one thread, HMM takes no lock. */
#define LOOKS_MOST 20u

void check_find(struct check *check, const char *heap, uint64_t where, const char *format, ...) {
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

void check_count(struct check *check, uint64_t where, const char *what, uint64_t counted, uint64_t told) {
    if (counted != told) {
        FIND(check, where, "%s: counted %" PRIu64 ", but the heap says %" PRIu64, what, counted, told);
    }
}

void check_number(struct check *check, const char *what, uint64_t counted, const char *member, const char *field) {
    struct engine *engine = check->engine;
    const uint64_t structure = engine_structure(engine, member);
    uint64_t told;
    if (!field_read(engine->target, structure, layout_field(engine->layout, field), &told)) {
        FIND(check, structure, "%s cannot be read", field);
    } else {
        check_count(check, structure, what, counted, told);
    }
}

uint64_t check_entry(const struct engine *engine, uint64_t unit) {
    uint64_t entry = 0;
    target_read_number(engine->target, engine->page_map + unit * 4, 4, &entry);
    return entry;
}

bool check_list(struct check *check, uint64_t head, struct field link, const char *what,
                void (*visit)(struct check *check, uint64_t structure, void *context), void *context) {
    struct engine *engine = check->engine;
    const struct field next = layout_field(engine->layout, "list.next");
    const struct field prev = layout_field(engine->layout, "list.prev");
    struct circle circle = {0};
    uint64_t after;
    uint64_t back;
    for (uint64_t at = head;; at = after) {
        if (circle_closed(&circle, at) || !field_read(engine->target, at, next, &after) ||
            !field_read(engine->target, after, prev, &back) || back != at) {
            FIND(check, at, "%s", what);
            return false;
        }
        if (after == head) {
            return true;
        }
        visit(check, after - link.offset, context);
    }
}

/* --- The other heaps ---------------------------------------------------------------------------------------------- */

static void forget(struct check *check) {
    json_array_clear(check->findings);
    check->found = check->segments = check->blocks = 0;
    check->slabs = check->slots = check->spans = check->cached = 0;
}

static void check_others(struct check *check) {
    struct layout *layout = layouts_of(&check->session->layouts, ROOT_SPACES);
    if (layout != NULL) {
        check_spaces(check, layout);
    }
    layout = layouts_of(&check->session->layouts, ROOT_HMM);
    if (layout != NULL) {
        check_hmm(check, layout);
    }
}

/* --- A moment without a lock -------------------------------------------------------------------------------------- */

static bool is_held(struct target *target, struct layout *layout, uint64_t structure, const char *name) {
    uint64_t state;
    return field_read(target, structure, layout_field(layout, name), &state) && state != 0;
}

static const char lock_names[] =
    "mems_root.spans spans.lock.state mems_root.heaps heaps.lock.state mems_root.metadata metadata.lock.state "
    "mems_root.huge_table huge_table.lock.state mems_root.samples samples.lock.state mems_root.abandoned "
    "abandoned abandoned.lock.state heap.lock.state";

static const char *engine_lock(struct engine *engine) {
    struct layout *layout = engine->layout;
    if (!layout_has(layout, "whether a thread holds a lock of the engine", lock_names)) {
        return NULL;
    }
    static const char *const tables[][2] = {{"mems_root.spans", "spans.lock.state"},
                                            {"mems_root.heaps", "heaps.lock.state"},
                                            {"mems_root.metadata", "metadata.lock.state"},
                                            {"mems_root.huge_table", "huge_table.lock.state"},
                                            {"mems_root.samples", "samples.lock.state"}};
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        uint64_t structure;
        if (field_read(engine->target, layout->start, layout_field(layout, tables[i][0]), &structure) &&
            is_held(engine->target, layout, structure, tables[i][1])) {
            return tables[i][1];
        }
    }
    for (unsigned size_class = 0; size_class < engine->class_count; size_class++) {
        uint64_t at = engine_structure(engine, "mems_root.abandoned") +
                      size_class * (uint64_t)layout_field(layout, "abandoned").size;
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

const char *check_lock(struct session *session) {
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
    static const char hmm_names[] = "hmm_root.lock.state";
    if (hmm != NULL && layout_has(hmm, "whether a thread holds the lock of HMM", hmm_names) &&
        is_held(&session->target, hmm, hmm->start, "hmm_root.lock.state")) {
        return "hmm_root.lock.state";
    }
    return NULL;
}

/* Copies what the check of the engine reads. */
void check_copy_metadata(struct session *session) {
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

static void check_engine(struct check *check) {
    if (check->session->has_engine) {
        check->engine = &check->session->engine;
        check_window(check);
        check_free_spans(check);
        check_huge(check);
        check_heaps(check);
        check_inboxes(check);
    }
}

int check_stop(struct session *session, const char **held, double *since) {
    struct target *target = &session->target;
    const char *why;
    for (int stops = 1;; stops++) {
        *since = now_seconds();
        if (!target_stop(target, &why)) {
            fail("process %d: %s", target->pid, why);
        }
        session_refresh(session, false);
        *held = check_lock(session);
        if (*held == NULL || stops == STOPS_MOST) {
            return stops;
        }
        target_continue(target);
        /* The lock's holder may be waiting for a processor. */
        usleep(stops < PAUSE_MOST_MS ? 1000u * (unsigned)stops : 1000u * PAUSE_MOST_MS);
    }
}

/* While a living process is stopped: copies what the engine's check reads, and checks the other heaps. */
static void take_moment(struct check *check) {
    struct session *session = check->session;
    if (session->target.kind != TARGET_LIVE) {
        check->held = check_lock(session);
        check->in_flight = in_flight_threads(session);
        check_others(check);
        return;
    }
    double start;
    check->attempts += check_stop(session, &check->held, &start);
    target_read_registers(&session->target);
    check->in_flight = in_flight_threads(session);
    if (session->has_engine) {
        check_copy_metadata(session);
    }
    check_others(check);
    target_continue(&session->target);
    check->pause = now_seconds() - start;
}

/* Damage is permanent; a change in progress is not. */
static void look_at_structures(struct check *check) {
    for (unsigned looks = 1;; looks++) {
        forget(check);
        take_moment(check);
        const bool others = check->found != 0;
        check_engine(check);
        if (check->session->target.kind != TARGET_LIVE || check->found == 0 ||
            looks >= (others || check->held != NULL ? LOOKS_MOST
                      : check->in_flight != 0       ? LOOKS_IN_FLIGHT
                                                    : 1)) {
            return;
        }
        usleep(1000);
    }
}

static void look(struct check *check) {
    look_at_structures(check);
    if (check->session->has_engine && check->session->target.kind != TARGET_SAVED) {
        check_canaries(check);
    }
}

void check_read(struct session *session) {
    struct check check = {.session = session, .findings = json_array()};
    check_lock(session);
    check_others(&check);
    check_engine(&check);
    json_decref(check.findings);
}

/* --- The verb ----------------------------------------------------------------------------------------------------- */

/* A process that runs on changes while it is saved. */
static bool of_one_moment(const struct check *check) {
    return check->session->target.kind != TARGET_SAVED || check->session->target.saved_stopped;
}

/* Whether the findings must be damage. */
static bool is_certain(const struct check *check) {
    return check->held == NULL && of_one_moment(check);
}

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
    for (size_t i = 0; i < check->session->layouts.count; i++) {
        const struct layout *layout = &check->session->layouts.layouts[i];
        for (size_t j = 0; j < layout->lack_count; j++) {
            printf("not checked: %s, because the library does not describe %s\n", layout->lacks[j].report,
                   layout->lacks[j].name);
        }
    }
    if (check->held != NULL) {
        printf("a thread holds a lock (%.*s): what it is changing may look damaged\n", (int)strcspn(check->held, "."),
               check->held);
    }
    if (!of_one_moment(check)) {
        printf("it was saved while the process ran: what was changing may look damaged\n");
    }
    printf("%s: %" PRIu64 " spans, %" PRIu64 " slabs, %" PRIu64 " slots, %" PRIu64 " cached blocks, %" PRIu64
           " segments of the MeMS heap, %" PRIu64 " blocks of HMM\n",
           check->found == 0   ? "all is well"
           : is_certain(check) ? "damaged"
                               : "perhaps damaged",
           check->spans, check->slabs, check->slots, check->cached, check->segments, check->blocks);
    if (check->session->target.kind == TARGET_LIVE) {
        printf("the process was stopped for %.1f ms%s\n", check->pause * 1000,
               check->attempts > 1 ? ", and before that for moments" : "");
    }
}

int verb_check(const struct arguments *arguments) {
    struct session session;
    struct check check = {.session = &session, .findings = json_array()};
    session_open(&session, arguments->words[0], true);
    look(&check);
    if (arguments->json) {
        print_json(json_pack(
            "{s:o, s:O, s:I, s:b, s:f, s:i, s:s?, s:I, s:I, s:I, s:I, s:I, s:I}", "target", session_json(&session),
            "findings", check.findings, "found", (json_int_t)check.found, "certain", is_certain(&check), "pause_ms",
            check.pause * 1000, "attempts", check.attempts, "lock_held", check.held, "spans", (json_int_t)check.spans,
            "slabs", (json_int_t)check.slabs, "slots", (json_int_t)check.slots, "cached", (json_int_t)check.cached,
            "segments", (json_int_t)check.segments, "blocks", (json_int_t)check.blocks));
    } else {
        print_text(&check);
    }
    const int status = check.found == 0 ? EXIT_FINE : is_certain(&check) ? EXIT_FOUND : EXIT_TROUBLE;
    json_decref(check.findings);
    session_close(&session);
    return status;
}
