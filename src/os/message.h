/* message.h - lines on standard error. A line is composed without allocation and written by one write(2), so threads'
 * lines do not mix. Keeps errno. Callable with any lock held, and in signal handlers. */
#pragma once

#include "base/fmt.h"

/* The last MESSAGE_END bytes are reserved for the line's end; only text before them is ever cut. */
#define MESSAGE_SIZE 512
#define MESSAGE_END 32

struct message {
    struct fmt line;
    char text[MESSAGE_SIZE];
};

void message_begin(struct message *message);

/* Opens the reserved MESSAGE_END - 2 characters. */
void message_end(struct message *message);

/* Adds a newline and writes the line. */
void message_tell(struct message *message, int fd);

/* Writes a line, given without its newline, to standard error. */
void message_line(const char *line);
