#include "samples/flame.h"

#include "mems.h"
#include "pages/page.h"
#include "support/support.h"

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
#define VERSION_TEXT(major, minor, patch) TEXT(major) "." TEXT(minor) "." TEXT(patch)

static void write_profile(FILE *to, void *context) {
    json_dumpf(context, to, JSON_COMPACT | JSON_ENSURE_ASCII);
}

void flame_html(json_t *profile, FILE *to) {
    page_write(to, "profile.html", write_profile, profile);
}

/* --- Speedscope --------------------------------------------------------------------------------------------------- */

/* By the frame's name; adds it if necessary. */
static json_t *frame_index(json_t *indices, json_t *frames, const char *name) {
    json_t *index = json_object_get(indices, name);
    if (index == NULL) {
        json_object_set_new(indices, name, json_integer((json_int_t)json_array_size(frames)));
        json_array_append_new(frames, json_pack("{s:s}", "name", name));
        index = json_object_get(indices, name);
    }
    return index;
}

static json_t *samples_json(json_t *stacks, json_t *frames) {
    json_t *samples = json_array();
    json_t *indices = json_object();
    for (size_t i = 0; i < json_array_size(stacks); i++) {
        json_t *sample = json_array();
        json_t *names = json_object_get(json_array_get(stacks, i), "frames");
        for (size_t j = 0; j < json_array_size(names); j++) {
            json_array_append(sample, frame_index(indices, frames, json_string_value(json_array_get(names, j))));
        }
        json_array_append_new(samples, sample);
    }
    json_decref(indices);
    return samples;
}

static json_t *measure_json(json_t *measure, size_t which, json_t *stacks, json_t *samples) {
    json_t *weights = json_array();
    double sum = 0;
    for (size_t i = 0; i < json_array_size(stacks); i++) {
        json_t *value = json_array_get(json_object_get(json_array_get(stacks, i), "values"), which);
        json_array_append(weights, value);
        sum += json_number_value(value);
    }
    return json_pack("{s:s, s:O, s:O, s:i, s:f, s:O, s:o}", "type", "sampled", "name", json_object_get(measure, "name"),
                     "unit", json_object_get(measure, "unit"), "startValue", 0, "endValue", sum, "samples", samples,
                     "weights", weights);
}

void flame_speedscope(json_t *profile, FILE *to) {
    json_t *stacks = json_object_get(profile, "stacks");
    json_t *frames = json_array();
    json_t *samples = samples_json(stacks, frames);
    json_t *profiles = json_array();
    json_t *measures = json_object_get(profile, "measures");
    for (size_t i = 0; i < json_array_size(measures); i++) {
        json_array_append_new(profiles, measure_json(json_array_get(measures, i), i, stacks, samples));
    }
    json_t *file =
        json_pack("{s:s, s:O, s:s, s:{s:o}, s:o}", "$schema", "https://www.speedscope.app/file-format-schema.json",
                  "name", json_object_get(profile, "title"), "exporter",
                  "mems " VERSION_TEXT(MEMS_VERSION_MAJOR, MEMS_VERSION_MINOR, MEMS_VERSION_PATCH), "shared", "frames",
                  frames, "profiles", profiles);
    json_decref(samples);
    if (file == NULL || json_dumpf(file, to, JSON_COMPACT | JSON_ENSURE_ASCII) != 0) {
        fail("cannot write the profile for speedscope");
    }
    fputc('\n', to);
    json_decref(file);
}
