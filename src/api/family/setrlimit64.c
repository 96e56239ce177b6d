/* setrlimit64.c - glibc's other name of setrlimit, with the same structures on 64-bit Linux. */
#include <stddef.h>

#include "api/family/process_limits.h"
#include "base/compiler.h"

#ifdef __GLIBC__
EXPORT int setrlimit64(limit_resource resource, const struct rlimit64 *limit) {
    return process_limits_set(0, (int)resource, (const struct rlimit *)limit, NULL);
}
#endif
