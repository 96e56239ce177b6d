#include <stdint.h>
#include <sys/mman.h>

#include "api/family/backend.h"
#include "api/family/result.h"
#include "base/compiler.h"
#include "os/os.h"

/* The kernel counts all address space, including reserved. */
EXPORT int mlockall(int flags) {
    backend_confine();
    if ((flags & MCL_FUTURE) != 0 && os_lock_limit() != SIZE_MAX) {
        backend_save_locked();
    }
    return result_of(os_lock_memory(flags));
}
