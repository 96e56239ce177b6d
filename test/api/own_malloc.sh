#!/bin/sh
# A program that brings its own malloc but not the whole family, as browsers do: the library's reallocarray calls the
# program's realloc, as the C library's does.
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

cat >"$work/program.c" <<'END'
#include <stddef.h>
#include <string.h>
static char pool[1 << 20];
static size_t used;
void *malloc(size_t size) {
    size_t *block = (size_t *)(pool + used);
    used += 16 + ((size + 15) & ~(size_t)15);
    *block = size;
    return block + 2;
}
void free(void *block) {
    (void)block;
}
void *calloc(size_t count, size_t size) {
    return malloc(count * size);
}
void *realloc(void *block, size_t size) {
    void *other = malloc(size);
    if (block != NULL) {
        size_t before = ((size_t *)block)[-2];
        memcpy(other, block, before < size ? before : size);
    }
    return other;
}
void *reallocarray(void *block, size_t count, size_t size);
int main(void) {
    char *block = malloc(16);
    memcpy(block, "kept", 5);
    block = reallocarray(block, 100, 4);
    return block < pool || block >= pool + used || strcmp(block, "kept") != 0 || reallocarray(block, -1, 2) != NULL;
}
END
"$CC" -O1 -w -fno-builtin -o "$work/program" "$work/program.c" || exit 1
"$work/program" || {
    echo "the program alone: exit status $?"
    exit 1
}
LD_PRELOAD=$LIBRARY "$work/program" || {
    echo "a program with a malloc of its own: exit status $?"
    exit 1
}
