#include "complaint.h"

#include <errno.h>
#include <unistd.h>

#include "ranks.h"

/* Handler and context belong together, so both are accessed under the lock. */
static struct {
    struct lock lock;
    void (*handler)(const struct mems_error *error, void *context);
    void *context;
} listener = {.lock = LOCK_INIT(LOCK_COMPLAINTS)};

void complaint_set_handler(void (*handler)(const struct mems_error *error, void *context), void *context) {
    lock_take(&listener.lock);
    listener.handler = handler;
    listener.context = context;
    lock_give(&listener.lock);
}

void complaint_begin(struct complaint *complaint, const char *function, uintptr_t address, int error) {
    complaint->error = (struct mems_error){.function = function, .address = address, .error = error};
    message_begin(&complaint->message);
    fmt_format(&complaint->message.line, "%s: ", function);
}

void complaint_tell(struct complaint *complaint) {
    lock_take(&listener.lock);
    void (*handler)(const struct mems_error *error, void *context) = listener.handler;
    void *context = listener.context;
    lock_give(&listener.lock);
    if (handler != NULL) {
        complaint->error.text = complaint->message.text;
        handler(&complaint->error, context);
    } else {
        message_tell(&complaint->message, STDERR_FILENO);
    }
    errno = complaint->error.error;
}

void complain(const char *function, int error, const char *format, uint64_t number) {
    struct complaint complaint;
    complaint_begin(&complaint, function, 0, error);
    fmt_format(&complaint.message.line, format, number);
    complaint_tell(&complaint);
}

void complaint_each_lock(void (*act)(struct lock *lock)) {
    act(&listener.lock);
}
