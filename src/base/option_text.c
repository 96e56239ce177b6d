#include "option_text.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "fault.h"
#include "fmt.h"

static int word_index(const char *const *words, const char *text) {
    for (int i = 0; words != NULL && words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0) {
            return i;
        }
    }
    return -1;
}

/* *end is set to what follows. */
static bool parse_number(const char *text, uint64_t limit, uint64_t *out, const char **end) {
    const char *at = text;
    uint64_t value = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (limit - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    *end = at;
    return at != text;
}

/* k, m, g or t in either case, or none; as a power of two. */
static bool parse_suffix(const char *text, unsigned *shift) {
    const char *const letters = "kmgt"; /* a literal lies with what each start needs; an array would not */
    *shift = 0;
    if (text[0] == '\0') {
        return true;
    }
    const char *found = strchr(letters, text[0] | ('a' ^ 'A'));
    if (found == NULL || text[1] != '\0') {
        return false;
    }
    *shift = 10 * (unsigned)(found - letters + 1);
    return true;
}

static bool parse_size(const char *text, size_t *out) {
    uint64_t value;
    const char *end;
    unsigned shift;
    if (!parse_number(text, SIZE_MAX, &value, &end) || !parse_suffix(end, &shift) || value > SIZE_MAX >> shift) {
        return false;
    }
    *out = (size_t)value << shift;
    return *out != 0;
}

/* With the largest suffix that divides the size. */
static void print_size(struct fmt *out, size_t size) {
    static const char suffixes[][2] = {"", "k", "m", "g", "t"};
    size_t i = 0;
    for (; size != 0 && size % 1024 == 0 && i + 1 < sizeof suffixes / sizeof *suffixes; i++) {
        size /= 1024;
    }
    fmt_decimal(out, size);
    fmt_text(out, suffixes[i]);
}

static bool set_word(const struct option *option, uint32_t *choice, const char *value) {
    int index = word_index(option->words, value);
    if (index < 0) {
        return false;
    }
    *choice = (uint32_t)index;
    return true;
}

static bool set_number(uint32_t *choice, const char *value) {
    uint64_t number;
    const char *end;
    if (!parse_number(value, UINT32_MAX, &number, &end) || *end != '\0') {
        return false;
    }
    *choice = (uint32_t)number;
    return true;
}

static bool set_size(const struct option *option, size_t *choice, const char *value) {
    if (word_index(option->words, value) == 0) {
        *choice = 0;
        return true;
    }
    size_t size;
    if (!parse_size(value, &size) || size < option->least || (option->most != 0 && size > option->most)) {
        return false;
    }
    *choice = size;
    return true;
}

static bool set_text(const struct option *option, char *choice, const char *value) {
    size_t length = strlen(value);
    if (length >= option->size) {
        return false;
    }
    memcpy(choice, value, length + 1);
    return true;
}

/* False, with nothing changed, if the option does not take the value. */
static bool set(const struct option *option, void *choices, const char *value) {
    void *choice = (char *)choices + option->offset;
    switch (option->kind) {
    case OPTION_WORD:
        ASSERT(option->size == sizeof(uint32_t));
        return set_word(option, choice, value);
    case OPTION_NUMBER:
        ASSERT(option->size == sizeof(uint32_t));
        return set_number(choice, value);
    case OPTION_SIZE:
        ASSERT(option->size == sizeof(size_t));
        return set_size(option, choice, value);
    case OPTION_TEXT:
        ASSERT(option->size <= OPTION_VALUE_MAX);
        return set_text(option, choice, value);
    }
    return false;
}

static void print(const struct option *option, const void *choices, struct fmt *out) {
    const void *choice = (const char *)choices + option->offset;
    switch (option->kind) {
    case OPTION_WORD:
        fmt_text(out, option->words[*(const uint32_t *)choice]);
        break;
    case OPTION_NUMBER:
        fmt_decimal(out, *(const uint32_t *)choice);
        break;
    case OPTION_SIZE:
        if (*(const size_t *)choice == 0) {
            fmt_text(out, option->words[0]);
        } else {
            print_size(out, *(const size_t *)choice);
        }
        break;
    case OPTION_TEXT:
        fmt_text(out, choice);
        break;
    }
}

const struct option *options_find(const struct option_table *table, const char *name) {
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->options[i].name, name) == 0) {
            return &table->options[i];
        }
    }
    return NULL;
}

