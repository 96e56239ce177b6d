/* mallopt.c - mallopt and malloc_trim, as in glibc. */
#include "api/family/backend.h"
#include "api/family/with_malloc.h"
#include "base/compiler.h"

/* As in glibc's <malloc.h>; musl has none of this. */
enum {
    M_MXFAST = 1,
    M_TRIM_THRESHOLD = -1,
    M_TOP_PAD = -2,
    M_MMAP_THRESHOLD = -3,
    M_MMAP_MAX = -4,
    M_CHECK_ACTION = -5,
    M_PERTURB = -6,
    M_ARENA_TEST = -7,
    M_ARENA_MAX = -8
};

/* The largest values that glibc takes. */
enum { MXFAST_MOST = 160, MMAP_THRESHOLD_MOST = 32 << 20 };

int mallopt(int parameter, int value);
int malloc_trim(size_t pad);

/* 1 for each parameter and value that glibc accepts (docs/malloc.md); otherwise 0, and nothing changes. */
static int tune(int parameter, int value) {
    switch (parameter) {
    case M_TRIM_THRESHOLD:
        if (value <= 0) {
            backend_set_trim(value < 0);
        }
        return 1;
    case M_MMAP_MAX:
        backend_set_mapping(value != 0);
        return 1;
    case M_MXFAST:
        return value >= 0 && value <= MXFAST_MOST;
    case M_MMAP_THRESHOLD:
        return value >= 0 && value <= MMAP_THRESHOLD_MOST;
    case M_TOP_PAD:
    case M_CHECK_ACTION:
    case M_PERTURB:
    case M_ARENA_TEST:
    case M_ARENA_MAX:
        return 1;
    default:
        return 0;
    }
}

EXPORT int mallopt(int parameter, int value) {
    return tune(parameter, value);
}

/* 1 if memory went back. All free memory goes: there is no top to pad. */
EXPORT int malloc_trim(size_t pad) {
    (void)pad;
    return backend_trim(pad) > 0;
}

#ifdef __GLIBC__

int __libc_mallopt(int parameter, int value);

EXPORT int __libc_mallopt(int parameter, int value) {
    return tune(parameter, value);
}

#endif
