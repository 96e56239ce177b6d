/*
 * thread.h - runs a function in a thread, to its end or to a barrier, and scales the work of tests.
 */
#pragma once

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "check.h"

/* ThreadSanitizer has its own memory and threads, and knows no threads in a forked child. */
#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

/* Calls function(argument) in a new thread and waits for its end, and so its heap's. */
static inline void thread_run(void *(*function)(void *), void *argument) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, function, argument) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

/* Starts function(argument) in a thread and meets it at a barrier for two, where it first waits: it has then done
 * what stands before. Both may go on to meet there. */
static inline pthread_t thread_hold(void *(*function)(void *), void *argument, pthread_barrier_t *step) {
    pthread_t thread;
    CHECK(pthread_barrier_init(step, NULL, 2) == 0);
    CHECK(pthread_create(&thread, NULL, function, argument) == 0);
    pthread_barrier_wait(step);
    return thread;
}

/* Lets the thread go on from the barrier where it waits last, and waits for its end. */
static inline void thread_release(pthread_t thread, pthread_barrier_t *step) {
    pthread_barrier_wait(step);
    CHECK(pthread_join(thread, NULL) == 0);
}

/* A step takes many times as long beside ThreadSanitizer, and in an emulator. */
#ifdef __aarch64__
#define SLOW 5u
#elif UNDER_TSAN
#define SLOW 15u
#else
#define SLOW 1u
#endif

/* Of n random steps, as many as there is time for. Only for a single thread: fewer steps find no fewer races, and they
 * are the same on each processor. */
static inline unsigned affordable(unsigned n) {
    return n / SLOW;
}

/* STRESS_SCALE percent of n; at least 1. */
static inline unsigned scaled(unsigned n) {
    const char *scale = getenv("STRESS_SCALE");
    unsigned long percent = scale != NULL ? strtoul(scale, NULL, 10) : 100;
    uint64_t result = (uint64_t)n * percent / 100;
    return result > 0 ? (unsigned)result : 1;
}
