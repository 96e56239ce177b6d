#include "support/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "support/support.h"

static char *next_buffer(void) {
    static char buffers[16][32];
    static unsigned turn;
    return buffers[turn++ % COUNT_OF(buffers)];
}

const char *text_size(uint64_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    char *buffer = next_buffer();
    unsigned unit = 0;
    uint64_t rest = 0;
    for (; bytes >= 1024; bytes /= 1024) {
        rest = bytes % 1024;
        unit++;
    }
    if (unit == 0) {
        snprintf(buffer, 32, "%lu B", bytes);
    } else {
        snprintf(buffer, 32, "%lu.%lu %s", bytes, rest * 10 / 1024, units[unit]);
    }
    return buffer;
}

const char *text_age(uint64_t seconds) {
    char *buffer = next_buffer();
    if (seconds < 120) {
        snprintf(buffer, 32, "%lu s", seconds);
    } else if (seconds < UINT64_C(120) * 60) {
        snprintf(buffer, 32, "%lu min", seconds / 60);
    } else if (seconds < UINT64_C(48) * 3600) {
        snprintf(buffer, 32, "%lu h", seconds / 3600);
    } else {
        snprintf(buffer, 32, "%lu days", seconds / 86400);
    }
    return buffer;
}

const char *text_ages(uint64_t youngest, uint64_t oldest) {
    const char *first = text_age(youngest);
    const char *last = text_age(oldest);
    if (strcmp(first, last) == 0) {
        return first;
    }
    char *buffer = next_buffer();
    snprintf(buffer, 32, "%s .. %s", first, last);
    return buffer;
}

static bool coloured(void) {
    static int known = -1;
    if (known < 0) {
        const char *refused = getenv("NO_COLOR");
        const char *terminal = getenv("TERM");
        known =
            isatty(STDOUT_FILENO) && (refused == NULL || *refused == '\0') && terminal != NULL && terminal[0] != 'd';
    }
    return known > 0;
}

const char *colour(enum colour colour) {
    static const char *const codes[] = {
        [COLOUR_BOLD] = "\033[1m",   [COLOUR_DIM] = "\033[2m",     [COLOUR_RED] = "\033[31m",
        [COLOUR_GREEN] = "\033[32m", [COLOUR_YELLOW] = "\033[33m", [COLOUR_BLUE] = "\033[34m",
        [COLOUR_CYAN] = "\033[36m",  [COLOUR_GREY] = "\033[90m",
    };
    return coloured() ? codes[colour] : "";
}

const char *colour_off(void) {
    return coloured() ? "\033[0m" : "";
}

unsigned text_columns(unsigned usual) {
    struct winsize size;
    bool known = isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0;
    return known ? size.ws_col : usual;
}
