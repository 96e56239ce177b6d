#include "fmt.h"

#include <stdarg.h>

/* 2^64 - 1 has 20 decimal digits. */
#define DIGITS 20

struct fmt fmt_of(char *buffer, size_t capacity) {
    buffer[0] = '\0';
    return (struct fmt){.text = buffer, .capacity = capacity};
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

/* Not strlen: this file needs only memcpy, which compilers expect everywhere. */
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

static const uint64_t powers[DIGITS] = {
    UINT64_C(1),
    UINT64_C(10),
    UINT64_C(100),
    UINT64_C(1000),
    UINT64_C(10000),
    UINT64_C(100000),
    UINT64_C(1000000),
    UINT64_C(10000000),
    UINT64_C(100000000),
    UINT64_C(1000000000),
    UINT64_C(10000000000),
    UINT64_C(100000000000),
    UINT64_C(1000000000000),
    UINT64_C(10000000000000),
    UINT64_C(100000000000000),
    UINT64_C(1000000000000000),
    UINT64_C(10000000000000000),
    UINT64_C(100000000000000000),
    UINT64_C(1000000000000000000),
    UINT64_C(10000000000000000000),
};

/* Returns how many digits. Subtracts from a table, because small processors cannot divide such wide numbers. */
static size_t decimal(char digits[DIGITS], uint64_t value) {
    size_t count = 1;
    while (count < DIGITS && powers[count] <= value) {
        count++;
    }
    for (size_t i = 0; i < count; i++) {
        digits[i] = '0';
        for (; value >= powers[count - 1 - i]; value -= powers[count - 1 - i]) {
            digits[i]++;
        }
    }
    return count;
}

void fmt_text(struct fmt *fmt, const char *text) {
    append(fmt, text, text_length(text));
}

void fmt_char(struct fmt *fmt, char c) {
    append(fmt, &c, 1);
}

void fmt_column(struct fmt *fmt, uint64_t value, size_t width) {
    char buffer[DIGITS];
    size_t length = decimal(buffer, value);
    pad(fmt, length, width);
    append(fmt, buffer, length);
}

void fmt_decimal(struct fmt *fmt, uint64_t value) {
    fmt_column(fmt, value, 0);
}

static void add_signed(struct fmt *fmt, int64_t value) {
    if (value < 0) {
        fmt_char(fmt, '-');
    }
    fmt_decimal(fmt, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

static void add_hex(struct fmt *fmt, uint64_t value) {
    char buffer[DIGITS];
    char *start = buffer + sizeof buffer;
    do {
        *--start = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value != 0);
    fmt_text(fmt, "0x");
    append(fmt, start, (size_t)(buffer + sizeof buffer - start));
}

void fmt_label(struct fmt *fmt, const char *text, size_t width) {
    size_t length = text_length(text);
    append(fmt, text, length);
    pad(fmt, length, width);
}

/* False if the letter asks for no number. With all letters in one function, compilers make a jump table, for which
 * small processors need a helper. */
static bool format_number(struct fmt *fmt, char letter, va_list *arguments) {
    if (letter == 'u') {
        fmt_decimal(fmt, va_arg(*arguments, uint64_t));
    } else if (letter == 'd') {
        add_signed(fmt, va_arg(*arguments, int64_t));
    } else if (letter == 'x') {
        add_hex(fmt, va_arg(*arguments, uint64_t));
    } else {
        return false;
    }
    return true;
}

/* An unknown letter is written as it is. */
static void format_argument(struct fmt *fmt, char letter, va_list *arguments) {
    if (letter == 's') {
        fmt_text(fmt, va_arg(*arguments, const char *));
    } else if (letter == 'p') {
        add_hex(fmt, (uintptr_t)va_arg(*arguments, const void *));
    } else if (!format_number(fmt, letter, arguments)) {
        fmt_char(fmt, letter);
    }
}

void fmt_format(struct fmt *fmt, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    for (; *format != '\0'; format++) {
        if (*format == '%' && format[1] != '\0') {
            format_argument(fmt, *++format, &arguments);
        } else {
            fmt_char(fmt, *format);
        }
    }
    va_end(arguments);
}
