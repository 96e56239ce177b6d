/*
 * interposer.c - a library to preload, like those that watch mappings, shift clocks or trace calls: its functions
 * replace the C library's system calls, allocate and free, and then call the real ones.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* Tells the program how often somebody other than this library called one of its functions. */
_Atomic unsigned long interposed_calls;

static _Thread_local int inside;

/* Small and large blocks; one stays until the next call. */
static void take_notes(void) {
    static _Thread_local void *kept;
    static _Thread_local size_t count;
    interposed_calls++;
    if (inside) {
        return;
    }
    inside = 1;
    for (int i = 0; i < 20; i++) {
        size_t size = 40 + count++ * 4801 % 200000;
        char *note = malloc(size);
        if (note != NULL) {
            memset(note, 1, size);
        }
        free(kept);
        kept = note;
    }
    inside = 0;
}

/* The next function of that name. */
static void *next(const char *name) {
    return dlsym(RTLD_NEXT, name);
}

#define INTERPOSE(type, name, parameters, arguments)            \
    type name parameters {                                      \
        static type(*_Atomic real) parameters;                  \
        if (real == NULL) {                                     \
            real = (__typeof__(type(*) parameters))next(#name); \
        }                                                       \
        take_notes();                                           \
        return real arguments;                                  \
    }

INTERPOSE(void *, mmap, (void *at, size_t size, int access, int flags, int fd, off_t offset),
          (at, size, access, flags, fd, offset))
INTERPOSE(int, munmap, (void *at, size_t size), (at, size))
INTERPOSE(int, mprotect, (void *at, size_t size, int access), (at, size, access))
INTERPOSE(int, madvise, (void *at, size_t size, int advice), (at, size, advice))
INTERPOSE(int, mincore, (void *at, size_t size, unsigned char *pages), (at, size, pages))
INTERPOSE(int, brk, (void *to), (to))
INTERPOSE(void *, sbrk, (intptr_t by), (by))
INTERPOSE(int, clock_gettime, (clockid_t clock, struct timespec *now), (clock, now))
INTERPOSE(ssize_t, getrandom, (void *bytes, size_t size, unsigned flags), (bytes, size, flags))
INTERPOSE(ssize_t, read, (int fd, void *bytes, size_t size), (fd, bytes, size))
INTERPOSE(ssize_t, write, (int fd, const void *bytes, size_t size), (fd, bytes, size))
INTERPOSE(int, close, (int fd), (fd))

/* Functions with variable arguments: passes on as many as there may be. */
#define ARGUMENT(number) void *a##number = va_arg(list, void *)

void *mremap(void *old, size_t old_size, size_t size, int flags, ...) {
    void *(*real)(void *, size_t, size_t, int, ...) = (void *(*)(void *, size_t, size_t, int, ...))next("mremap");
    va_list list;
    va_start(list, flags);
    ARGUMENT(0);
    va_end(list);
    take_notes();
    return real(old, old_size, size, flags, a0);
}

int open(const char *path, int flags, ...) {
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))next("open");
    va_list list;
    va_start(list, flags);
    int mode = va_arg(list, int);
    va_end(list);
    take_notes();
    return real(path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    int (*real)(int, const char *, int, ...) = (int (*)(int, const char *, int, ...))next("openat");
    va_list list;
    va_start(list, flags);
    int mode = va_arg(list, int);
    va_end(list);
    take_notes();
    return real(folder, path, flags, mode);
}

long syscall(long number, ...) {
    long (*real)(long, ...) = (long (*)(long, ...))next("syscall");
    va_list list;
    va_start(list, number);
    ARGUMENT(0);
    ARGUMENT(1);
    ARGUMENT(2);
    ARGUMENT(3);
    ARGUMENT(4);
    ARGUMENT(5);
    va_end(list);
    take_notes();
    return real(number, a0, a1, a2, a3, a4, a5);
}
