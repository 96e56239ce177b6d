#include <errno.h>
#include <sys/mman.h>

#include "base/compiler.h"
#include "engine/engine.h"
#include "os/os.h"

/* The kernel counts all of the address space, also what is merely reserved. */
EXPORT int mlockall(int flags) {
    engine_confine();
    int error = os_lock_memory(flags);
    if (error != 0) {
        errno = error;
        return -1;
    }
    return 0;
}
