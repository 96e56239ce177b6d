/* fork.h - the engine's part in fork, as a participant of os/process.h. */
#pragma once

#include <stdbool.h>

#include "os/lock.h"

/* All locks of the engine, in order of rank, so that everything is consistent at the fork. */
void fork_each_lock(void (*act)(struct lock *lock));

/* In the child, with all locks free: repairs what other threads were changing, if there were any (not `alone`). */
void fork_recover(bool alone);
