#include <sys/mman.h>

#include "api/family/backend.h"
#include "api/family/result.h"
#include "base/compiler.h"
#include "os/os.h"

/* The kernel counts all address space, including reserved. */
EXPORT int mlockall(int flags) {
    backend_confine();
    return result_of(os_lock_memory(flags));
}
