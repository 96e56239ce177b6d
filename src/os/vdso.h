/*
 * vdso.h - functions of the kernel that run in the process: it maps the image of a small shared library into each.
 */
#ifndef MEMS_OS_VDSO_H
#define MEMS_OS_VDSO_H

#include <stdint.h>

/* The address of a function; 0 where the kernel, or an emulator of it, has no image, or no such function in it. */
uintptr_t vdso_find(const char *name);

/* The same in an image that starts at `start`. */
uintptr_t vdso_find_in(const void *start, const char *name);

#endif
