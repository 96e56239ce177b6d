/*
 * copy_program.c - copy_program FUNCTION SIZE OFFSET COUNT: FUNCTION writes COUNT bytes at OFFSET of a block of SIZE
 * bytes. Ends with status 0 if exactly these have changed, and the function returned what it must.
 *
 * FUNCTION is a function of libmems-copy.so, or "down" or "up": memmove where the source overlaps with the destination
 * from below or from above. A _chk form is given the room ROOM, or else unknown room.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__memcpy_chk(void *to, const void *from, size_t size, size_t room);
void *__memmove_chk(void *to, const void *from, size_t size, size_t room);
void *__memset_chk(void *to, int value, size_t size, size_t room);
char *__strcpy_chk(char *to, const char *from, size_t room);

static size_t room = SIZE_MAX;

/* What is written by a copy: no byte is the block's own. */
static char source_byte(size_t at) {
    return (char)('a' + at % 23);
}

/* Calls the function. Through pointers that the compiler does not know, so that nothing takes the call's place. */
static void *call(const char *name, char *to, const char *from, size_t count) {
    void *(*volatile copies[])(void *, const void *, size_t) = {memcpy, memmove};
    void *(*volatile copies_chk[])(void *, const void *, size_t, size_t) = {__memcpy_chk, __memmove_chk};
    void *(*volatile fill)(void *, int, size_t) = memset;
    void *(*volatile fill_chk)(void *, int, size_t, size_t) = __memset_chk;
    char *(*volatile copy_text)(char *, const char *) = strcpy;
    char *(*volatile copy_text_chk)(char *, const char *, size_t) = __strcpy_chk;
    static const char *const names[] = {"memcpy", "memmove"};
    static const char *const names_chk[] = {"__memcpy_chk", "__memmove_chk"};
    for (size_t i = 0; i < 2; i++) {
        if (strcmp(name, names[i]) == 0) {
            return copies[i](to, from, count);
        }
        if (strcmp(name, names_chk[i]) == 0) {
            return copies_chk[i](to, from, count, room);
        }
    }
    if (strcmp(name, "memset") == 0) {
        return fill(to, 'z', count);
    }
    if (strcmp(name, "__memset_chk") == 0) {
        return fill_chk(to, 'z', count, room);
    }
    if (strcmp(name, "strcpy") == 0) {
        return copy_text(to, from);
    }
    return strcmp(name, "__strcpy_chk") == 0 ? copy_text_chk(to, from, room) : NULL;
}

static char expected(const char *name, size_t at, size_t count) {
    if (strstr(name, "memset") != NULL) {
        return 'z';
    }
    return strstr(name, "strcpy") != NULL && at == count - 1 ? '\0' : source_byte(at);
}

static int fail(const char *name, size_t at) {
    fprintf(stderr, "%s: byte %zu is wrong\n", name, at);
    return 1;
}

/* memmove within one block, by 7 bytes. */
static int move_within(const char *name, size_t size) {
    void *(*volatile move)(void *, const void *, size_t) = memmove;
    char *block = malloc(size);
    const size_t from = strcmp(name, "down") == 0 ? 7 : 0;
    const size_t to = 7 - from;
    for (size_t i = 0; i < size; i++) {
        block[i] = source_byte(i);
    }
    if (move(block + to, block + from, size - 7) != block + to) {
        return fail(name, 0);
    }
    for (size_t i = 0; i < size - 7; i++) {
        if (block[to + i] != source_byte(from + i)) {
            return fail(name, i);
        }
    }
    free(block);
    return 0;
}

static int write_block(const char *name, size_t size, size_t offset, size_t count) {
    char *block = malloc(size);
    char *source = malloc(count + 1);
    for (size_t i = 0; i < size; i++) {
        block[i] = '-';
    }
    for (size_t i = 0; i < count; i++) {
        source[i] = source_byte(i);
    }
    if (strstr(name, "strcpy") != NULL) {
        source[count - 1] = '\0';
    }
    if (call(name, block + offset, source, count) != block + offset) {
        return fail(name, 0);
    }
    for (size_t i = 0; i < size; i++) {
        const int within = i >= offset && i < offset + count;
        if (block[i] != (within ? expected(name, i - offset, count) : '-')) {
            return fail(name, i);
        }
    }
    free(source);
    free(block);
    return 0;
}

int main(int count, char **arguments) {
    if (count != 5) {
        fprintf(stderr, "usage: copy_program FUNCTION SIZE OFFSET COUNT\n");
        return 2;
    }
    const char *name = arguments[1];
    const size_t size = strtoul(arguments[2], NULL, 10);
    if (getenv("ROOM") != NULL) {
        room = strtoul(getenv("ROOM"), NULL, 10);
    }
    return strcmp(name, "down") == 0 || strcmp(name, "up") == 0
               ? move_within(name, size)
               : write_block(name, size, strtoul(arguments[3], NULL, 10), strtoul(arguments[4], NULL, 10));
}
