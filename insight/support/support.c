#include "support/support.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void complain(const char *format, va_list arguments) {
    fflush(stdout);
    fputs("mems: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    progress_end();
    complain(format, arguments);
    va_end(arguments);
    exit(EXIT_TROUBLE);
}

static bool warnings_off;

bool warnings_told(bool told) {
    bool before = !warnings_off;
    warnings_off = !told;
    return before;
}

void warn(const char *format, ...) {
    va_list arguments;
    if (warnings_off) {
        return;
    }
    va_start(arguments, format);
    progress_end();
    complain(format, arguments);
    va_end(arguments);
}

void *make(size_t size) {
    void *block = malloc(size != 0 ? size : 1);
    if (block == NULL) {
        fail("no memory for %zu bytes", size);
    }
    return block;
}

void *make_zeroed(size_t count, size_t size) {
    void *block = calloc(count != 0 ? count : 1, size);
    if (block == NULL) {
        fail("no memory for %zu times %zu bytes", count, size);
    }
    return block;
}

void *remake(void *block, size_t size) {
    block = realloc(block, size != 0 ? size : 1);
    if (block == NULL) {
        fail("no memory for %zu bytes", size);
    }
    return block;
}

char *copy_text(const char *text) {
    size_t size = strlen(text) + 1;
    return memcpy(make(size), text, size);
}

char *make_text(const char *format, ...) {
    va_list arguments;
    char *text;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0) {
        fail("no memory for a line of text");
    }
    va_end(arguments);
    return text;
}

char *make_printable(char *text) {
    for (unsigned char *at = (unsigned char *)text; *at != '\0'; at++) {
        if (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0) {
            *at++ = '?'; /* in UTF-8, a control character has two bytes here */
            *at = '?';
        } else if (*at < 0x20 || *at == 0x7f) {
            *at = '?';
        }
    }
    return text;
}

void *grow(void *array, size_t count, size_t size) {
    if (count != 0 && (count & (count - 1)) != 0) {
        return array;
    }
    return remake(array, (count != 0 ? 2 * count : 1) * size);
}

bool parse_number(const char *text, uint64_t *number) {
    char *end;
    int base = strncmp(text, "0x", 2) == 0 || strncmp(text, "0X", 2) == 0 ? 16 : 10;
    errno = 0;
    *number = strtoull(text, &end, base);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0;
}

char *own_folder(void) {
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0) {
        fail("cannot read /proc/self/exe: /proc must be mounted");
    }
    path[length] = '\0';
    *strrchr(path, '/') = '\0';
    return copy_text(path);
}

double now_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double progress_since; /* 0: nothing has begun */
static bool progress_shown;
static int progress_terminal = -1; /* whether standard error is one; below 0: unknown */

void progress(const char *what, uint64_t done, uint64_t all) {
    double now = now_seconds();
    if (progress_since <= 0) {
        progress_since = now;
    }
    if (now - progress_since >= 1 && progress_terminal < 0) {
        progress_terminal = isatty(STDERR_FILENO);
    }
    if (now - progress_since >= 1 && progress_terminal > 0 && all != 0) {
        fprintf(stderr, "\r%s: %.0f %% ", what, 100.0 * (double)done / (double)all);
        fflush(stderr);
        progress_shown = true;
    }
}

void progress_end(void) {
    if (progress_shown) {
        fputs("\r\033[K", stderr);
    }
    progress_shown = false;
    progress_since = 0;
}