void options_init(const struct option_table *table, void *choices) {
    for (size_t i = 0; i < table->count; i++) {
        bool understood = set(&table->options[i], choices, table->options[i].fallback);
        ASSERT(understood);
    }
}

int options_set(const struct option_table *table, void *choices, const char *name, const char *value) {
    const struct option *option = name != NULL && value != NULL ? options_find(table, name) : NULL;
    return option != NULL && set(option, choices, value) ? 0 : EINVAL;
}

int options_get(const struct option_table *table, const void *choices, const char *name, char *value, size_t size) {
    const struct option *option = name != NULL ? options_find(table, name) : NULL;
    if (option == NULL || value == NULL || size == 0) {
        return EINVAL;
    }
    struct fmt out = fmt_of(value, size);
    print(option, choices, &out);
    return out.full ? ERANGE : 0;
}

/* For an item of a list with its '\0', and for a line about it. */
#define ITEM_MAX (OPTION_NAME_MAX + OPTION_VALUE_MAX)
#define LINE_MAX_LENGTH (ITEM_MAX + 224)

static void pad_to(struct fmt *line, size_t column) {
    while (line->length < column) {
        fmt_char(line, ' ');
    }
}

static void tell_help(const struct option_table *table, void (*complain)(const char *line)) {
    char text[LINE_MAX_LENGTH];
    struct fmt line = fmt_of(text, sizeof text);
    fmt_format(&line, "mems: %s=name=value,name=value with these options, values [and defaults]:", table->variable);
    complain(line.text);
    for (const struct option *option = table->options; option < table->options + table->count; option++) {
        line = fmt_of(text, sizeof text);
        fmt_format(&line, "mems:   %s=%s", option->name, option->values);
        pad_to(&line, 43);
        fmt_format(&line, " [%s] ", option->fallback);
        pad_to(&line, 53);
        fmt_text(&line, option->description);
        complain(line.text);
    }
}

/* Says what is wrong with an item, and what would be right. */
static void tell_error(const struct option_table *table, const char *item, const char *name,
                       void (*complain)(const char *line)) {
    char text[LINE_MAX_LENGTH];
    struct fmt line = fmt_of(text, sizeof text);
    fmt_format(&line, "mems: %s: %s: ", table->variable, item);
    const struct option *option = options_find(table, name);
    if (option != NULL) {
        fmt_format(&line, "%s takes %s", option->name, option->values);
    } else {
        fmt_text(&line, "no such option; there are");
        for (size_t i = 0; i < table->count; i++) {
            fmt_format(&line, "%s %s", i == 0 ? "" : ",", table->options[i].name);
        }
    }
    complain(line.text);
}

/* One "name=value" of the list. */
static void parse_item(const struct option_table *table, void *choices, const char *item,
                       void (*complain)(const char *line)) {
    if (strcmp(item, "help") == 0) {
        tell_help(table, complain);
        return;
    }
    char name[OPTION_NAME_MAX];
    size_t length = strcspn(item, "=");
    struct fmt out = fmt_of(name, sizeof name);
    for (size_t i = 0; i < length; i++) {
        fmt_char(&out, item[i]);
    }
    if (item[length] != '=' || options_set(table, choices, name, item + length + 1) != 0) {
        tell_error(table, item, name, complain);
    }
}

void options_parse(const struct option_table *table, void *choices, const char *text,
                   void (*complain)(const char *line)) {
    char item[ITEM_MAX];
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        if (length >= sizeof item) {
            char line[128];
            struct fmt out = fmt_of(line, sizeof line);
            fmt_format(&out, "mems: %s: an item is too long", table->variable);
            complain(out.text);
        } else if (length > 0) {
            memcpy(item, text, length);
            item[length] = '\0';
            parse_item(table, choices, item, complain);
        }
        text += length;
        text += *text == ',';
    }
}
