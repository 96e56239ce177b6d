/* copy.c - memcpy, strcpy, their kin, and their _chk forms. They first check with libmems that the destination block is
 * long enough. A separate library, preloaded before libmems.so. It calls nothing else, so it may be called at any time:
 * before the loader can look up a name, and by libmems. */
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "mems.h"

/* Without libmems nothing is checked. */
#pragma weak mems_check_write

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *mempcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
char *strcpy(char *restrict to, const char *restrict from);
char *stpcpy(char *restrict to, const char *restrict from);
char *strcat(char *restrict to, const char *restrict from);
char *strncpy(char *restrict to, const char *restrict from, size_t size);
char *stpncpy(char *restrict to, const char *restrict from, size_t size);
char *strncat(char *restrict to, const char *restrict from, size_t most);
void *__memcpy_chk(void *restrict to, const void *restrict from, size_t size, size_t room);
void *__mempcpy_chk(void *restrict to, const void *restrict from, size_t size, size_t room);
void *__memmove_chk(void *to, const void *from, size_t size, size_t room);
void *__memset_chk(void *to, int value, size_t size, size_t room);
char *__strcpy_chk(char *restrict to, const char *restrict from, size_t room);
char *__stpcpy_chk(char *restrict to, const char *restrict from, size_t room);
char *__strcat_chk(char *restrict to, const char *restrict from, size_t room);
char *__strncpy_chk(char *restrict to, const char *restrict from, size_t size, size_t room);
char *__stpncpy_chk(char *restrict to, const char *restrict from, size_t size, size_t room);
char *__strncat_chk(char *restrict to, const char *restrict from, size_t most, size_t room);

/* An object's size that the compiler does not know. */
#define UNKNOWN SIZE_MAX

/* Ends the program if `size` bytes do not fit into the block, or into the room that the compiler knows of. */
static void check(const char *function, const void *to, size_t size, size_t room) {
    if (size > room) {
        __builtin_trap();
    }
    if (mems_check_write != NULL) {
        mems_check_write(function, to, size);
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

/* Reads at most `most` bytes. */
static size_t length(const char *text, size_t most) {
    size_t count = 0;
    while (count < most && text[count] != '\0') {
        count++;
    }
    return count;
}

static void *copy(const char *function, void *to, const void *from, size_t size, size_t room) {
    check(function, to, size, room);
    return copy_up(to, from, size);
}

/* Upwards, unless `to` lies inside the source. */
static void *move(void *to, const void *from, size_t size, size_t room) {
    check("memmove", to, size, room);
    return (uintptr_t)to - (uintptr_t)from >= size ? copy_up(to, from, size) : copy_down(to, from, size);
}

static void *set(void *to, int value, size_t size, size_t room) {
    check("memset", to, size, room);
    return fill(to, value, size);
}

/* Returns where the copy's terminator is. */
static char *copy_text(const char *function, char *to, const char *from, size_t room) {
    const size_t count = length(from, SIZE_MAX);
    copy(function, to, from, count + 1, room);
    return to + count;
}

/* Fills all of `size` bytes; returns where the text ends. */
static char *copy_padded(const char *function, char *to, const char *from, size_t size, size_t room) {
    const size_t count = length(from, size);
    check(function, to, size, room);
    copy_up(to, from, count);
    fill(to + count, '\0', size - count);
    return to + count;
}

static char *append(const char *function, char *to, const char *from, size_t most, size_t room) {
    const size_t before = length(to, SIZE_MAX);
    const size_t count = length(from, most);
    check(function, to + before, count + 1, room < before ? 0 : room == UNKNOWN ? UNKNOWN : room - before);
    copy_up(to + before, from, count);
    to[before + count] = '\0';
    return to;
}

EXPORT void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    return copy("memcpy", to, from, size, UNKNOWN);
}

EXPORT void *mempcpy(void *restrict to, const void *restrict from, size_t size) {
    return (char *)copy("mempcpy", to, from, size, UNKNOWN) + size;
}

EXPORT void *memmove(void *to, const void *from, size_t size) {
    return move(to, from, size, UNKNOWN);
}

EXPORT void *memset(void *to, int value, size_t size) {
    return set(to, value, size, UNKNOWN);
}

EXPORT char *strcpy(char *restrict to, const char *restrict from) {
    copy_text("strcpy", to, from, UNKNOWN);
    return to;
}

EXPORT char *stpcpy(char *restrict to, const char *restrict from) {
    return copy_text("stpcpy", to, from, UNKNOWN);
}

EXPORT char *strcat(char *restrict to, const char *restrict from) {
    return append("strcat", to, from, SIZE_MAX, UNKNOWN);
}

EXPORT char *strncpy(char *restrict to, const char *restrict from, size_t size) {
    copy_padded("strncpy", to, from, size, UNKNOWN);
    return to;
}

EXPORT char *stpncpy(char *restrict to, const char *restrict from, size_t size) {
    return copy_padded("stpncpy", to, from, size, UNKNOWN);
}

EXPORT char *strncat(char *restrict to, const char *restrict from, size_t most) {
    return append("strncat", to, from, most, UNKNOWN);
}

EXPORT void *__memcpy_chk(void *restrict to, const void *restrict from, size_t size, size_t room) {
    return copy("memcpy", to, from, size, room);
}

EXPORT void *__mempcpy_chk(void *restrict to, const void *restrict from, size_t size, size_t room) {
    return (char *)copy("mempcpy", to, from, size, room) + size;
}

EXPORT void *__memmove_chk(void *to, const void *from, size_t size, size_t room) {
    return move(to, from, size, room);
}

EXPORT void *__memset_chk(void *to, int value, size_t size, size_t room) {
    return set(to, value, size, room);
}

EXPORT char *__strcpy_chk(char *restrict to, const char *restrict from, size_t room) {
    copy_text("strcpy", to, from, room);
    return to;
}

EXPORT char *__stpcpy_chk(char *restrict to, const char *restrict from, size_t room) {
    return copy_text("stpcpy", to, from, room);
}

EXPORT char *__strcat_chk(char *restrict to, const char *restrict from, size_t room) {
    return append("strcat", to, from, SIZE_MAX, room);
}

EXPORT char *__strncpy_chk(char *restrict to, const char *restrict from, size_t size, size_t room) {
    copy_padded("strncpy", to, from, size, room);
    return to;
}

EXPORT char *__stpncpy_chk(char *restrict to, const char *restrict from, size_t size, size_t room) {
    return copy_padded("stpncpy", to, from, size, room);
}

EXPORT char *__strncat_chk(char *restrict to, const char *restrict from, size_t most, size_t room) {
    return append("strncat", to, from, most, room);
}
