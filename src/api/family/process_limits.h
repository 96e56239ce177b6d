/* process_limits.h - for setrlimit, prlimit and their 64-bit names. Each is a separate object, so a static program may
 * define some itself. */
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

/* glibc has a type for the resource. */
#ifdef __GLIBC__
typedef __rlimit_resource_t limit_resource;
#else
typedef int limit_resource;
#endif

/* prlimit, but the heap gives up its reservation before its memory is limited. */
int process_limits_set(pid_t process, int resource, const struct rlimit *limit, struct rlimit *old);
