#include <stddef.h>

#include "api/family/process_limits.h"
#include "base/compiler.h"

EXPORT int setrlimit(limit_resource resource, const struct rlimit *limit) {
    return process_limits_set(0, (int)resource, limit, NULL);
}
