/*
 * origin.h - the origins of sampled blocks: the samples are read once for all questions of a verb.
 */
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

/* The sample whose block, page or guard an address lies in (samples_find); NULL: none. */
const struct sample *origins_find(struct origins *origins, uint64_t address);

/* The live sample whose block starts at an address; NULL: none does. */
const struct sample *origins_of(struct origins *origins, uint64_t start);

/* Whether the target has taken any sample. */
bool origins_known(struct origins *origins);

/* "  allocated 3 s ago by thread 4711", and the stack below it. */
void origins_print(struct origins *origins, const char *what, const struct sample_event *event, FILE *output);
json_t *origins_json(struct origins *origins, const struct sample_event *event);
