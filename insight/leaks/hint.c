#include "leaks/hint.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

/* Fewer characters may be coincidence. This many are a text even if its end was not read. */
#define TEXT_LEAST 4u
#define TEXT_SURE 16u

void hints_start(struct hints *hints, struct session *session, const struct image *image) {
    *hints = (struct hints){.session = session, .image = image};
}

void hints_end(struct hints *hints) {
    known_free(&hints->names, free);
}

/* A class's virtual table without the offset into it. */
static char *without_place(char *name) {
    char *plus = name != NULL && strncmp(name, "vtable for ", 11) == 0 ? strrchr(name, '+') : NULL;
    if (plus != NULL) {
        *plus = '\0';
    }
    return name;
}

static const char *symbol_at(struct hints *hints, uint64_t address) {
    const struct mapping *mapping = target_mapping(&hints->session->target, address);
    if (address == 0 || mapping == NULL || mapping->path[0] != '/') {
        return NULL;
    }
    bool is_new;
    void **name = known_find(&hints->names, address, &is_new);
    if (is_new) {
        *name = without_place(session_name(hints->session, address));
    }
    return *name;
}

/* 0 if there is no text at the start. */
static size_t text_length(const char *bytes, size_t size) {
    size_t length = 0;
    while (length < size && (isprint((unsigned char)bytes[length]) || bytes[length] == '\n' || bytes[length] == '\t')) {
        length++;
    }
    bool ends = length == size || bytes[length] == '\0';
    return (length >= TEXT_LEAST && ends) || length >= TEXT_SURE ? length : 0;
}

static bool is_zero(const struct image *image, const struct block *block) {
    char bytes[256];
    for (uint64_t at = 0; at < block->size; at += sizeof bytes) {
        size_t part = (size_t)smaller(block->size - at, sizeof bytes);
        if (!image_has(image, block->start + at, part)) {
            return false;
        }
        image_read(image, block->start + at, bytes, part);
        if (bytes[0] != 0 || memcmp(bytes, bytes + 1, part - 1) != 0) {
            return false;
        }
    }
    return true;
}

struct hint hint_of(struct hints *hints, const struct block *block) {
    struct hint hint = {0};
    char bytes[HINT_TEXT_MAX - 1];
    const size_t size = (size_t)smaller(block->size, sizeof bytes);
    uint64_t word = 0;
    if (!image_has(hints->image, block->start, size)) {
        return hint;
    }
    image_read(hints->image, block->start, bytes, size);
    memcpy(&word, bytes, smaller(size, sizeof word));
    hint.symbol = symbol_at(hints, word);
    const size_t length = text_length(bytes, size);
    if (hint.symbol != NULL) {
        hint.kind = HINT_SYMBOL;
    } else if (length != 0) {
        hint.kind = HINT_TEXT;
        for (size_t i = 0; i < length; i++) {
            hint.text[i] = isprint((unsigned char)bytes[i]) ? bytes[i] : ' ';
        }
    } else if (word == 0 && is_zero(hints->image, block)) {
        hint.kind = HINT_ZERO;
    }
    return hint;
}
