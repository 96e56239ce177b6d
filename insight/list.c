/*
 * list.c - `mems list`: the processes on the libraries.
 */
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"
#include "support.h"
#include "text.h"
#include "verbs.h"

/* A process on one of the libraries, or one that might be. */
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

/* Whole slots and large blocks in users' hands, and huge ones. */
static uint64_t live_bytes(struct engine *engine) {
    uint64_t sum = 0;
    struct engine_walk walk;
    engine_walk_start(&walk, engine, 0);
    while (engine_walk_next(&walk)) {
        if (walk.span.kind == SPAN_SLAB) {
            uint64_t slots[STATES];
            engine_slab_states(&walk, slots);
            sum += slots[STATE_LIVE] * engine->classes[walk.span.size_class].size;
        } else if (walk.span.kind == SPAN_LARGE && walk.span.live) {
            sum += walk.span.size;
        }
    }
    engine_walk_end(&walk);
    size_t count;
    struct engine_huge *huge = engine_huge_blocks(engine, &count);
    for (size_t i = 0; i < count; i++) {
        sum += huge[i].last - huge[i].start + 1;
    }
    free(huge);
    return sum;
}

static char *mode_of(struct engine *engine) {
    struct engine_heap heap = {.checks_every = true};
    engine_heap(engine, 1, &heap);
    return make_text("check=%s,decay_ms=%lu", heap.checks_every ? "every" : "deferred", engine->decay_ms);
}

/* Looks at a process; false when it is not on the libraries, or nobody can tell. */
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
    bool ours = false;
    if (found->denied) {
        for (size_t i = 0; i < target.mapping_count && !ours; i++) {
            ours = strstr(target.mappings[i].path, "/libmems.so") != NULL ||
                   strstr(target.mappings[i].path, "/libhmm.so") != NULL;
        }
    } else {
        layouts_find(&layouts, &target);
        struct layout *layout = layouts_of(&layouts, ROOT_ENGINE);
        struct engine engine;
        ours = layouts.count != 0;
        found->library = ours ? layouts.layouts[0].library : 0;
        found->heaps = layout != NULL ? "mems" : "hmm";
        if (layout != NULL) {
            engine_open(&engine, &target, layout);
            found->live_known = engine.trouble == NULL;
            found->live = found->live_known ? live_bytes(&engine) : 0;
            found->mode = found->live_known ? mode_of(&engine) : copy_text("not started");
            engine_close(&engine);
        }
        layouts_free(&layouts);
    }
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
        json_object_set_new(json, "mode", json_string(found->mode));
    }
    return json;
}

int verb_list(const struct arguments *arguments) {
    json_t *list = json_array();
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    if (folder == NULL) {
        fail("/proc cannot be read: it has to be mounted");
    }
    if (!arguments->json) {
        printf("%s     pid program                 Rss       live  library     mode%s\n", colour(COLOUR_BOLD),
               colour_off());
    }
    while ((entry = readdir(folder)) != NULL) {
        uint64_t pid;
        struct found found;
        if (!parse_number(entry->d_name, &pid) || pid > INT_MAX || !look((pid_t)pid, &found)) {
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
    closedir(folder);
    if (arguments->json) {
        print_json(json_pack("{s:O}", "processes", list));
    }
    json_decref(list);
    return EXIT_FINE;
}
