#include "settings.h"

#include <errno.h>
#include <string.h>

#include "base/fault.h"
#include "message.h"
#include "os.h"

/* Enough for any heap's choices; the engine's, with a file's path, are the largest. */
#define CHOICES_MAX 1024

/* A copy of the choices, to be changed and then adopted or dropped. */
struct draft {
    _Alignas(max_align_t) char choices[CHOICES_MAX];
};

static void draft_begin(struct draft *draft, const struct settings *settings) {
    ASSERT(settings->table->size <= sizeof draft->choices);
    memcpy(draft->choices, settings->choices, settings->table->size);
}

static void adopt(struct settings *settings, const struct draft *draft, const struct option *option) {
    memcpy((char *)settings->choices + option->offset, draft->choices + option->offset, option->size);
}

static void read_environment(struct settings *settings, const char *text, bool started) {
    const struct option_table *table = settings->table;
    struct draft draft;
    draft_begin(&draft, settings);
    options_parse(table, draft.choices, text, message_line);
    for (const struct option *option = table->options; option < table->options + table->count; option++) {
        if (!started || !option->fixed) {
            adopt(settings, &draft, option);
        }
    }
}

bool settings_read(struct settings *settings, char *const *early, bool started) {
    if (settings->read == SETTINGS_UNREAD) {
        options_init(settings->table, settings->choices);
        settings->read = SETTINGS_DEFAULTS;
    }
    if (settings->read == SETTINGS_ALL || (early == NULL && !os_environment_ready())) {
        return false;
    }
    settings->read = SETTINGS_ALL;
    const char *text = os_environment(early, settings->table->variable);
    if (text != NULL) {
        read_environment(settings, text, started);
    }
    return true;
}

int settings_set(struct settings *settings, const char *name, const char *value, bool started) {
    struct draft draft;
    draft_begin(&draft, settings);
    int error = options_set(settings->table, draft.choices, name, value);
    if (error != 0) {
        return error;
    }
    const struct option *option = options_find(settings->table, name);
    if (started && option->fixed) {
        return EBUSY;
    }
    adopt(settings, &draft, option);
    return 0;
}
