/* streams.c - the lock of libc's list of open streams. */
#include <stddef.h>

#include "os.h"

/* glibc's; exported but not declared. */
extern void _IO_list_lock(void) __attribute__((weak));
extern void _IO_list_unlock(void) __attribute__((weak));
extern void _IO_list_resetlock(void) __attribute__((weak));

void os_streams_lock(void) {
    if (_IO_list_lock != NULL) {
        _IO_list_lock();
    }
}

void os_streams_unlock(void) {
    if (_IO_list_unlock != NULL) {
        _IO_list_unlock();
    }
}

void os_streams_reset(void) {
    if (_IO_list_resetlock != NULL) {
        _IO_list_resetlock();
    }
}
