/* message.h - lines that the heaps write to standard error. A line is composed without allocation and written by one
 * write(2), so lines of threads do not mix. errno is unchanged. May be called anywhere, with any lock held and in
 * signal handlers. */
#pragma once

#include "base/fmt.h"

/* A line under construction. The last MESSAGE_END bytes are kept for its end, so only text before that is ever cut. */
#define MESSAGE_SIZE 512
#define MESSAGE_END 32

struct message {
    struct fmt line;
    char text[MESSAGE_SIZE];
};

/* Starts an empty line; the caller adds text. */
void message_begin(struct message *message);

/* Makes the reserved MESSAGE_END - 2 characters available for the line's end. */
void message_end(struct message *message);

/* Adds a newline and writes the line to fd. */
void message_tell(struct message *message, int fd);

/* Writes a whole line, given without its newline, to standard error. */
void message_line(const char *line);
