/*
 * prlimit64.c - glibc's other name of prlimit: on 64-bit Linux the structures are the same.
 */
#include "base/compiler.h"
#include "limits.h"

#ifdef __GLIBC__
EXPORT int prlimit64(pid_t process, limit_resource resource, const struct rlimit64 *limit, struct rlimit64 *old) {
    return limits_set(process, (int)resource, (const struct rlimit *)limit, (struct rlimit *)old);
}
#endif
