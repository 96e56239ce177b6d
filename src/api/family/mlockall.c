#include <stddef.h>
#include <sys/mman.h>

#include "api/family/backend.h"
#include "api/family/result.h"
#include "base/compiler.h"
#include "os/os.h"

/* A process that may lock as much has room for whole units, and may have too many blocks for a mapping each. */
#define AMPLE ((size_t)1 << 30)

/* The kernel counts all address space, including reserved. */
EXPORT int mlockall(int flags) {
    backend_confine();
    if ((flags & MCL_FUTURE) != 0 && os_lock_limit() < AMPLE) {
        backend_save_locked();
    }
    return result_of(os_lock_memory(flags));
}
