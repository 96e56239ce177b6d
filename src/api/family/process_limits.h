/* process_limits.h - how a process limits itself: shared by setrlimit, prlimit and their 64-bit names, each in a
 * separate object, so that a static program may define some of them itself. */
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

/* glibc has a type for the resource. */
#ifdef __GLIBC__
typedef __rlimit_resource_t limit_resource;
#else
typedef int limit_resource;
#endif

/* Like prlimit (limit and old may be NULL), but the heap gives up its reservation before its memory is limited. */
int process_limits_set(pid_t process, int resource, const struct rlimit *limit, struct rlimit *old);
