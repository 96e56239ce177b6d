#include "samples/origin.h"

#include <stdlib.h>

#include "samples/profile.h"
#include "support/json.h"
#include "support/support.h"
#include "support/text.h"

/* Columns before a stack. */
#define INDENT 6u

static void open(struct origins *origins) {
    if (!origins->asked) {
        origins->asked = true;
        origins->known = samples_read(&origins->samples, origins->session);
        calls_open(&origins->calls, origins->session);
    }
}

void origins_close(struct origins *origins) {
    if (origins->asked) {
        calls_close(&origins->calls);
        samples_free(&origins->samples);
    }
}

const struct sample *origins_find(struct origins *origins, uint64_t address) {
    open(origins);
    return origins->known ? samples_find(&origins->samples, address) : NULL;
}

const struct sample *origins_of(struct origins *origins, uint64_t start) {
    const struct sample *sample = origins_find(origins, start);
    return sample != NULL && sample->live && sample->start == start ? sample : NULL;
}

bool origins_known(struct origins *origins) {
    open(origins);
    return origins->known && origins->samples.count != 0;
}

static uint64_t age_ms(const struct origins *origins, const struct sample_event *event) {
    const uint64_t now = origins->samples.now_ms;
    return now - smaller(event->ms, now);
}

void origins_print(struct origins *origins, const char *what, const struct sample_event *event, FILE *output) {
    char *thread = samples_thread(origins->session, event);
    fprintf(output, "  %s %s ago by %s\n", what, text_age(age_ms(origins, event) / 1000), thread);
    free(thread);
    calls_print(&origins->calls, event->calls, INDENT, output);
}

json_t *origins_json(struct origins *origins, const struct sample_event *event) {
    char *thread = samples_thread(origins->session, event);
    json_t *json = json_pack("{s:I, s:o, s:o}", "age_ms", (json_int_t)age_ms(origins, event), "thread",
                             json_text(thread), "frames", profile_stack_json(&origins->calls, event->calls));
    free(thread);
    return json;
}
