#include "base/compiler.h"
#include "limits.h"

EXPORT int prlimit(pid_t process, limit_resource resource, const struct rlimit *limit, struct rlimit *old) {
    return limits_set(process, (int)resource, limit, old);
}
