#include <sys/mman.h>

#include "api/family/result.h"
#include "base/compiler.h"
#include "engine/engine.h"
#include "os/os.h"

/* A lock ends with the block. */
EXPORT int mlock(const void *start, size_t size) {
    int error = os_lock_pages(start, size, 0);
    engine_advised(start, size);
    return result_of(error);
}
