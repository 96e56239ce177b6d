/* pthread_create.c - the C library's pthread_create. After the first thread it starts ours, if the option background
 * asks for it. If the heap leaves no room for a thread, it gives up its reservation, or its free memory. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "base/compiler.h"
#include "engine/engine.h"
#include "engine/modes/background.h"

/* Looked up when needed; two threads at once find the same (relaxed). */
static background_create *next_create(void) {
    static _Atomic(background_create *) known;
    background_create *next = atomic_load_explicit(&known, memory_order_relaxed);
    if (next == NULL) {
        union {
            void *symbol;
            background_create *function;
        } found = {dlsym(RTLD_NEXT, "pthread_create")};
        next = found.function;
        atomic_store_explicit(&known, next, memory_order_relaxed);
    }
    return next;
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
    background_create *next = next_create();
    if (next == NULL) {
        return EAGAIN;
    }
    int error = next(thread, attributes, run, argument);
    if (error == EAGAIN && engine_make_room()) {
        error = next(thread, attributes, run, argument);
    }
    if (error == 0) {
        background_ensure(next);
    }
    return error;
}
