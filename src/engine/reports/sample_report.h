/* sample_report.h - who allocated and who freed the block of a report, if it was sampled. */
#pragma once

#include "base/compiler.h"

struct sample;

/* The sampled block around an address, or NULL. Takes no lock: a thread that has faulted may hold any. */
COLD const struct sample *sample_around(const void *address);

/* Writes a line to standard error for the allocation and, if dead, one for the free, with return addresses. */
COLD void sample_tell(const struct sample *sample);

/* For the sampled block around an address, if any; before a fault's own line. */
COLD void sample_tell_around(const void *address);
