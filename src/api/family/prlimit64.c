/* prlimit64.c - glibc's other name of prlimit, with the same structures on 64-bit Linux. */
#include "api/family/process_limits.h"
#include "base/compiler.h"

#ifdef __GLIBC__
EXPORT int prlimit64(pid_t process, limit_resource resource, const struct rlimit64 *limit, struct rlimit64 *old) {
    return process_limits_set(process, (int)resource, (const struct rlimit *)limit, (struct rlimit *)old);
}
#endif
