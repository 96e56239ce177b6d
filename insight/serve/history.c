#include "serve/history.h"

#include "support/json.h"
#include "support/support.h"

#define LIST_SAMPLES 60u

static json_t *number(uint64_t value) {
    return json_integer((json_int_t)value);
}

/* The newest `most`, by time. */
static json_t *samples_json(const struct watched *watched, size_t most) {
    json_t *time = json_array();
    json_t *rss = json_array();
    size_t count = (size_t)smaller(smaller(watched->sample_count, SAMPLES_MOST), most);
    for (size_t i = watched->sample_count - count; i < watched->sample_count; i++) {
        const struct sample *sample = &watched->samples[i % SAMPLES_MOST];
        json_array_append_new(time, json_real(sample->time));
        json_array_append_new(rss, number(sample->rss));
    }
    return json_pack("{s:o, s:o}", "time", time, "rss", rss);
}

static json_t *looks_json(const struct watched *watched) {
    json_t *time = json_array();
    json_t *rows = json_object();
    json_t *counters = json_object();
    size_t count = (size_t)smaller(watched->look_count, LOOKS_MOST);
    size_t first = watched->look_count - count;
    for (size_t i = first; i < watched->look_count; i++) {
        json_array_append_new(time, json_real(watched->looks[i % LOOKS_MOST].time));
    }
    for (unsigned row = 0; row < ROWS; row++) {
        json_t *values = json_array();
        bool any = false;
        for (size_t i = first; i < watched->look_count; i++) {
            int64_t bytes = watched->looks[i % LOOKS_MOST].resident[row];
            json_array_append_new(values, json_integer(bytes));
            any |= bytes != 0;
        }
        if (any) {
            json_object_set(rows, row_texts[row].name, values);
        }
        json_decref(values);
    }
    for (unsigned counter = 0; counter < COUNTERS; counter++) {
        json_t *values = json_array();
        for (size_t i = first; i < watched->look_count; i++) {
            json_array_append_new(values, number(watched->looks[i % LOOKS_MOST].counters[counter]));
        }
        json_object_set_new(counters, counter_names[counter], values);
    }
    return json_pack("{s:o, s:o, s:o}", "time", time, "rows", rows, "counters", counters);
}

static json_t *process_json(const struct watched *watched) {
    json_t *json = json_pack("{s:i, s:o, s:o, s:I, s:b, s:f}", "pid", (int)watched->pid, "program",
                             json_text(watched->program), "cgroup", json_text(watched->cgroup), "rss",
                             (json_int_t)watched->rss, "denied", watched->denied, "look_cost", watched->cost);
    if (watched->trouble != NULL) {
        json_object_set_new(json, "trouble", json_text(watched->trouble));
    }
    if (watched->look_count != 0) {
        if (watched_readable(watched)) {
            json_object_set_new(json, "live", number(watched_live(watched)));
        }
        json_object_set_new(json, "looked", json_real(watched->looks[(watched->look_count - 1) % LOOKS_MOST].time));
        json_t *target = json_loads(watched->stats->target, 0, NULL);
        json_object_set(json, "heaps", json_object_get(target, "heaps"));
        json_decref(target);
    }
    return json;
}

json_t *history_list(const struct watch *watch) {
    json_t *processes = json_array();
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->processes[i].ours) {
            json_t *json = process_json(&watch->processes[i]);
            json_object_set_new(json, "samples", samples_json(&watch->processes[i], LIST_SAMPLES));
            json_array_append_new(processes, json);
        }
    }
    return json_pack("{s:f, s:o}", "now", watch_clock(), "processes", processes);
}

json_t *history_of(const struct watched *watched) {
    json_t *json = json_pack("{s:f, s:o, s:o, s:o}", "now", watch_clock(), "process", process_json(watched), "samples",
                             samples_json(watched, SAMPLES_MOST), "looks", looks_json(watched));
    if (watched->stats != NULL) {
        json_object_set_new(json, "stats", stats_json(watched->stats));
    }
    return json;
}
