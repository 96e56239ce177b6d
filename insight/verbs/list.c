/*
 * list.c - `mems list`: the processes on the libraries.
 */
#include <stdlib.h>

#include "support/json.h"
#include "support/support.h"
#include "support/text.h"
#include "target/proc.h"
#include "verbs.h"
#include "walk/engine_heaps.h"
#include "walk/engine_spans.h"
#include "walk/hmm.h"

/* On one of the libraries, or perhaps so. */
struct found {
    pid_t pid;
    char *program;
    uint64_t rss;
    uint64_t live; /* bytes of the engine's live blocks */
    bool live_known;
    uint32_t library;
    const char *heaps;
    char *mode;
    bool denied;
};

static uint64_t rss_of(const struct target *target) {
    uint64_t rss = 0;
    for (size_t i = 0; i < target->mapping_count; i++) {
        rss += target->mappings[i].rss;
    }
    return rss;
}

static char *mode_of(struct engine *engine) {
    struct engine_heap heap = {.checks_every = true};
    engine_heap(engine, 1, &heap);
    return make_text("check=%s,decay_ms=%lu", heap.checks_every ? "every" : "deferred", engine->decay_ms);
}

/* Of both libraries, the one that came first serves the process. */
static void look_into(struct target *target, struct layouts *layouts, struct found *found) {
    struct layout *layout = layouts_of(layouts, ROOT_ENGINE);
    struct layout *hmm = layouts_of(layouts, ROOT_HMM);
    struct engine engine = {.trouble = ""};
    if (layout != NULL) {
        engine_open(&engine, target, layout);
    }
    if (engine.trouble == NULL || hmm == NULL) {
        found->heaps = "mems";
        found->live_known = engine.trouble == NULL;
        found->live = found->live_known ? engine_live_bytes(&engine) : 0;
        found->mode = found->live_known ? mode_of(&engine) : copy_text("not started");
    } else {
        layout = hmm;
        found->heaps = "hmm";
        found->live_known = hmm_live_bytes(target, hmm, &found->live);
        found->mode = copy_text("");
    }
    found->library = layout != NULL ? layout->library : layouts->layouts[0].library;
    engine_close(&engine);
}

/* False if it is not on the libraries, or that is unknown. */
static bool look(pid_t pid, struct found *found) {
    struct target target;
    struct layouts layouts;
    const char *why;
    if (!target_open_live(&target, pid, &why)) {
        target_close(&target);
        return false;
    }
    *found = (struct found){.pid = pid, .program = copy_text(target.program), .rss = rss_of(&target), .heaps = "?"};
    found->denied = target.denied != NULL;
    bool ours = layouts_recognize(&layouts, &target);
    if (!found->denied && ours) {
        look_into(&target, &layouts, found);
    }
    layouts_free(&layouts);
    target_close(&target);
    if (!ours) {
        free(found->program);
        free(found->mode);
    }
    return ours;
}

static void print_found(const struct found *found) {
    printf("%8d %-16s %10s %10s  ", found->pid, found->program, text_size(found->rss),
           found->live_known ? text_size(found->live) : "-");
    if (found->denied) {
        printf("reading its memory is refused\n");
    } else {
        printf("lib%s %u.%u.%u  %s\n", found->heaps, found->library / 10000, found->library / 100 % 100,
               found->library % 100, found->mode != NULL ? found->mode : "");
    }
}

static json_t *found_json(const struct found *found) {
    json_t *json = json_pack("{s:i, s:o, s:I, s:b}", "pid", found->pid, "program", json_text(found->program), "rss",
                             (json_int_t)found->rss, "denied", found->denied);
    if (!found->denied) {
        json_object_set_new(json, "library", json_string(found->heaps));
        json_object_set_new(json, "version", json_integer(found->library));
    }
    if (found->live_known) {
        json_object_set_new(json, "live", json_integer((json_int_t)found->live));
    }
    if (found->live_known && *found->mode != '\0') {
        json_object_set_new(json, "mode", json_string(found->mode));
    }
    return json;
}

int verb_list(const struct arguments *arguments) {
    json_t *list = json_array();
    DIR *folder = proc_visit(0);
    if (!arguments->json) {
        printf("%s     pid program                 Rss       live  library     mode%s\n", colour(COLOUR_BOLD),
               colour_off());
    }
    for (pid_t pid; (pid = proc_next(folder)) != 0;) {
        struct found found;
        if (!look(pid, &found)) {
            continue;
        }
        if (arguments->json) {
            json_array_append_new(list, found_json(&found));
        } else {
            print_found(&found);
        }
        free(found.program);
        free(found.mode);
    }
    if (arguments->json) {
        print_json(json_pack("{s:O}", "processes", list));
    }
    json_decref(list);
    return EXIT_FINE;
}
