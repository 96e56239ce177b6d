/*
 * support.h - what every room of the command uses: memory that is there or ends the program, errors, growing arrays.
 */
#ifndef MEMS_INSIGHT_SUPPORT_H
#define MEMS_INSIGHT_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Exit statuses: of `check`, 1 means damage; of all verbs, 2 means that the question could not be answered. */
enum exit_status { EXIT_FINE = 0, EXIT_FOUND = 1, EXIT_TROUBLE = 2 };

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* Ends the program with EXIT_TROUBLE and one line, "mems: ...", on standard error. */
_Noreturn __attribute__((format(printf, 1, 2))) void fail(const char *format, ...);

/* One such line, and on. */
__attribute__((format(printf, 1, 2))) void warn(const char *format, ...);

/* As malloc, calloc, realloc and strdup, but they never return NULL. */
void *make(size_t size);
void *make_zeroed(size_t count, size_t size);
void *remake(void *block, size_t size);
char *copy_text(const char *text);
__attribute__((format(printf, 1, 2))) char *make_text(const char *format, ...);

/* Room for one more element in an array of `count` that grows by doubling from nothing. */
void *grow(void *array, size_t count, size_t size);

/* A number in decimal or, with 0x, in hexadecimal, and nothing else; false when the text is none. */
bool parse_number(const char *text, uint64_t *number);

/* Seconds on the clock that never jumps. */
double now_seconds(void);

/*
 * What a command that takes long says on standard error, once a second has passed and if that is a terminal: how far it
 * is. `done` of `all`; progress_end wipes the line.
 */
void progress(const char *what, uint64_t done, uint64_t all);
void progress_end(void);

/*
 * Finds out that a list of a target runs in a circle: it shows every node that it comes to. All zero to begin with. (A
 * node is remembered at each power of two of steps, so a circle ends after its own length, or the list's before it.)
 */
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

static inline uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

#endif
