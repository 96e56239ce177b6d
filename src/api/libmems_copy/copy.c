/*
 * copy.c - memcpy, memmove, memset, strcpy and the _chk forms that compilers make of them, which first check with
 * libmems that the destination block is long enough.
 *
 * This is a separate library, preloaded before libmems.so. It calls nothing else, so it may be called at any time, even
 * before the loader can look up a name, and by libmems itself.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "mems.h"

/* Without libmems nothing is checked. */
#pragma weak mems_check_write

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
char *strcpy(char *restrict to, const char *restrict from);
void *__memcpy_chk(void *restrict to, const void *restrict from, size_t size, size_t room);
void *__memmove_chk(void *to, const void *from, size_t size, size_t room);
void *__memset_chk(void *to, int value, size_t size, size_t room);
char *__strcpy_chk(char *restrict to, const char *restrict from, size_t room);

static void check(const char *function, const void *to, size_t size) {
    if (mems_check_write != NULL) {
        mems_check_write(function, to, size);
    }
}

/* The _chk forms know how large the object is, if the compiler does. */
static void check_room(size_t size, size_t room) {
    if (size > room) {
        __builtin_trap();
    }
}

static void *copy_up(void *to, const void *from, size_t size) {
#if defined(__x86_64__)
    void *at = to;
    __asm__ __volatile__("rep movsb" : "+D"(at), "+S"(from), "+c"(size) : : "memory");
#else
    for (size_t i = 0; i < size; i++) {
        ((unsigned char *)to)[i] = ((const unsigned char *)from)[i];
        __asm__ __volatile__("" ::: "memory");
    }
#endif
    return to;
}

static void *copy_down(void *to, const void *from, size_t size) {
    while (size-- != 0) {
        ((unsigned char *)to)[size] = ((const unsigned char *)from)[size];
        __asm__ __volatile__("" ::: "memory");
    }
    return to;
}

static void *fill(void *to, int value, size_t size) {
#if defined(__x86_64__)
    void *at = to;
    __asm__ __volatile__("rep stosb" : "+D"(at), "+c"(size) : "a"(value) : "memory");
#else
    for (size_t i = 0; i < size; i++) {
        ((unsigned char *)to)[i] = (unsigned char)value;
        __asm__ __volatile__("" ::: "memory");
    }
#endif
    return to;
}

static size_t length(const char *text) {
    size_t count = 0;
    while (text[count] != '\0') {
        count++;
    }
    return count;
}

/* Upwards, unless `to` lies inside the source. */
static void *move(void *to, const void *from, size_t size) {
    return (uintptr_t)to - (uintptr_t)from >= size ? copy_up(to, from, size) : copy_down(to, from, size);
}

EXPORT void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    check("memcpy", to, size);
    return copy_up(to, from, size);
}

EXPORT void *memmove(void *to, const void *from, size_t size) {
    check("memmove", to, size);
    return move(to, from, size);
}

EXPORT void *memset(void *to, int value, size_t size) {
    check("memset", to, size);
    return fill(to, value, size);
}

EXPORT char *strcpy(char *restrict to, const char *restrict from) {
    const size_t size = length(from) + 1;
    check("strcpy", to, size);
    return copy_up(to, from, size);
}

EXPORT void *__memcpy_chk(void *restrict to, const void *restrict from, size_t size, size_t room) {
    check_room(size, room);
    check("memcpy", to, size);
    return copy_up(to, from, size);
}

EXPORT void *__memmove_chk(void *to, const void *from, size_t size, size_t room) {
    check_room(size, room);
    check("memmove", to, size);
    return move(to, from, size);
}

EXPORT void *__memset_chk(void *to, int value, size_t size, size_t room) {
    check_room(size, room);
    check("memset", to, size);
    return fill(to, value, size);
}

EXPORT char *__strcpy_chk(char *restrict to, const char *restrict from, size_t room) {
    const size_t size = length(from) + 1;
    check_room(size, room);
    check("strcpy", to, size);
    return copy_up(to, from, size);
}
