#include "fmt.h"

#include <stdarg.h>

/* 2^64 - 1 has 20 decimal digits. */
#define DIGITS 20

void fmt_init(struct fmt *fmt, char *buffer, size_t capacity) {
    *fmt = (struct fmt){.text = buffer, .capacity = capacity};
    buffer[0] = '\0';
}

static void append(struct fmt *fmt, const char *text, size_t length) {
    size_t room = fmt->capacity - 1 - fmt->length;
    if (length > room) {
        length = room;
        fmt->full = true;
    }
    __builtin_memcpy(fmt->text + fmt->length, text, length);
    fmt->length += length;
    fmt->text[fmt->length] = '\0';
}

/* Not strlen: this file needs no library but memcpy, which compilers expect everywhere. */
static size_t text_length(const char *text) {
    size_t length = 0;
    while (text[length] != '\0') {
        length++;
    }
    return length;
}

static void pad(struct fmt *fmt, size_t used, size_t width) {
    for (; used < width; used++) {
        append(fmt, " ", 1);
    }
}

/* Writes the digits of value so that they end at `end`; returns where they start. */
static char *digits(char *end, uint64_t value, unsigned base) {
    do {
        *--end = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    return end;
}

void fmt_text(struct fmt *fmt, const char *text) {
    append(fmt, text, text_length(text));
}

void fmt_char(struct fmt *fmt, char c) {
    append(fmt, &c, 1);
}

void fmt_column(struct fmt *fmt, uint64_t value, size_t width) {
    char buffer[DIGITS];
    char *end = buffer + sizeof buffer;
    char *start = digits(end, value, 10);
    size_t length = (size_t)(end - start);
    pad(fmt, length, width);
    append(fmt, start, length);
}

void fmt_decimal(struct fmt *fmt, uint64_t value) {
    fmt_column(fmt, value, 0);
}

void fmt_signed(struct fmt *fmt, int64_t value) {
    if (value < 0) {
        fmt_char(fmt, '-');
    }
    fmt_decimal(fmt, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void fmt_hex(struct fmt *fmt, uint64_t value) {
    char buffer[DIGITS];
    char *end = buffer + sizeof buffer;
    char *start = digits(end, value, 16);
    fmt_text(fmt, "0x");
    append(fmt, start, (size_t)(end - start));
}

void fmt_pointer(struct fmt *fmt, const void *pointer) {
    fmt_hex(fmt, (uintptr_t)pointer);
}

void fmt_label(struct fmt *fmt, const char *text, size_t width) {
    size_t length = text_length(text);
    append(fmt, text, length);
    pad(fmt, length, width);
}

void fmt_format(struct fmt *fmt, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            fmt_char(fmt, *format);
            continue;
        }
        switch (*++format) {
        case 's':
            fmt_text(fmt, va_arg(arguments, const char *));
            break;
        case 'u':
            fmt_decimal(fmt, va_arg(arguments, uint64_t));
            break;
        case 'd':
            fmt_signed(fmt, va_arg(arguments, int64_t));
            break;
        case 'x':
            fmt_hex(fmt, va_arg(arguments, uint64_t));
            break;
        case 'p':
            fmt_pointer(fmt, va_arg(arguments, const void *));
            break;
        case '\0':
            format--; /* a lone % at the end: the loop must see the '\0' */
            fmt_char(fmt, '%');
            break;
        default:
            fmt_char(fmt, *format);
            break;
        }
    }
    va_end(arguments);
}
