/* support.h - for all of the command: allocation that never fails, errors, growing arrays. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* For `check`, 1 means damage; for all verbs, 2 means that the question could not be answered. */
enum exit_status { EXIT_FINE = 0, EXIT_FOUND = 1, EXIT_TROUBLE = 2 };

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* Ends the program with EXIT_TROUBLE and a line "mems: ..." on standard error. */
_Noreturn __attribute__((format(printf, 1, 2))) void fail(const char *format, ...);

/* Prints one such line, and continues. */
__attribute__((format(printf, 1, 2))) void warn(const char *format, ...);

/* Returns whether warnings were on. */
bool warnings_told(bool told);

/* malloc, calloc, realloc and strdup that never return NULL. */
void *make(size_t size);
void *make_zeroed(size_t count, size_t size);
void *remake(void *block, size_t size);
char *copy_text(const char *text);
__attribute__((format(printf, 1, 2))) char *make_text(const char *format, ...);

/* Replaces control characters in a target's text, which a terminal could obey; returns it. */
char *make_printable(char *text);

/* Makes room for one more element; the array doubles. */
void *grow(void *array, size_t count, size_t size);

/* Decimal or, with 0x, hexadecimal; false if the text is anything else. */
bool parse_number(const char *text, uint64_t *number);

/* Where this program's file is; the caller frees it. Ends the program if /proc does not tell. */
char *own_folder(void);

/* Seconds on the clock that never jumps. */
double now_seconds(void);

/* Shows a long command's progress on standard error, if that is a terminal, after the first second; progress_end erases
 * the line. */
void progress(const char *what, uint64_t done, uint64_t all);
void progress_end(void);

/* Detects a cycle in a list of the target. Call it for every node; initially all zero. (It remembers the node at each
 * power of two of steps, so it finds a cycle after its length or that of the list before it.) */
struct circle {
    uint64_t remembered;
    uint64_t steps;
};

static inline bool circle_closed(struct circle *circle, uint64_t node) {
    if (circle->steps != 0 && node == circle->remembered) {
        return true;
    }
    if ((circle->steps & (circle->steps + 1)) == 0) {
        circle->remembered = node;
    }
    circle->steps++;
    return false;
}

static inline uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static inline double larger_double(double a, double b) {
    return a > b ? a : b;
}

static inline uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}
