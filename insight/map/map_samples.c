#include "map/map_samples.h"

#include <stdlib.h>

#include "samples/calls.h"
#include "samples/samples.h"
#include "support/json.h"
#include "support/support.h"

/* A call site's functions: the one that allocated, and its callers. */
#define SITE_FUNCTIONS 4u

/* The innermost function is shown with its line or address: a function that allocates in two places has two sites. */
static char *innermost(const struct stack_place *place) {
    return place->code->file != NULL ? place_text(place->code)
                                     : make_text("%s (%#lx)", place->code->function, place->call->address);
}

/* "reserve < load < main"; the caller frees it. */
static char *site_name(struct calls *calls, const struct call_stack *stack) {
    size_t count;
    struct stack_place *places = calls_places(calls, stack, &count);
    char *text = count != 0 ? innermost(&places[0]) : copy_text("(no stack is known)");
    for (size_t i = 1; i < count && i < SITE_FUNCTIONS; i++) {
        char *before = text;
        text = make_text("%s < %s", before, places[i].code->function);
        free(before);
    }
    free(places);
    return text;
}

/* Of the samples so far, by the addresses of their stacks. */
struct sites {
    uint64_t *stacks;
    size_t count;
    json_t *names;
};

static size_t site_index(struct sites *sites, struct calls *calls, const struct sample_event *event) {
    for (size_t i = 0; i < sites->count; i++) {
        if (sites->stacks[i] == event->stack) {
            return i;
        }
    }
    char *name = site_name(calls, event->calls);
    sites->stacks = grow(sites->stacks, sites->count, sizeof *sites->stacks);
    sites->stacks[sites->count] = event->stack;
    json_array_append_new(sites->names, json_text(name));
    free(name);
    return sites->count++;
}

static json_t *sample_json(struct session *session, const struct samples *samples, const struct sample *sample,
                           size_t site) {
    const uint64_t age = samples->now_ms - smaller(sample->allocated.ms, samples->now_ms);
    char *thread = samples_thread(session, &sample->allocated);
    json_t *json = json_pack("{s:I, s:I, s:I, s:I, s:I, s:f, s:o}", "start", (json_int_t)sample->start, "size",
                             (json_int_t)sample->size, "class",
                             (json_int_t)engine_class_size(&session->engine, sample->size, 0), "site", (json_int_t)site,
                             "age_s", (json_int_t)(age / 1000), "weight", sample->weight, "thread", json_text(thread));
    free(thread);
    return json;
}

void map_samples(struct session *session, FILE *to) {
    struct samples samples;
    if (!samples_read(&samples, session)) {
        return;
    }
    struct calls calls;
    struct sites sites = {.names = json_array()};
    json_t *list = json_array();
    calls_open(&calls, session);
    for (size_t i = 0; i < samples.count; i++) {
        const struct sample *sample = &samples.all[i];
        if (sample->live) {
            size_t site = site_index(&sites, &calls, &sample->allocated);
            json_array_append_new(list, sample_json(session, &samples, sample, site));
        }
    }
    fputs("\"sites\": ", to);
    json_dumpf(sites.names, to, JSON_COMPACT | JSON_ENSURE_ASCII);
    fputs(",\n\"samples\": ", to);
    json_dumpf(list, to, JSON_COMPACT | JSON_ENSURE_ASCII);
    fputs(",\n", to);
    json_decref(sites.names);
    json_decref(list);
    free(sites.stacks);
    calls_close(&calls);
    samples_free(&samples);
}
