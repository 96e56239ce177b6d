/*
 * process.h - start and fork, for all heaps of a library together.
 *
 * Each heap is a participant and joins in a constructor of priority PROCESS_JOIN. The next constructor, in process.c,
 * starts the participants and registers one set of fork handlers. Each library has its own copy of this.
 *
 * Each step runs for all participants before the next, in ascending rank unless stated otherwise:
 *
 *   start     begin
 *   prepare   before_fork; then take the lock of stdio's list of streams; then all locks of each
 *   parent    release the locks of each, in descending rank; then stdio's
 *   child     reset the locks of each; then recover; then reset stdio's
 *
 * With a single thread, prepare and parent do nothing and child only calls recover: a signal handler that interrupted a
 * heap and forks must not wait for itself.
 *
 * If the library is loaded first (-z initfirst), its handlers run last before a fork and first after it: other
 * libraries' handlers may allocate, or wait for threads that do. vfork, _Fork and a bare clone run no handlers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "lock.h"

/* A static structure. All functions except each_lock may be NULL. */
struct process_participant {
    /* Of its first lock, so ranks ascend over all participants. */
    uint32_t rank;

    /* Called once, before main, with no lock held. `environment` comes from the loader (musl passes none); use it only
     * while libc has none (os_environment). */
    void (*begin)(char *const *environment);

    /* Called before any lock is taken. May end a process that must not fork now. */
    void (*before_fork)(void);

    /* Calls act for each lock, in the order in which they are taken. A lock that guards a list of locks belongs to a
     * participant of lower rank, so the list is stable. */
    void (*each_lock)(void (*act)(struct lock *lock));

    /* In the child: repairs what the parent's other threads were changing. `alone`: the process had one thread and took
     * no lock; a signal handler may have interrupted the heap. */
    void (*recover)(bool alone);

    struct list link; /* used by process.c */
};

/* The first priority that compilers leave to programs. */
#define PROCESS_JOIN 101

/* Whether this is the process that the library started in, or its forked child. False after vfork and a bare clone,
 * which may share the parent's memory, and after _Fork, which looks the same. */
bool process_is_own(void);

/* In a constructor of that priority. A second call has no effect. */
void process_join(struct process_participant *participant);
