/* space_report.h - a space's segments as text, as JSON, or one by one. They are copied under the space's lock into
 * memory from the system, and shown without it: streams and visitors may allocate, block, or call the heap. */
#pragma once

#include <stdio.h>

#include "space.h"

void space_report_print(const char *function, struct mems_space *space, FILE *stream);
void space_report_json(const char *function, struct mems_space *space, FILE *stream);
int space_report_walk(const char *function, struct mems_space *space,
                      int (*visit)(const struct mems_segment *segment, void *context), void *context);
