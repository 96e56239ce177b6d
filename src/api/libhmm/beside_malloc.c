/*
 * beside_malloc.c - whether the process has another malloc, as in a program that loads the library only for hmm.h.
 *
 * Nothing in the archive refers to this object: a static program that uses libc's malloc chooses its break itself.
 */
#include <stdlib.h>

#include "api/family/backend.h"
#include "os/process.h"

/* The loader resolves the name `malloc` to the process's. */
__attribute__((constructor(PROCESS_JOIN))) static void look(void) {
    void *(*volatile of_process)(size_t) = malloc; /* volatile: clang takes two names for two functions */
    if (of_process != family_malloc) {
        hmm_beside_malloc();
    }
}
