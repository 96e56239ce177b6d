#include "limits.h"

#include <stddef.h>

#include "engine/engine.h"
#include "os/os.h"
#include "result.h"

/* What the heap has reserved counts against these. */
static int counts_memory(int resource) {
    return resource == RLIMIT_AS || resource == RLIMIT_DATA;
}

int limits_set(pid_t process, int resource, const struct rlimit *limit, struct rlimit *old) {
    if (limit != NULL && counts_memory(resource) && limit->rlim_cur != RLIM_INFINITY &&
        (process == 0 || (uint64_t)process == os_process_id())) {
        engine_confine();
    }
    return result_of(os_process_limit(process, resource, limit, old));
}
