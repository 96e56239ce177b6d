/* complaint.h - how a space reports a mistake: one line, to standard error or to the program's handler. Composed under
 * the space's lock, and reported after it: a handler may call any function. */
#pragma once

#include "mems.h"
#include "os/lock.h"
#include "os/message.h"

struct complaint {
    struct mems_error error;
    struct message message;
};

/* "FUNCTION: "; the caller continues in complaint->message.line. */
void complaint_begin(struct complaint *complaint, const char *function, uintptr_t address, int error);

/* Reports the line and sets errno. */
void complaint_tell(struct complaint *complaint);

/* Both, for a line with at most one number (a format of fmt_format). */
void complain(const char *function, int error, const char *format, uint64_t number);

/* See mems_set_error_handler. */
void complaint_set_handler(void (*handler)(const struct mems_error *error, void *context), void *context);

/* For the handler's lock, around fork. */
void complaint_each_lock(void (*act)(struct lock *lock));
