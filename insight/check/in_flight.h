/* in_flight.h - threads stopped inside the engine, where counters may briefly disagree with what they count. */
#pragma once

#include <stddef.h>

#include "walk/session.h"

/* The most such threads: those with an address in its code in a register or on their stacks, and those whose registers
 * are unknown. Stale words on a stack make this too large, never too small. A live process must be stopped, and its
 * registers read. */
size_t in_flight_threads(struct session *session);
