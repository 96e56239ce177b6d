/* json.h - texts of targets as JSON, and JSON as output. */
#pragma once

#include <jansson.h>

/* A target's text may be any bytes: those that are not UTF-8 become question marks. */
json_t *json_text(const char *text);

/* To standard output; frees the JSON. */
void print_json(json_t *json);
