/* beside_malloc.c - whether the program break belongs to another malloc: a program may load the library only for hmm.h,
 * or by dlmopen. Nothing in the archive refers to this object: a static program that uses libc's malloc chooses its
 * break itself. */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>

#include "api/family/backend.h"
#include "os/process.h"

/* Not in every C library. */
#ifdef LM_ID_BASE

static bool in_own_namespace(void) {
    Dl_info info;
    void *map;
    Lmid_t namespace = LM_ID_BASE;
    return dladdr1((const void *)&hmm_heap, &info, &map, RTLD_DL_LINKMAP) != 0 &&
           dlinfo(map, RTLD_DI_LMID, &namespace) == 0 && namespace != LM_ID_BASE;
}

#else

static bool in_own_namespace(void) {
    return false;
}

#endif

/* The loader resolves `malloc` to the process's. */
__attribute__((constructor(PROCESS_JOIN))) static void look(void) {
    void *(*volatile of_process)(size_t) = malloc; /* volatile: clang assumes that two names are two functions */
    if (of_process != family_malloc || in_own_namespace()) {
        hmm_beside_malloc();
    }
}
