#include <sys/mman.h>

#include "base/compiler.h"
#include "engine/engine.h"
#include "os/os.h"
#include "result.h"

/* The kernel counts all of the address space, also what is merely reserved. */
EXPORT int mlockall(int flags) {
    engine_confine();
    return result_of(os_lock_memory(flags));
}
