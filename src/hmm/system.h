/* system.h - what the heap needs from its surroundings: a lock, a thread id, random numbers, errno, a first break, and
 * a way to end faulty programs. No other file of the core depends on an operating system. Without one (-ffreestanding)
 * there is one thread, and no memory before HmmUseBuffer. */
#pragma once

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

/* No other thread can enter the heap during this call. */
static inline bool system_alone(void) {
    return os_single_threaded();
}

/* Some memory may be known to read as zero. */
#define SYSTEM_MAY_ZERO true

/* Shared by all heaps without hooks. */
void hmm_system_lock(void);
void hmm_system_unlock(void);

/* Under that lock: the thread inside HmmWalk and the heap that it walks over; 0: none. */
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

/* Whether any thread has set the word; the first one does. Release and acquire pair. */
static inline void system_set_once(uintptr_t *word, uintptr_t value) {
    uintptr_t unset = 0;
    (void)__atomic_compare_exchange_n(word, &unset, value, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static inline bool system_is_set(const uintptr_t *word) {
    return __atomic_load_n(word, __ATOMIC_ACQUIRE) != 0;
}

static inline void system_set_errno(int error) {
    errno = error;
}

/* The break that the options request or, if it is unavailable, the other one. */
bool hmm_system_break(struct program_break *brk);

/* For readers from outside: HmmHeapCreate has made a heap. */
void hmm_system_made(struct HmmHeap *heap);

/* With base/fault.h's line on standard error, or silently if the line has been reported. */
static inline _Noreturn void system_fault(const char *operation, const void *address, const char *problem,
                                          const char *state) {
    fault(operation, address, problem, state);
}

static inline _Noreturn void system_abort(void) {
    abort();
}

/* Without running a handler of SIGABRT. */
static inline _Noreturn void system_die(void) {
    (void)signal(SIGABRT, SIG_DFL);
    abort();
}

#else

enum { ENOMEM = 12, EBUSY = 16, EINVAL = 22 }; /* Linux's values */

#define SYSTEM_MAY_ZERO false

#define system_alone() true
#define hmm_system_lock() ((void)0)
#define hmm_system_unlock() ((void)0)
#define system_set_walker(heap, thread) ((void)(heap), (void)(thread))
#define system_walker() UINT32_C(0)
#define system_thread() UINT32_C(1)

/* Without a hook, an address is the only randomness. */
static inline uint64_t system_random(void) {
    static char here;
    return (uintptr_t)&here ^ UINT32_C(0xd1342543);
}

#define system_set_once(word, value) ((void)(*(word) = (value)))
#define system_is_set(word) (*(word) != 0)
#define system_set_errno(error) ((void)(error))
#define hmm_system_break(brk) ((void)(brk), false)
#define hmm_system_made(heap) ((void)0)

/* Only a handler can report: there is nowhere to write. */
#define system_fault(operation, address, problem, state) __builtin_trap()
#define system_abort() __builtin_trap()
#define system_die() __builtin_trap()

#endif
