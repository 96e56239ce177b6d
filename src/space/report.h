/*
 * report.h - the lists of a space as others see them: text, JSON, or one segment after the other.
 *
 * The segments are copied under the space's lock, into memory from the system, and shown without it: streams and
 * visitors may allocate, block, or call the heap again.
 */
#ifndef MEMS_SPACE_REPORT_H
#define MEMS_SPACE_REPORT_H

#include <stdio.h>

#include "space.h"

void report_print(const char *function, struct mems_space *space, FILE *stream);
void report_json(const char *function, struct mems_space *space, FILE *stream);
int report_walk(const char *function, struct mems_space *space,
                int (*visit)(const struct mems_segment *segment, void *context), void *context);

#endif
