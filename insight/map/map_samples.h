/*
 * map_samples.h - the sampled blocks of a map, and their call sites.
 */
#pragma once

#include <stdio.h>

#include "walk/session.h"

/* Writes the members "sites" and "samples" of a map, each with a comma behind it; nothing for a library that takes
 * none. */
void map_samples(struct session *session, FILE *to);
