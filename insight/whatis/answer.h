/*
 * answer.h - what is at an address.
 */
#pragma once

#include <jansson.h>

#include "samples/origin.h"
#include "walk/engine_hardened.h"
#include "walk/session.h"

/* A neighbour of the slot in question. */
struct neighbour {
    bool exists;
    uint64_t start;
    enum engine_state state;
};

/* "", 0 and NULL: unknown, or not applicable. */
struct answer {
    uint64_t address;
    const char *kind;  /* "slot", "large block", ... */
    const char *state; /* "live", "cached", ... */
    uint64_t start;    /* of the block, the span or the mapping */
    uint64_t size;
    uint64_t slot, slots;
    uint64_t slab, slab_units;
    uint64_t slab_age;
    bool age_known;
    uint64_t heap;    /* id */
    pid_t thread;     /* of that heap */
    char owner[128];  /* "heap 3 (thread 4711)", "the arena \"a\" (heap 4)", "no heap: abandoned" */
    const char *kept; /* where a cached block lies */
    struct neighbour before, after;
    bool has_record; /* of the slot: */
    struct engine_record record;
    uint64_t handle; /* of the segment */
    bool was_handle; /* an earlier block's, at a segment's place */
    bool by_virtual; /* the address is a virtual one of the MeMS heap */
    unsigned space;
    uint64_t v_start, v_last, physical;
    char *starts_with; /* the symbol that the first word points at */
    char *symbol;      /* of the address itself */
    const struct mapping *mapping;
    const struct sample *sample; /* that the address is about */
};

/* A slot's state in words. */
extern const char *const slot_state_names[STATES];

/* answer_free frees what the answer holds. */
void answer_find(struct session *session, struct origins *origins, uint64_t address, struct answer *answer);
void answer_free(struct answer *answer);

/* As text for people, and as an object (docs/insight.md). */
void answer_print(struct origins *origins, const struct answer *answer);
json_t *answer_json(struct origins *origins, const struct answer *answer);
