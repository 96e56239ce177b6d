/* sample_report.h - what the samples tell about a block in a report: who allocated it, and who freed it. */
#pragma once

#include "base/compiler.h"

struct sample;

/* The sampled block that an address belongs to, or NULL. Takes no lock: a thread that has faulted may hold any. */
COLD const struct sample *sample_around(const void *address);

/* Writes to standard error where a block was allocated and, if dead, freed: a line each, with return addresses. */
COLD void sample_tell(const struct sample *sample);

/* The same for the sampled block around an address, if there is one: lines before a fault's own. */
COLD void sample_tell_around(const void *address);
