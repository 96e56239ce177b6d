#include <stddef.h>

#include "base/compiler.h"
#include "limits.h"

EXPORT int setrlimit(limit_resource resource, const struct rlimit *limit) {
    return limits_set(0, (int)resource, limit, NULL);
}
