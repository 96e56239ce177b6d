#include "api/family/process_limits.h"
#include "base/compiler.h"

EXPORT int prlimit(pid_t process, limit_resource resource, const struct rlimit *limit, struct rlimit *old) {
    return process_limits_set(process, (int)resource, limit, old);
}
