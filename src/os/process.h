/*
 * process.h - start and fork, for all heaps of a library together.
 *
 * Each heap is a participant. It joins in a constructor of priority PROCESS_JOIN; the constructor after these, in
 * process.c, starts the participants and registers one set of fork handlers. Each library has its own copy of this.
 *
 * Each step runs for all participants before the next, in ascending rank unless stated otherwise:
 *
 *   start     begin
 *   prepare   before_fork; then take the lock of stdio's list of streams; then all locks of each
 *   parent    release the locks of each, in descending rank; then stdio's
 *   child     reset the locks of each; then recover; then reset stdio's
 *
 * With a single thread, prepare and parent do nothing, and child only calls recover: a fork in a signal handler that
 * interrupted a heap must not wait for itself.
 *
 * If the library is loaded first (-z initfirst), its handlers run last before a fork and first after it: other
 * libraries' handlers may allocate, or wait for threads that do. vfork, _Fork and a bare clone run no handlers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "lock.h"

/* A participant is a static structure. All functions except each_lock may be NULL. */
struct process_participant {
    /* The rank of its first lock, so that ranks ascend over all participants. */
    uint32_t rank;

    /* Called once, before main, with no lock held. `environment` is what the loader passes to constructors. Use it
     * only while libc has no environment (os_environment): musl passes nothing. */
    void (*begin)(char *const *environment);

    /* Called before any lock is taken. May end a process that must not fork now. */
    void (*before_fork)(void);

    /* Calls act for each of the participant's locks, in the order in which they are taken. A lock that guards a list of
     * locks belongs to a participant of lower rank, so the list cannot change meanwhile. */
    void (*each_lock)(void (*act)(struct lock *lock));

    /* In the child, repairs what the parent's other threads were in the middle of changing. `alone`: the process had
     * one thread and took no lock, and a signal handler may have interrupted the heap. */
    void (*recover)(bool alone);

    struct list link; /* used by process.c */
};

/* The priority of constructors that call process_join, the first that compilers leave to programs. */
#define PROCESS_JOIN 101

/* Whether this is the process that the library started in, or its forked child. False after vfork or a bare clone,
 * which may share the parent's memory, and after _Fork, which cannot be told from these. */
bool process_is_own(void);

/* Adds a participant, in a constructor of that priority. Adding it again has no effect. */
void process_join(struct process_participant *participant);
