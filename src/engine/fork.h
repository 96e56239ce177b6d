/*
 * fork.h - the engine around fork, for its place among the participants of os/process.h.
 */
#ifndef MEMS_ENGINE_FORK_H
#define MEMS_ENGINE_FORK_H

#include <stdbool.h>

#include "os/lock.h"

/* Calls act for every lock of the engine, in order of rank: so that what they guard is whole at the moment of a fork.
 */
void fork_each_lock(void (*act)(struct lock *lock));

/* In the child, with all locks free: takes over what the other threads were in the middle of. Alone, there is nothing
 * to take over, and nothing is touched. */
void fork_recover(bool alone);

#endif
