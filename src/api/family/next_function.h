/* next_function.h - the function of the next library that has the name of one of ours, which calls it. */
#pragma once

#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>

#include "base/compiler.h"

/* NULL if there is none. Looked up at the first call, not during an allocation; threads that do so at once find the
 * same function (relaxed). */
static NOINLINE void *next_function(_Atomic(void *) *known, const char *name) {
    void *next = atomic_load_explicit(known, memory_order_relaxed);
    if (next == NULL) {
        next = dlsym(RTLD_NEXT, name);
        atomic_store_explicit(known, next, memory_order_relaxed);
    }
    return next;
}
