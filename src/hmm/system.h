/*
 * system.h - what the heap asks of its surroundings: a lock, a thread's number, chance, errno, a break to begin with,
 * and an end for faulty programs. The only file of the core that knows whether there is an operating system.
 *
 * Without one (-ffreestanding) there is one thread, and no memory before HmmUseBuffer.
 */
#ifndef MEMS_HMM_SYSTEM_H
#define MEMS_HMM_SYSTEM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "hmm.h"
#include "program_break.h"

#if __STDC_HOSTED__

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/fault.h"
#include "os/os.h"

/* Whether no other thread can be in the heap, for as long as this call of a function of ours lasts. */
static inline bool system_alone(void) {
    return os_single_threaded();
}

/* Whether memory can be had that reads as zero. */
#define SYSTEM_MAY_ZERO true

/* The lock that all heaps without hooks share. */
void hmm_system_lock(void);
void hmm_system_unlock(void);

/* With that lock: the thread that is inside HmmWalk, and the heap that it walks over; 0: nobody. */
void system_set_walker(struct HmmHeap *heap, uint32_t thread);
extern _Atomic uint32_t hmm_system_walker __attribute__((visibility("hidden")));

static inline uint32_t system_walker(void) {
    return atomic_load_explicit(&hmm_system_walker, memory_order_relaxed);
}

static inline uint32_t system_thread(void) {
    return (uint32_t)os_thread_id();
}

static inline uint64_t system_random(void) {
    return os_random();
}

static inline void system_set_errno(int error) {
    errno = error;
}

/* The break that the options ask for; where that is not to be had, the other. */
bool hmm_system_break(struct program_break *brk);

/* The end of a faulty program: base/fault.h's line on standard error; or nothing more, when the line has been told. */
static inline _Noreturn void system_fault(const char *operation, const void *address, const char *problem,
                                          const char *state) {
    fault(operation, address, problem, state);
}

static inline _Noreturn void system_abort(void) {
    abort();
}

/* The same without the program's handler of SIGABRT. */
static inline _Noreturn void system_die(void) {
    (void)signal(SIGABRT, SIG_DFL);
    abort();
}

#else

enum { ENOMEM = 12, EBUSY = 16, EINVAL = 22 }; /* the values of Linux */

static inline bool system_alone(void) {
    return true;
}

#define SYSTEM_MAY_ZERO false

static inline void hmm_system_lock(void) {}
static inline void hmm_system_unlock(void) {}

static inline void system_set_walker(struct HmmHeap *heap, uint32_t thread) {
    (void)heap, (void)thread;
}

static inline uint32_t system_walker(void) {
    return 0;
}

static inline uint32_t system_thread(void) {
    return 1;
}

/* An address is all the chance there is without a hook. */
static inline uint64_t system_random(void) {
    static char here;
    return (uintptr_t)&here ^ UINT32_C(0xd1342543);
}

static inline void system_set_errno(int error) {
    (void)error;
}

static inline bool hmm_system_break(struct program_break *brk) {
    (void)brk;
    return false;
}

static inline _Noreturn void system_abort(void) {
    __builtin_trap();
}

static inline _Noreturn void system_die(void) {
    system_abort();
}

/* There is nowhere to write: only a handler can tell. */
static inline _Noreturn void system_fault(const char *operation, const void *address, const char *problem,
                                          const char *state) {
    (void)operation, (void)address, (void)problem, (void)state;
    system_abort();
}

#endif

#endif
