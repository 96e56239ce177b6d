#include "walk/session.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/json.h"
#include "support/support.h"

static void open_engine(struct session *session, bool needs_heap) {
    struct layout *layout = layouts_of(&session->layouts, ROOT_ENGINE);
    if (layout == NULL) {
        return;
    }
    for (size_t i = 0; i < session->layouts.count && needs_heap; i++) {
        const struct layout *other = &session->layouts.layouts[i];
        if (other->heap == ROOT_ENGINE && other != layout) {
            warn("%s: it has several engines; this is that of %s", session->target.name, layout->module);
        }
    }
    engine_open(&session->engine, &session->target, layout);
    session->has_engine = session->engine.trouble == NULL;
    if (!session->has_engine && needs_heap) {
        warn("%s: the engine's heap: %s", session->target.name, session->engine.trouble);
    }
}

static void open_target(struct session *session, const char *name, bool needs_heap, struct record *record) {
    memset(session, 0, sizeof *session);
    target_open(&session->target, name);
    session->target.record = record;
    if (session->target.denied != NULL) {
        if (needs_heap) {
            fail("%s: %s", name, session->target.denied);
        }
        warn("%s: %s; the rest comes from the kernel alone", name, session->target.denied);
        return;
    }
    layouts_find(&session->layouts, &session->target);
    if (session->layouts.count == 0) {
        if (needs_heap) {
            fail("%s: there is no heap of libmems or libhmm in it; `mems run -- COMMAND` starts a program on libmems",
                 name);
        }
        warn("%s: there is no heap of libmems or libhmm in it; `mems run -- COMMAND` starts a program on libmems",
             name);
    }
    open_engine(session, needs_heap);
}

void session_open(struct session *session, const char *name, bool needs_heap) {
    open_target(session, name, needs_heap, NULL);
}

void session_open_to_save(struct session *session, const char *name, struct record *record) {
    open_target(session, name, true, record);
}

bool session_refresh(struct session *session, bool with_usage) {
    struct target *target = &session->target;
    if (session->has_engine) {
        engine_close(&session->engine);
    }
    session->has_engine = false;
    target_drop_copies(target);
    const bool there = with_usage ? target_update_mappings(target) : target_read_places(target);
    target_update_threads(target);
    open_engine(session, false);
    return there;
}

bool session_has_root(struct session *session) {
    char magic[8];
    return target_read(&session->target, session->layouts.layouts[0].root, magic, sizeof magic) &&
           memcmp(magic, ROOT_MAGIC, sizeof magic) == 0;
}

void session_close(struct session *session) {
    if (session->symbols != NULL) {
        symbols_close(session->symbols);
    }
    if (session->has_engine) {
        engine_close(&session->engine);
    }
    layouts_free(&session->layouts);
    target_close(&session->target);
}

struct symbols *session_symbols(struct session *session) {
    if (session->symbols == NULL) {
        session->symbols = symbols_open(&session->target);
    }
    return session->symbols;
}

char *session_name(struct session *session, uint64_t address) {
    return symbols_name(session_symbols(session), address);
}

uint64_t session_now(const struct session *session) {
    struct timespec now;
    return session->target.kind != TARGET_LIVE         ? session->target.saved_now
           : clock_gettime(CLOCK_MONOTONIC, &now) == 0 ? (uint64_t)now.tv_sec
                                                       : 0;
}

char *session_title(const struct session *session) {
    const struct target *target = &session->target;
    char *process =
        target->pid != 0 ? make_text("process %d (%s)", target->pid, target->program) : copy_text("a process");
    if (target->kind == TARGET_LIVE) {
        return process;
    }
    char *title = make_text("%s: %s of %s", target->name, target->kind == TARGET_CORE ? "core" : "saved heap", process);
    free(process);
    if (target->signal != 0 && target->blow.has_fault) {
        char *more = make_text("%s, ended by signal %d (%s) at %#lx", title, target->signal, strsignal(target->signal),
                               target->blow.fault);
        free(title);
        title = more;
    } else if (target->signal != 0) {
        char *more = make_text("%s, ended by signal %d (%s)", title, target->signal, strsignal(target->signal));
        free(title);
        title = more;
    }
    return title;
}

static const char *heap_names[] = {[ROOT_ENGINE] = "engine", [ROOT_SPACES] = "spaces", [ROOT_HMM] = "hmm"};

json_t *session_json(const struct session *session) {
    static const char *const kinds[] = {[TARGET_LIVE] = "process", [TARGET_CORE] = "core", [TARGET_SAVED] = "saved"};
    const struct target *target = &session->target;
    json_t *heaps = json_array();
    for (size_t i = 0; i < session->layouts.count; i++) {
        const struct layout *layout = &session->layouts.layouts[i];
        json_t *lacks = json_array();
        for (size_t j = 0; j < layout->lack_count; j++) {
            json_array_append_new(lacks, json_pack("{s:o, s:s}", "name", json_text(layout->lacks[j].name), "left_out",
                                                   layout->lacks[j].report));
        }
        json_array_append_new(heaps, json_pack("{s:s, s:i, s:o, s:s, s:o}", "heap", heap_names[layout->heap], "library",
                                               (int)layout->library, "module", json_text(layout->module), "build_id",
                                               layout->build_id, "lacks", lacks));
    }
    json_t *json = json_pack("{s:s, s:o, s:i, s:o, s:o}", "kind", kinds[target->kind], "name", json_text(target->name),
                             "pid", target->pid, "program", json_text(target->program), "heaps", heaps);
    if (target->signal != 0) {
        json_object_set_new(json, "signal", json_integer(target->signal));
    }
    if (target->blow.has_fault) {
        json_object_set_new(json, "fault_address", json_integer((json_int_t)target->blow.fault));
    }
    return json;
}
