/* vdso.h - kernel functions that run in the process, from a small shared library that the kernel maps. */
#pragma once

#include <stdint.h>

/* The address of a function; 0 if the kernel or an emulator has no image, or the image no such function. */
uintptr_t vdso_find(const char *name);

/* The same in the image at `start`. */
uintptr_t vdso_find_in(const void *start, const char *name);
