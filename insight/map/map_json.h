/*
 * map_json.h - the heaps of a target span by span, segment by segment and block by block, as JSON (docs/insight.md).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "walk/session.h"

/* MAP_WHOLE adds, for each span, its pages and slots and the first words of its blocks. */
enum map_detail { MAP_SPANS, MAP_WHOLE };

void map_json(struct session *session, FILE *to, enum map_detail detail);

/* Writes the engine's span that holds an address, with all detail; false, and nothing, if there is none. */
bool map_json_place(struct session *session, uint64_t address, FILE *to);
