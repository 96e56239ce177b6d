/*
 * profile_export.c - a profile for other programs: JSON, collapsed stacks for flame graphs, and the text of heap_v2.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "samples/profile.h"
#include "support/json.h"
#include "support/support.h"

/* --- Collapsed ---------------------------------------------------------------------------------------------------- */

static void print_part(const char *name, bool first) {
    if (!first) {
        putchar(';');
    }
    for (; *name != '\0'; name++) {
        putchar(*name == ';' || *name == '\n' ? ':' : *name);
    }
}

/* A line per stack, from the outermost function to the innermost, and its bytes. */
void profile_collapsed(struct profile *profile) {
    for (size_t i = 0; i < profile->count; i++) {
        const struct site *site = &profile->sites[i];
        size_t count;
        struct stack_place *places = calls_places(&profile->calls, site->stack, &count);
        char *group = profile_group_name(profile, site);
        bool first = true;
        if (group != NULL) {
            print_part(group, first);
            first = false;
        }
        for (; count != 0; count--, first = false) {
            print_part(places[count - 1].code->function, first);
        }
        if (first) {
            print_part("(no stack is known)", first);
        }
        printf(" %.0f\n", site->value.bytes);
        free(group);
        free(places);
    }
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

static json_t *estimate_json(const struct estimate *value) {
    return json_pack("{s:I, s:f, s:f, s:f, s:f}", "samples", (json_int_t)value->samples, "blocks", value->blocks,
                     "blocks_stderr", estimate_deviation(value->blocks_variance, value->samples), "bytes", value->bytes,
                     "bytes_stderr", estimate_deviation(value->bytes_variance, value->samples));
}

static json_t *place_json(const struct stack_place *place) {
    const struct call *call = place->call;
    const struct code_place *of = place->code;
    json_t *json = json_pack("{s:I, s:o, s:b}", "address", (json_int_t)call->address, "function",
                             json_text(of->function), "inlined", place->inlined);
    if (of->file != NULL) {
        json_object_set_new(json, "file", json_text(of->file));
        json_object_set_new(json, "line", json_integer(of->line));
    }
    if (call->has_module && call->module.path != NULL) {
        json_object_set_new(json, "module", json_text(call->module.path));
        json_object_set_new(json, "offset", json_integer((json_int_t)(call->address - call->module.start)));
    }
    return json;
}

json_t *profile_stack_json(struct calls *calls, const struct call_stack *stack) {
    json_t *frames = json_array();
    size_t count;
    struct stack_place *places = calls_places(calls, stack, &count);
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(frames, place_json(&places[i]));
    }
    free(places);
    return frames;
}

static json_t *lives_json(const double lives[LIVES]) {
    json_t *array = json_array();
    for (unsigned i = 0; i < LIVES; i++) {
        json_array_append_new(array, json_real(lives[i]));
    }
    return array;
}

static json_t *site_json(struct profile *profile, const struct site *site) {
    json_t *json = estimate_json(&site->value);
    char *group = profile_group_name(profile, site);
    if (group != NULL) {
        json_object_set_new(json, profile->group == GROUP_THREAD ? "thread" : "class", json_text(group));
    }
    free(group);
    if (profile->kind == PROFILE_LIFETIME) {
        json_object_set_new(json, "freed", estimate_json(&site->freed));
        json_object_set_new(json, "lives", lives_json(site->lives));
        json_object_set_new(json, "ages", lives_json(site->ages));
    }
    json_object_set_new(json, "cut", json_boolean(site->stack == NULL || site->stack->cut));
    json_object_set_new(json, "frames", profile_stack_json(&profile->calls, site->stack));
    return json;
}

