/* fault.c - implements base/fault.h. */
#include "base/fault.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/compiler.h"
#include "message.h"
#include "os.h"

_Static_assert(FAULT_LINE == MESSAGE_SIZE, "a fault report is a message");

static _Atomic enum fault_ending fault_ending;

void fault_set_ending(enum fault_ending ending) {
    atomic_store_explicit(&fault_ending, ending, memory_order_relaxed);
}

/* The thread's id ends the line even if the rest was cut. The message is in the frame of a function that may not
 * return, and keeps the line, so a core has it, where `mems CORE` finds it. */
static void tell(struct message *message) {
    message_end(message);
    fmt_format(&message->line, " [thread %u]", os_thread_id());
    const char first = message->text[0];
    message_tell(message, STDERR_FILENO);
    message->text[0] = first; /* telling has emptied the text */
}

static void tell_of(struct message *message, const char *operation, const void *address, const char *problem,
                    const char *state) {
    message_begin(message);
    fault_describe(&message->line, operation, address, problem, state);
    tell(message);
}

static _Noreturn void end(void) {
    if (atomic_load_explicit(&fault_ending, memory_order_relaxed) == FAULT_TRAPS) {
        __builtin_trap();
    }
    abort();
}

COLD void fault(const char *operation, const void *address, const char *problem, const char *state) {
    struct message message;
    tell_of(&message, operation, address, problem, state);
    end();
}

COLD void fault_tell(const char *operation, const void *address, const char *problem, const char *state, bool ends) {
    struct message message;
    tell_of(&message, operation, address, problem, state);
    if (ends && atomic_load_explicit(&fault_ending, memory_order_relaxed) != FAULT_REPORTS) {
        end();
    }
}

COLD void fault_internal(const char *file, int number, const char *condition) {
    struct message message;
    message_begin(&message);
    fmt_format(&message.line, "mems: internal error: %s:%d: %s", file, (int64_t)number, condition);
    tell(&message);
    abort();
}
