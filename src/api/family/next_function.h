/* next_function.h - a function of a library behind ours: what ours of the same name calls. */
#pragma once

#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>

#include "base/compiler.h"

/* Looked up at the first call, not during an allocation; two threads at once find the same (relaxed). NULL: none. */
static NOINLINE void *next_function(_Atomic(void *) *known, const char *name) {
    void *next = atomic_load_explicit(known, memory_order_relaxed);
    if (next == NULL) {
        next = dlsym(RTLD_NEXT, name);
        atomic_store_explicit(known, next, memory_order_relaxed);
    }
    return next;
}
