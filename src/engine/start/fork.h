/* fork.h - the engine's part in fork, as a participant of os/process.h. */
#pragma once

#include <stdbool.h>

#include "os/lock.h"

/* Calls act for every lock of the engine, in order of rank, so that everything they guard is consistent at the fork. */
void fork_each_lock(void (*act)(struct lock *lock));

/* In the child, with all locks free: repairs what other threads were changing; if `alone`, there were none. */
void fork_recover(bool alone);
