/* profile_pages.c - a profile as a flame graph: a page, or a file for speedscope. */
#include <stdlib.h>

#include "samples/flame.h"
#include "samples/profile.h"
#include "support/json.h"
#include "support/support.h"
#include "walk/session.h"

/* From the outermost function to the one that allocated. */
static json_t *frames_json(struct profile *profile, const struct site *site) {
    size_t count;
    struct stack_place *places = calls_places(&profile->calls, site->stack, &count);
    json_t *frames = json_array();
    char *group = profile_group_name(profile, site);
    if (group != NULL) {
        json_array_append_new(frames, json_text(group));
    }
    for (; count != 0; count--) {
        json_array_append_new(frames, json_text(places[count - 1].code->function));
    }
    if (json_array_size(frames) == 0) {
        json_array_append_new(frames, json_string("(no stack is known)"));
    }
    free(group);
    free(places);
    return frames;
}

static json_t *flame_of(struct profile *profile) {
    const char *kind = profile_kind_name(profile->kind);
    char *bytes = make_text("%s bytes", kind);
    char *blocks = make_text("%s blocks", kind);
    char *title = session_title(profile->session);
    char *about = make_text("%s, estimated from %lu samples, one in about %lu KiB", kind, profile->total.samples,
                            profile_interval(profile) / 1024);
    json_t *stacks = json_array();
    for (size_t i = 0; i < profile->count; i++) {
        const struct site *site = &profile->sites[i];
        json_array_append_new(stacks, json_pack("{s:o, s:[f, f], s:[f, f]}", "frames", frames_json(profile, site),
                                                "values", site->value.bytes, site->value.blocks, "errors",
                                                estimate_deviation(site->value.bytes_variance, site->value.samples),
                                                estimate_deviation(site->value.blocks_variance, site->value.samples)));
    }
    json_t *flame =
        json_pack("{s:o, s:s, s:[{s:s, s:s}, {s:s, s:s}], s:o}", "title", json_text(title), "about", about, "measures",
                  "name", bytes, "unit", "bytes", "name", blocks, "unit", "none", "stacks", stacks);
    free(bytes);
    free(blocks);
    free(title);
    free(about);
    return flame;
}

void profile_html(struct profile *profile) {
    json_t *flame = flame_of(profile);
    flame_html(flame, stdout);
    json_decref(flame);
}

void profile_flame_json(struct profile *profile) {
    print_json(flame_of(profile));
}

void profile_speedscope(struct profile *profile) {
    json_t *flame = flame_of(profile);
    flame_speedscope(flame, stdout);
    json_decref(flame);
}
