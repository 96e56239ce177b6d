/* hint.h - hints from a block's contents: the symbol that its first word points at, which in C++ names its type, or the
 * text that it begins with. */
#pragma once

#include "leaks/blocks.h"
#include "support/known.h"
#include "target/image.h"

enum hint_kind { HINT_NONE, HINT_SYMBOL, HINT_TEXT, HINT_ZERO };

#define HINT_TEXT_MAX 33u

struct hint {
    enum hint_kind kind;
    const char *symbol;       /* NULL: there is none */
    char text[HINT_TEXT_MAX]; /* the first bytes of a text */
};

struct hints {
    struct session *session;
    const struct image *image;
    struct known names; /* texts; NULL: the address has no name */
};

void hints_start(struct hints *hints, struct session *session, const struct image *image);
void hints_end(struct hints *hints);

/* The names are valid until hints_end. */
struct hint hint_of(struct hints *hints, const struct block *block);
