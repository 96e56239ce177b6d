/*
 * memory.c - the four functions that compilers call, which a device's tool chain provides.
 */
#include <stddef.h>
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *one, const void *other, size_t size);

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    return memmove(to, from, size);
}

void *memmove(void *to, const void *from, size_t size) {
    volatile char *t = to;
    const volatile char *f = from;
    for (size_t i = 0; i < size; i++) {
        size_t at = t < f ? i : size - 1 - i;
        t[at] = f[at];
    }
    return to;
}

void *memset(void *to, int value, size_t size) {
    for (volatile char *t = to; size > 0; size--) {
        *t++ = (char)value;
    }
    return to;
}

int memcmp(const void *one, const void *other, size_t size) {
    const volatile unsigned char *o = one, *p = other;
    for (; size > 0; size--, o++, p++) {
        if (*o != *p) {
            return *o - *p;
        }
    }
    return 0;
}
