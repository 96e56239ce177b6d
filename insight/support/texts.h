/* texts.h - distinct texts. */
#pragma once

#include <stddef.h>

/* All zero is an empty one. */
struct texts {
    char **texts;
    size_t count;
};

/* The place of an equal text, which is copied if there is none. */
size_t texts_place(struct texts *texts, const char *text);

void texts_free(struct texts *texts);
