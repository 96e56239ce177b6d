#include <sys/mman.h>

#include "api/family/result.h"
#include "base/compiler.h"
#include "engine/engine.h"
#include "os/os.h"

/* Not in the headers of every C library. */
int mlock2(const void *start, size_t size, unsigned flags);

/* A lock ends with the block. */
EXPORT int mlock2(const void *start, size_t size, unsigned flags) {
    int error = os_lock_pages(start, size, flags);
    engine_advised(start, size);
    return result_of(error);
}
