/* flame.h - a profile as a flame graph in a page, and as a file for https://www.speedscope.app. */
#pragma once

#include <jansson.h>
#include <stdio.h>

/*
 * Both take this form:
 *
 *   {"title": "redis-server (4711)", "about": "live bytes, sampled each 512 KiB",
 *    "measures": [{"name": "live bytes", "unit": "bytes"}, {"name": "live objects", "unit": "none"}],
 *    "stacks": [{"frames": ["main", "load", "malloc"], "values": [1048576, 2], "errors": [524288, 1.4]}]}
 *
 * Frames go from the root to the leaf. There is a value for each measure, and a standard error, or no `errors` if all
 * values are exact.
 */
void flame_html(json_t *profile, FILE *to);

/* A profile of that file for each measure. */
void flame_speedscope(json_t *profile, FILE *to);
