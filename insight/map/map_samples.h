/* map_samples.h - a map's sampled blocks, and their call sites. */
#pragma once

#include <stdio.h>

#include "walk/session.h"

/* The members "sites" and "samples", each followed by a comma; nothing if the library takes none. */
void map_samples(struct session *session, FILE *to);
