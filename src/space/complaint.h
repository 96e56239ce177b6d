/*
 * complaint.h - what a space says about a mistake: one line, to standard error or to the program's own handler.
 *
 * A complaint is composed under the space's lock, where what it speaks of cannot change, and told without it, so that a
 * handler may call any function.
 */
#ifndef MEMS_SPACE_COMPLAINT_H
#define MEMS_SPACE_COMPLAINT_H

#include "mems.h"
#include "os/lock.h"
#include "os/message.h"

struct complaint {
    struct mems_error error;
    struct message message;
};

/* Begins the line with "FUNCTION: "; the caller goes on in complaint->message.line. */
void complaint_begin(struct complaint *complaint, const char *function, uintptr_t address, int error);

/* Tells it, and sets errno to its error number. */
void complaint_tell(struct complaint *complaint);

/* Both, for a line that is a format of fmt_format with one number. */
void complain(const char *function, int error, const char *format, uint64_t number);

/* As mems_set_error_handler. */
void complaint_set_handler(void (*handler)(const struct mems_error *error, void *context), void *context);

/* Calls act for the lock of the handler, around fork. */
void complaint_each_lock(void (*act)(struct lock *lock));

#endif
