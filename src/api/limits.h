/*
 * limits.h - what the C library's functions by which a process limits itself have in common (limits.c).
 *
 * Each of these names has an object of its own, so that a static program may define some of them itself.
 */
#ifndef MEMS_API_LIMITS_H
#define MEMS_API_LIMITS_H

#include <sys/resource.h>
#include <sys/types.h>

/* glibc has a type for what is limited. */
#ifdef __GLIBC__
typedef __rlimit_resource_t limit_resource;
#else
typedef int limit_resource;
#endif

/* prlimit, but that the heap gives up what it has reserved before a limit on memory is set. 0, or -1 and
 * errno. `limit` and `old` may be NULL. */
int limits_set(pid_t process, int resource, const struct rlimit *limit, struct rlimit *old);

#endif
