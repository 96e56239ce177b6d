/* map_json.h - a target's heaps by span, segment and block, as JSON (docs/insight.md). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "walk/session.h"

/* MAP_WHOLE adds each span's pages and slots, and its blocks' first words. */
enum map_detail { MAP_SPANS, MAP_WHOLE };

void map_json(struct session *session, FILE *to, enum map_detail detail);

/* The engine's span at an address, with all detail; false, and nothing, if there is none. */
bool map_json_place(struct session *session, uint64_t address, FILE *to);
