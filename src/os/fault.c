/*
 * fault.c - base/fault.h: what ends a program needs the system.
 */
#include "base/fault.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/fmt.h"
#include "os.h"

/* " [thread ", a decimal number, "]\n" and the final '\0': always at the line's end, however long the rest was. */
#define TAIL 32

/* Ends the line, writes it with one write(2) and aborts. */
static _Noreturn void finish(struct fmt *line) {
    line->capacity += TAIL;
    fmt_format(line, " [thread %u]\n", os_thread_id());
    fmt_flush(line, STDERR_FILENO);
    abort();
}

COLD void fault(const char *operation, const void *address, const char *problem, const char *state) {
    char buffer[FAULT_LINE];
    struct fmt line;
    fmt_init(&line, buffer, sizeof buffer - TAIL);
    fmt_format(&line, "mems: %s(%p): %s", operation, address, problem);
    if (state != NULL) {
        fmt_format(&line, ": %s", state);
    }
    finish(&line);
}

COLD void fault_internal(const char *file, int number, const char *condition) {
    char buffer[FAULT_LINE];
    struct fmt line;
    fmt_init(&line, buffer, sizeof buffer - TAIL);
    fmt_format(&line, "mems: internal error: %s:%d: %s", file, (int64_t)number, condition);
    finish(&line);
}
