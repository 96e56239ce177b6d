/* origin.h - the origins of sampled blocks. The samples are read once for all questions of a verb. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "samples/calls.h"
#include "samples/samples.h"

/* Initially all zero except the session. */
struct origins {
    struct session *session;
    bool asked;
    bool known;
    struct samples samples;
    struct calls calls;
};

void origins_close(struct origins *origins);

/* By an address in its block, page or guard (samples_find); or NULL. */
const struct sample *origins_find(struct origins *origins, uint64_t address);

/* A live one, by its block's start; or NULL. */
const struct sample *origins_of(struct origins *origins, uint64_t start);

/* Whether the target has taken any sample. */
bool origins_known(struct origins *origins);

/* " allocated 3 s ago by thread 4711", and the stack below. */
void origins_print(struct origins *origins, const char *what, const struct sample_event *event, FILE *output);
json_t *origins_json(struct origins *origins, const struct sample_event *event);
