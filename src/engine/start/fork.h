/* fork.h - the engine's part in fork, as a participant of os/process.h. */
#pragma once

#include <stdbool.h>

#include "os/lock.h"

/* Takes all locks of the engine, in order of rank, so that everything is consistent at the fork. Any `act` but
 * lock_take_shared gives them back, that of the start last. */
void fork_each_lock(void (*act)(struct lock *lock));

/* In the child, with all locks free: repairs what other threads were changing, if there were any (not `alone`). */
void fork_recover(bool alone);
