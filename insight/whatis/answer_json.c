#include "support/json.h"
#include "whatis/answer.h"

static void set_number(json_t *json, const char *key, uint64_t number) {
    json_object_set_new(json, key, json_integer((json_int_t)number));
}

static void set_text(json_t *json, const char *key, const char *text) {
    if (text != NULL && *text != '\0') {
        json_object_set_new(json, key, json_text(text));
    }
}

static void set_neighbour(json_t *json, const char *key, const struct neighbour *neighbour) {
    if (neighbour->exists) {
        json_object_set_new(json, key,
                            json_pack("{s:I, s:s}", "start", (json_int_t)neighbour->start, "state",
                                      slot_state_names[neighbour->state]));
    }
}

json_t *answer_json(struct origins *origins, const struct answer *answer) {
    json_t *json = json_object();
    set_number(json, "address", answer->address);
    set_text(json, "kind", answer->kind);
    set_text(json, "state", answer->state);
    if (answer->size != 0) {
        set_number(json, "start", answer->start);
        set_number(json, "size", answer->size);
        set_number(json, "offset", answer->address - answer->start);
    }
    if (answer->sample != NULL) {
        json_object_set_new(json, "allocated", origins_json(origins, &answer->sample->allocated));
        if (!answer->sample->live) {
            json_object_set_new(json, "freed", origins_json(origins, &answer->sample->freed));
        }
    }
    if (answer->slots != 0) {
        set_number(json, "slot", answer->slot);
        set_number(json, "slots", answer->slots);
        set_number(json, "slab", answer->slab);
        set_number(json, "heap", answer->heap);
    }
    if (answer->v_start != 0) {
        set_number(json, "space", answer->space);
        set_number(json, "virtual_start", answer->v_start);
        set_number(json, "virtual_last", answer->v_last);
        set_number(json, "physical_start", answer->physical);
        json_object_set_new(json, "by_virtual", json_boolean(answer->by_virtual));
    }
    if (answer->age_known) {
        set_number(json, "slab_age_s", answer->slab_age);
    }
    if (answer->thread != 0) {
        set_number(json, "thread", (uint64_t)answer->thread);
    }
    set_text(json, "owner", answer->owner);
    set_text(json, "kept", answer->kept);
    if (answer->has_record) {
        set_number(json, "requested", answer->record.size);
        set_number(json, "canary_changed", answer->record.changed);
    }
    set_neighbour(json, "before", &answer->before);
    set_neighbour(json, "after", &answer->after);
    set_text(json, "starts_with", answer->starts_with);
    set_text(json, "symbol", answer->symbol);
    if (answer->mapping != NULL) {
        set_text(json, "mapping", answer->mapping->path);
    }
    return json;
}
