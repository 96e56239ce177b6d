/*
 * fmt.h - text without allocation: numbers and strings into a caller's buffer, which is always a string.
 *
 * What does not fit is cut off, never written past the end; `full` then tells. Safe in signal handlers.
 */
#ifndef MEMS_BASE_FMT_H
#define MEMS_BASE_FMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "prefix.h"

struct fmt {
    char *text;      /* the buffer; text[length] is always '\0' */
    size_t capacity; /* of the buffer, the final '\0' included */
    size_t length;
    bool full; /* something was cut off */
};

void fmt_init(struct fmt *fmt, char *buffer, size_t capacity); /* capacity is at least 1 */
void fmt_text(struct fmt *fmt, const char *text);
void fmt_char(struct fmt *fmt, char c);
void fmt_decimal(struct fmt *fmt, uint64_t value);
void fmt_signed(struct fmt *fmt, int64_t value);
void fmt_hex(struct fmt *fmt, uint64_t value); /* with 0x */
void fmt_pointer(struct fmt *fmt, const void *pointer);
/* value right-aligned in `width` columns, for tables. */
void fmt_column(struct fmt *fmt, uint64_t value, size_t width);
/* text left-aligned in `width` columns. */
void fmt_label(struct fmt *fmt, const char *text, size_t width);
/* A template with %s (const char *), %u (uint64_t), %d (int64_t), %x (uint64_t, with 0x), %p (const void *) and %%. */
void fmt_format(struct fmt *fmt, const char *format, ...);

#endif
