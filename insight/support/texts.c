#include "support/texts.h"

#include <stdlib.h>
#include <string.h>

#include "support/support.h"

size_t texts_place(struct texts *texts, const char *text) {
    for (size_t i = 0; i < texts->count; i++) {
        if (strcmp(texts->texts[i], text) == 0) {
            return i;
        }
    }
    texts->texts = grow(texts->texts, texts->count, sizeof *texts->texts);
    texts->texts[texts->count] = copy_text(text);
    return texts->count++;
}

void texts_free(struct texts *texts) {
    for (size_t i = 0; i < texts->count; i++) {
        free(texts->texts[i]);
    }
    free(texts->texts);
}
