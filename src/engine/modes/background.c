#include "background.h"

#include <signal.h>
#include <stdatomic.h>

#include "base/compiler.h"
#include "engine/root/root.h"
#include "engine/upkeep/decay.h"
#include "engine/upkeep/trim.h"
#include "os/os.h"

/* The thread needs little stack, but the C library's part of that may exceed PTHREAD_STACK_MIN. */
#define STACK_SIZE ((size_t)128 << 10)

/* It sleeps for a quarter of the decay time, and longer, up to SLEEP_MAX_MS, while nothing happens. */
#define SLEEP_MIN_MS 10u
#define SLEEP_MAX_MS 1000u

/* How often it checks the available memory, in milliseconds. */
#define ASK_MS 2000u

static _Atomic bool running; /* relaxed: an exchange decides who creates the thread */

static _Atomic bool enabled; /* relaxed: it takes effect sooner or later */

static void (*also)(void);

static bool wanted(void) {
    return atomic_load_explicit(&enabled, memory_order_relaxed);
}

void background_also(void (*act)(void)) {
    also = act;
}

void background_enable(bool enable) {
    atomic_store_explicit(&enabled, enable, memory_order_relaxed);
}

static uint32_t shortest_sleep(void) {
    uint32_t quarter = atomic_load_explicit(&spans.decay_ms, memory_order_relaxed) / 4;
    return quarter < SLEEP_MIN_MS ? SLEEP_MIN_MS : quarter < SLEEP_MAX_MS ? quarter : SLEEP_MAX_MS;
}

static void *keep_up(void *unused) {
    (void)unused;
    uint64_t asked_ms = 0;
    uint32_t sleep_ms = shortest_sleep();
    while (wanted()) {
        os_sleep_ms(sleep_ms);
        uint64_t now_ms = os_coarse_ms();
        if (now_ms - asked_ms >= ASK_MS) {
            asked_ms = now_ms;
            upkeep_ask();
        }
        if (also != NULL) {
            also();
        }
        sleep_ms = upkeep_of_all() || 2 * sleep_ms > SLEEP_MAX_MS ? shortest_sleep() : 2 * sleep_ms;
    }
    atomic_store_explicit(&running, false, memory_order_relaxed);
    return NULL;
}

/* The thread inherits the blocked signals, so that none of the program's handlers runs in it. */
static bool make_thread(background_create *create) {
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all, before;
    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    sigfillset(&all);
    bool made = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0 &&
                pthread_attr_setstacksize(&attributes, STACK_SIZE) == 0 &&
                pthread_sigmask(SIG_SETMASK, &all, &before) == 0;
    if (made) {
        made = create(&thread, &attributes, keep_up, NULL) == 0;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attributes);
    return made;
}

void background_ensure(background_create *create) {
    if (LIKELY(!wanted()) || atomic_exchange_explicit(&running, true, memory_order_relaxed)) {
        return;
    }
    if (!root_ready() || !make_thread(create)) {
        atomic_store_explicit(&running, false, memory_order_relaxed);
    }
}

void background_recover(void) {
    atomic_store_explicit(&running, false, memory_order_relaxed);
}
