#include "message.h"

#include <unistd.h>

#include "os.h"

void message_begin(struct message *message) {
    message->line = fmt_of(message->text, sizeof message->text - MESSAGE_END);
}

void message_end(struct message *message) {
    message->line.capacity = sizeof message->text - 1;
}

void message_tell(struct message *message, int fd) {
    message->line.capacity = sizeof message->text;
    fmt_char(&message->line, '\n');
    fmt_flush(&message->line, fd);
}

void message_line(const char *line) {
    struct message message;
    message_begin(&message);
    message_end(&message);
    fmt_text(&message.line, line);
    message_tell(&message, STDERR_FILENO);
}