void profile_json(struct profile *profile) {
    const struct samples *samples = &profile->samples;
    const size_t most = profile->most != 0 ? profile->most : SIZE_MAX;
    struct estimate other = {0};
    json_t *sites = json_array();
    for (size_t i = 0; i < profile->count; i++) {
        if (i < most) {
            json_array_append_new(sites, site_json(profile, &profile->sites[i]));
        } else {
            estimate_add(&other, &profile->sites[i].value);
        }
    }
    json_t *json = json_pack(
        "{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:o, s:o, s:o}", "target", session_json(profile->session),
        "kind", profile_kind_name(profile->kind), "interval", (json_int_t)samples->interval, "held_before",
        (json_int_t)samples->held_before, "taken", (json_int_t)samples->taken, "missed", (json_int_t)samples->missed,
        "cut", (json_int_t)samples->cut, "beyond", (json_int_t)samples->beyond, "unguarded",
        (json_int_t)samples->unguarded, "unwinder", samples->frame_pointers ? "frame pointers" : "tables", "total",
        estimate_json(&profile->total), "sites", sites, "other", estimate_json(&other));
    print_json(json);
}

/* --- heap_v2 ------------------------------------------------------------------------------------------------------ */

/* Readers take numbers of samples and bytes as raw, and scale them by the probability of their mean size, so we print
 * raw numbers that this turns into our estimate. */
static void raw_of(const struct estimate *value, uint64_t interval, uint64_t *blocks, uint64_t *bytes) {
    const double mean = value->blocks > 0 ? value->bytes / value->blocks : 0;
    const double share = interval > 1 ? -expm1(-mean / (double)interval) : 1;
    *blocks = (uint64_t)llround(value->blocks * share);
    *bytes = (uint64_t)llround(value->bytes * share);
    if (*blocks == 0 && value->samples != 0) {
        *blocks = 1;
    }
}

static void print_raw(const struct estimate *live, const struct estimate *all, uint64_t interval) {
    uint64_t live_blocks;
    uint64_t live_bytes;
    uint64_t all_blocks;
    uint64_t all_bytes;
    raw_of(live, interval, &live_blocks, &live_bytes);
    raw_of(all, interval, &all_blocks, &all_bytes);
    printf("%" PRIu64 ": %" PRIu64 " [%" PRIu64 ": %" PRIu64 "] @", live_blocks, live_bytes, all_blocks, all_bytes);
}

static void print_mappings(const struct target *target) {
    printf("\nMAPPED_LIBRARIES:\n");
    for (size_t i = 0; i < target->mapping_count; i++) {
        const struct mapping *mapping = &target->mappings[i];
        printf("%08lx-%08lx %c%c%c%c %08lx 00:00 %lu %s\n", mapping->start, mapping->end, mapping->readable ? 'r' : '-',
               mapping->writable ? 'w' : '-', mapping->executable ? 'x' : '-', mapping->shared ? 's' : 'p',
               mapping->offset, mapping->inode, mapping->path);
    }
}

/* The smallest of the current one and the samples': with a larger one, few raw samples would stand for many. */
uint64_t profile_interval(const struct profile *profile) {
    const struct samples *samples = &profile->samples;
    uint64_t interval = samples->interval != 0 ? samples->interval : UINT64_MAX;
    for (size_t i = 0; i < samples->count; i++) {
        interval = smaller(interval, larger(samples->all[i].interval, 1));
    }
    return interval != UINT64_MAX ? interval : 1;
}

void profile_heap_v2(struct profile *profile) {
    const uint64_t interval = profile_interval(profile);
    printf("heap profile: ");
    print_raw(&profile->total, &profile->samples.allocated, interval);
    printf(" heap_v2/%" PRIu64 "\n", interval);
    for (size_t i = 0; i < profile->count; i++) {
        const struct site *site = &profile->sites[i];
        const struct call_stack *stack = site->stack;
        print_raw(&site->value, &site->allocated, interval);
        for (unsigned at = 0; stack != NULL && at < stack->depth; at++) {
            printf(" 0x%" PRIx64, stack->frames[at]);
        }
        putchar('\n');
    }
    print_mappings(&profile->session->target);
}
