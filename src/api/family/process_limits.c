#include "api/family/process_limits.h"

#include <stdbool.h>
#include <stddef.h>

#include "api/family/backend.h"
#include "api/family/result.h"
#include "os/os.h"

/* Reserved address space counts towards these. */
static bool counts_memory(int resource) {
    return resource == RLIMIT_AS || resource == RLIMIT_DATA;
}

int process_limits_set(pid_t process, int resource, const struct rlimit *limit, struct rlimit *old) {
    const bool ours =
        limit != NULL && counts_memory(resource) && (process == 0 || (uint64_t)process == os_process_id());
    if (ours && limit->rlim_cur != RLIM_INFINITY) {
        const size_t bytes = (size_t)limit->rlim_cur;
        backend_confine_to(resource == RLIMIT_AS ? bytes : os_address_limit(),
                           resource == RLIMIT_DATA ? bytes : os_data_limit());
    }
    int error = os_process_limit(process, resource, limit, old);
    if (ours && error == 0) {
        backend_limits_changed();
    }
    return result_of(error);
}
