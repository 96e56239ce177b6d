/*
 * fault.c - base/fault.h: what ends a program needs the system.
 */
#include "base/fault.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/compiler.h"
#include "message.h"
#include "os.h"

_Static_assert(FAULT_LINE == MESSAGE_SIZE, "a fault report is a message");

/* Ends the line with the thread, however long the rest was, and the process. */
static _Noreturn void finish(struct message *message) {
    message_end(message);
    fmt_format(&message->line, " [thread %u]", os_thread_id());
    message_tell(message, STDERR_FILENO);
    abort();
}

COLD void fault(const char *operation, const void *address, const char *problem, const char *state) {
    struct message message;
    message_begin(&message);
    fault_describe(&message.line, operation, address, problem, state);
    finish(&message);
}

COLD void fault_internal(const char *file, int number, const char *condition) {
    struct message message;
    message_begin(&message);
    fmt_format(&message.line, "mems: internal error: %s:%d: %s", file, (int64_t)number, condition);
    finish(&message);
}
