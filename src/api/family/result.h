/* result.h - reports errors as libc's wrappers of system calls do. */
#pragma once

#include <errno.h>

/* 0, or -1 and errno. */
static inline int result_of(int error) {
    if (error != 0) {
        errno = error;
        return -1;
    }
    return 0;
}
