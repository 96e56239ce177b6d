#include "target/report.h"

#include <stdlib.h>
#include <string.h>

#include "support/support.h"

/* How far above the stack pointer the report may be: below it are the frames of abort and of the kernel's signal. */
#define FRAMES 16384u
#define LINE_MAX_BYTES 512u

/* Bytes of a line's text before its end; 0: none ends here, or it would not be fit to be printed. */
static size_t line_length(const char *text, size_t size) {
    for (size_t i = 0; i < size && i < LINE_MAX_BYTES; i++) {
        if (text[i] == '\n') {
            return i;
        }
        if (text[i] < ' ' || text[i] > '~') {
            return 0;
        }
    }
    return 0;
}

char *report_find(struct target *target) {
    static const char start[] = "mems: ";
    const uint64_t from = target->thread_count != 0 ? target->threads[0].stack : 0;
    const struct mapping *mapping = from != 0 ? target_mapping(target, from) : NULL;
    if (mapping == NULL) {
        return NULL;
    }
    char frames[FRAMES];
    const size_t size = smaller(mapping->end - from, sizeof frames);
    if (!target_read(target, from, frames, size)) {
        return NULL;
    }
    for (size_t i = 0; i + sizeof start < size; i++) {
        const size_t length = memcmp(frames + i, start, sizeof start - 1) == 0 ? line_length(frames + i, size - i) : 0;
        char *line = length != 0 ? make_text("%.*s", (int)length, frames + i) : NULL;
        if (line != NULL && strstr(line, " [thread ") != NULL) {
            return line;
        }
        free(line);
    }
    return NULL;
}
