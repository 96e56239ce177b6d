/* dlopen.c - the C library's dlopen, without RTLD_DEEPBIND: a plug-in loaded with it finds the C library's free first,
 * and would pass it our blocks. The loader derives RUNPATH and namespace from the caller's address, so our call is a
 * jump, which keeps the program's return address. The next dlopen is looked up when needed, not during an allocation;
 * two threads at once find the same. */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>

#include "api/family/backend.h"
#include "base/compiler.h"

/* Not in every C library. */
#ifdef RTLD_DEEPBIND
#define DEEPBIND RTLD_DEEPBIND
#else
#define DEEPBIND 0
#endif

typedef void *dlopen_function(const char *file, int mode);

static void *none(const char *file, int mode) {
    (void)file, (void)mode;
    return NULL;
}

static NOINLINE dlopen_function *next_dlopen(void) {
    static _Atomic(dlopen_function *) known;
    dlopen_function *next = atomic_load_explicit(&known, memory_order_relaxed);
    if (next == NULL) {
        union {
            void *symbol;
            dlopen_function *function;
        } found = {dlsym(RTLD_NEXT, "dlopen")};
        next = found.symbol != NULL ? found.function : none;
        atomic_store_explicit(&known, next, memory_order_relaxed);
    }
    return next;
}

EXPORT TAIL_CALLING void *dlopen(const char *file, int mode) {
    dlopen_function *next = next_dlopen();
    TAIL_CALL(next(file, backend_keeps_deepbind() ? mode : mode & ~DEEPBIND));
}
