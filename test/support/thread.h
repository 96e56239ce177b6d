/*
 * thread.h - a function in a thread of its own, and how much work threads are given.
 */
#ifndef MEMS_TEST_SUPPORT_THREAD_H
#define MEMS_TEST_SUPPORT_THREAD_H

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "check.h"

/* Whether ThreadSanitizer watches: it has memory and threads of its own, and knows no threads in a forked child. */
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

/* Calls function(argument) in a new thread and waits for its end, which is that of its heap, too. */
static inline void thread_run(void *(*function)(void *), void *argument) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, function, argument) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

/* n, or the percentage of it that STRESS_SCALE in the environment asks for; at least 1. */
static inline unsigned scaled(unsigned n) {
    const char *scale = getenv("STRESS_SCALE");
    unsigned long percent = scale != NULL ? strtoul(scale, NULL, 10) : 100;
    uint64_t result = (uint64_t)n * percent / 100;
    return result > 0 ? (unsigned)result : 1;
}

#endif
