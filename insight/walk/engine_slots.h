/* engine_slots.h - the slots of the slab that a walk is at, by state. */
#pragma once

#include "walk/engine_spans.h"

/* Of the slab that the walk is at. */
enum engine_state engine_slot_state(const struct engine_walk *walk, unsigned slot);

/* By the slab's bitmap. */
unsigned engine_slots_free(const struct engine_walk *walk);

/* A page's bytes by state, `offset` from the slab's start; the rest of `page_size` is in no slot. */
void engine_page_states(const struct engine_walk *walk, uint64_t offset, uint64_t page_size, uint64_t bytes[STATES]);

/* Whether all slots on offset .. end - 1 are free. */
bool engine_page_free(const struct engine_walk *walk, uint64_t offset, uint64_t end);

/* How many slots have each state. */
void engine_slab_states(const struct engine_walk *walk, uint64_t slots[STATES]);
