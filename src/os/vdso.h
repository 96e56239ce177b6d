/* vdso.h - functions in the small shared library that the kernel maps into each process. */
#pragma once

#include <stdint.h>

/* 0 if there is no image, or no such function in it. */
uintptr_t vdso_find(const char *name);

/* The same in the image at `start`. */
uintptr_t vdso_find_in(const void *start, const char *name);
