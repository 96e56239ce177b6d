/* dlopen.c - the C library's dlopen, without RTLD_DEEPBIND: a plug-in loaded with it finds the C library's free first,
 * and would pass it our blocks. The loader derives RUNPATH and namespace from the caller's address, so our call is a
 * jump, which keeps the program's return address. */
#include "api/family/backend.h"
#include "api/family/next_function.h"

/* Not in every C library. */
#ifdef RTLD_DEEPBIND
#define DEEPBIND RTLD_DEEPBIND
#else
#define DEEPBIND 0
#endif

EXPORT TAIL_CALLING void *dlopen(const char *file, int mode) {
    static _Atomic(void *) known;
    void *(*next)(const char *, int) = NULL;
    *(void **)&next = next_function(&known, "dlopen");
    if (next == NULL) {
        return NULL;
    }
    TAIL_CALL(next(file, backend_keeps_deepbind() ? mode : mode & ~DEEPBIND));
}
