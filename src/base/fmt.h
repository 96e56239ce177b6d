/* fmt.h - formats into a caller's buffer, which always ends in '\0'. Allocates nothing; safe in signal handlers. Text
 * that does not fit is cut, and `full` is set. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Devices link this file with their own sources; the prefix avoids clashes. */
#define fmt_char mems_fmt_char
#define fmt_column mems_fmt_column
#define fmt_decimal mems_fmt_decimal
#define fmt_format mems_fmt_format
#define fmt_label mems_fmt_label
#define fmt_of mems_fmt_of
#define fmt_text mems_fmt_text

struct fmt {
    char *text;      /* the buffer; text[length] is '\0' */
    size_t capacity; /* of the buffer, including the final '\0' */
    size_t length;
    bool full; /* something was cut off */
};

/* The buffer has at least 1 byte. */
struct fmt fmt_of(char *buffer, size_t capacity);

void fmt_text(struct fmt *fmt, const char *text);
void fmt_char(struct fmt *fmt, char c);
void fmt_decimal(struct fmt *fmt, uint64_t value);
/* Right-aligned in `width` columns. */
void fmt_column(struct fmt *fmt, uint64_t value, size_t width);
void fmt_label(struct fmt *fmt, const char *text, size_t width);
/* %s (const char *), %u (uint64_t), %d (int64_t), %x (uint64_t, with 0x), %p (const void *) and %%. */
void fmt_format(struct fmt *fmt, const char *format, ...);
