/*
 * copy_program.c - copy_program [FUNCTION SIZE OFFSET COUNT]...: FUNCTION writes COUNT bytes at OFFSET of a block of
 * SIZE bytes. Ends with status 0 if exactly these have changed, and each function returned what it must. What is
 * appended to is a text of two bytes before OFFSET. A function with a number of bytes that is not theirs, such as
 * strncat's, is given a source that continues behind them; one that pads is given a source that ends after half of
 * them.
 *
 * FUNCTION is a function of libmems-copy.so, or "down" or "up": memmove where the source overlaps with the destination
 * from below or from above. A _chk form is given the room ROOM, or else unknown room.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__memcpy_chk(void *to, const void *from, size_t size, size_t room);
void *__mempcpy_chk(void *to, const void *from, size_t size, size_t room);
void *__memmove_chk(void *to, const void *from, size_t size, size_t room);
void *__memset_chk(void *to, int value, size_t size, size_t room);
char *__strcpy_chk(char *to, const char *from, size_t room);
char *__stpcpy_chk(char *to, const char *from, size_t room);
char *__strcat_chk(char *to, const char *from, size_t room);
char *__strncpy_chk(char *to, const char *from, size_t size, size_t room);
char *__stpncpy_chk(char *to, const char *from, size_t size, size_t room);
char *__strncat_chk(char *to, const char *from, size_t most, size_t room);

static size_t room = SIZE_MAX;

/* The source of copies: no byte of it occurs in a block. */
static char source_byte(size_t at) {
    return (char)('a' + at % 23);
}

/* How a function writes: what it is given; what of the bytes it writes is no copy; what it returns. */
enum kind { BYTES, VALUE, TEXT, PADDED, APPENDED, APPENDED_MOST };

struct function {
    const char *name;
    enum kind kind;
    int returns_end;
    void *plain;
    void *checked;
};

static const struct function functions[] = {
    {"memcpy", BYTES, 0, memcpy, __memcpy_chk},     {"mempcpy", BYTES, 1, mempcpy, __mempcpy_chk},
    {"memmove", BYTES, 0, memmove, __memmove_chk},  {"memset", VALUE, 0, memset, __memset_chk},
    {"strcpy", TEXT, 0, strcpy, __strcpy_chk},      {"stpcpy", TEXT, 1, stpcpy, __stpcpy_chk},
    {"strcat", APPENDED, 0, strcat, __strcat_chk},  {"strncpy", PADDED, 0, strncpy, __strncpy_chk},
    {"stpncpy", PADDED, 1, stpncpy, __stpncpy_chk}, {"strncat", APPENDED_MOST, 0, strncat, __strncat_chk},
};

#define BEFORE 2u /* bytes of the text that is appended to */

static const struct function *find(const char *name, int *checked) {
    *checked = strncmp(name, "__", 2) == 0;
    name += *checked ? 2 : 0;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        const size_t length = strlen(functions[i].name);
        if (strncmp(name, functions[i].name, length) == 0 && strcmp(name + length, *checked ? "_chk" : "") == 0) {
            return &functions[i];
        }
    }
    fprintf(stderr, "%s: no such function\n", name);
    exit(2);
}

static int appends(const struct function *function) {
    return function->kind == APPENDED || function->kind == APPENDED_MOST;
}

/* Calls the function, through a pointer, so that nothing takes the call's place. */
static void *call(const struct function *function, int checked, char *to, const char *from, size_t count) {
    void *(*volatile sized)(void *, const void *, size_t) = (void *(*)(void *, const void *, size_t))function->plain;
    void *(*volatile sized_chk)(void *, const void *, size_t, size_t) =
        (void *(*)(void *, const void *, size_t, size_t))function->checked;
    void *(*volatile fill)(void *, int, size_t) = (void *(*)(void *, int, size_t))function->plain;
    void *(*volatile fill_chk)(void *, int, size_t, size_t) = (void *(*)(void *, int, size_t, size_t))function->checked;
    char *(*volatile text)(char *, const char *) = (char *(*)(char *, const char *))function->plain;
    char *(*volatile text_chk)(char *, const char *, size_t) =
        (char *(*)(char *, const char *, size_t))function->checked;
    switch (function->kind) {
    case VALUE:
        return checked ? fill_chk(to, 'z', count, room) : fill(to, 'z', count);
    case TEXT:
    case APPENDED:
        return checked ? text_chk(to, from, room) : text(to, from);
    case APPENDED_MOST:
        return checked ? sized_chk(to, from, count - 1, room) : sized(to, from, count - 1);
    default:
        return checked ? sized_chk(to, from, count, room) : sized(to, from, count);
    }
}

/* Where the text of a source ends; SIZE_MAX: nowhere. */
static size_t text_end(const struct function *function, size_t count) {
    return function->kind == PADDED                               ? count / 2
           : function->kind == TEXT || function->kind == APPENDED ? count - 1
                                                                  : SIZE_MAX;
}

static char expected(const struct function *function, size_t at, size_t count) {
    const size_t end = function->kind == APPENDED_MOST ? count - 1 : text_end(function, count);
    return function->kind == VALUE ? 'z' : at >= end ? '\0' : source_byte(at);
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
    int checked;
    const struct function *function = find(name, &checked);
    const size_t end = text_end(function, count);
    char *block = malloc(size);
    char *source = malloc(count + 1);
    for (size_t i = 0; i < size; i++) {
        block[i] = '-';
    }
    for (size_t i = 0; i <= count; i++) {
        source[i] = source_byte(i);
    }
    if (end <= count) {
        source[end] = '\0';
    }
    char *to = block + offset;
    if (appends(function)) {
        to -= BEFORE;
        to[BEFORE] = '\0';
    }
    const char *returned = call(function, checked, to, source, count);
    if (returned != to + (!function->returns_end ? 0 : end <= count ? end : count)) {
        return fail(name, 0);
    }
    for (size_t i = 0; i < size; i++) {
        const int within = i >= offset && i < offset + count;
        if (block[i] != (within ? expected(function, i - offset, count) : '-')) {
            return fail(name, i);
        }
    }
    free(source);
    free(block);
    return 0;
}

int main(int count, char **arguments) {
    int status = count > 1 && count % 4 == 1 ? 0 : 2;
    if (getenv("ROOM") != NULL) {
        room = strtoul(getenv("ROOM"), NULL, 10);
    }
    for (int i = 1; i < count && status == 0; i += 4) {
        const char *name = arguments[i];
        const size_t size = strtoul(arguments[i + 1], NULL, 10);
        status =
            strcmp(name, "down") == 0 || strcmp(name, "up") == 0
                ? move_within(name, size)
                : write_block(name, size, strtoul(arguments[i + 2], NULL, 10), strtoul(arguments[i + 3], NULL, 10));
    }
    return status;
}
