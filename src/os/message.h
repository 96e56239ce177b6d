/*
 * message.h - what the heaps say unasked: lines on standard error.
 *
 * Each is composed without allocation and written by one write(2), so that lines of several threads do not mix. errno
 * is unchanged. May be called anywhere, with any lock held and in signal handlers.
 */
#ifndef MEMS_OS_MESSAGE_H
#define MEMS_OS_MESSAGE_H

#include "base/fmt.h"

/* A line in the making. The last MESSAGE_END bytes are kept for its end, so that only what comes before is ever cut. */
#define MESSAGE_SIZE 512
#define MESSAGE_END 32

struct message {
    struct fmt line;
    char text[MESSAGE_SIZE];
};

/* Begins an empty line, to which the caller adds text. */
void message_begin(struct message *message);

/* Opens the room for the line's end, for MESSAGE_END - 2 characters. */
void message_end(struct message *message);

/* Ends the line with a newline and writes it to standard error, or to where a report was to go. */
void message_tell(struct message *message, int fd);

/* Tells a whole line, which comes without a newline, on standard error. */
void message_line(const char *line);

#endif
