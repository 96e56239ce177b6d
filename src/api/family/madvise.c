/* madvise.c - the C library's madvise. The heap notes advice that would outlive the block. */
#include <stdbool.h>
#include <sys/mman.h>

#include "api/family/backend.h"
#include "api/family/result.h"
#include "base/compiler.h"
#include "os/os.h"

/* Advice that acts at once, or cancels other advice. By number: libc's headers lack the newer ones. */
static bool is_over(int advice) {
    enum {
        ADVISE_COLD = 20,
        ADVISE_PAGEOUT = 21,
        ADVISE_POPULATE_READ = 22,
        ADVISE_POPULATE_WRITE = 23,
        ADVISE_DONTNEED_LOCKED = 24,
        ADVISE_COLLAPSE = 25,
        ADVISE_GUARD_REMOVE = 103
    };
    switch (advice) {
    case MADV_NORMAL:
    case MADV_WILLNEED:
    case MADV_DONTNEED:
    case MADV_FREE:
    case MADV_REMOVE:
    case MADV_DOFORK:
    case MADV_UNMERGEABLE:
    case MADV_DODUMP:
    case MADV_KEEPONFORK:
    case ADVISE_COLD:
    case ADVISE_PAGEOUT:
    case ADVISE_POPULATE_READ:
    case ADVISE_POPULATE_WRITE:
    case ADVISE_DONTNEED_LOCKED:
    case ADVISE_COLLAPSE:
    case ADVISE_GUARD_REMOVE:
        return true;
    default:
        return false;
    }
}

EXPORT int madvise(void *start, size_t size, int advice) {
    int error = os_advise(start, size, advice);
    /* After a failure, too: a part may have been done. */
    backend_advised(start, size, advice, is_over(advice));
    return result_of(error);
}
