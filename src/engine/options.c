#include "options.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/fmt.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Everything there is to know about an option. The default is text, read like any other value. */
struct option {
    const char *name;
    const char *values; /* what it takes, for people */
    const char *fallback;
    const char *description;
    bool (*parse)(struct options *options, const char *value); /* false: not a value of this option */
    void (*print)(const struct options *options, struct fmt *out);
};

/* Which of `count` words `text` is; -1 for none. */
static int word_index(const char *const *words, size_t count, const char *text) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i], text) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* Reads decimal digits up to a limit; *end is what follows. */
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

/* The power of two that a suffix multiplies by: k, m, g, t, in either case, or none. */
static bool parse_suffix(const char *text, unsigned *shift) {
    static const char letters[] = "kmgt";
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
    return true;
}

/* With the largest suffix that loses nothing. */
static void print_size(struct fmt *out, size_t size) {
    static const char *const suffixes[] = {"", "k", "m", "g", "t"};
    size_t i = 0;
    for (; size != 0 && size % 1024 == 0 && i + 1 < COUNT(suffixes); i++) {
        size /= 1024;
    }
    fmt_decimal(out, size);
    fmt_text(out, suffixes[i]);
}

static const char *const check_words[] = {[CHECK_EVERY] = "every", [CHECK_DEFERRED] = "deferred"};

static bool check_parse(struct options *options, const char *value) {
    int index = word_index(check_words, COUNT(check_words), value);
    if (index < 0) {
        return false;
    }
    options->check = (enum check)index;
    return true;
}

static void check_print(const struct options *options, struct fmt *out) {
    fmt_text(out, check_words[options->check]);
}

static const char *const stats_words[] = {[STATS_NONE] = "0", [STATS_TEXT] = "text", [STATS_JSON] = "json"};

static bool stats_parse(struct options *options, const char *value) {
    int index = word_index(stats_words, COUNT(stats_words), value);
    if (index < 0) {
        return false;
    }
    options->stats = (enum stats_form)index;
    return true;
}

static void stats_print(const struct options *options, struct fmt *out) {
    fmt_text(out, stats_words[options->stats]);
}

static bool stats_file_parse(struct options *options, const char *value) {
    size_t length = strlen(value);
    if (length >= sizeof options->stats_file) {
        return false;
    }
    memcpy(options->stats_file, value, length + 1);
    return true;
}

static void stats_file_print(const struct options *options, struct fmt *out) {
    fmt_text(out, options->stats_file);
}

static bool decay_ms_parse(struct options *options, const char *value) {
    uint64_t number;
    const char *end;
    if (!parse_number(value, UINT32_MAX, &number, &end) || *end != '\0') {
        return false;
    }
    options->decay_ms = (uint32_t)number;
    return true;
}

static void decay_ms_print(const struct options *options, struct fmt *out) {
    fmt_decimal(out, options->decay_ms);
}

static bool window_parse(struct options *options, const char *value) {
    if (strcmp(value, "auto") == 0) {
        options->window = 0;
        return true;
    }
    size_t size;
    if (!parse_size(value, &size) || size == 0) {
        return false;
    }
    options->window = size;
    return true;
}

static void window_print(const struct options *options, struct fmt *out) {
    if (options->window == 0) {
        fmt_text(out, "auto");
    } else {
        print_size(out, options->window);
    }
}

static const struct option table[] = {
    {"check", "every|deferred", "every", "prove each pointer when it is freed, or soon after", check_parse,
     check_print},
    {"stats", "0|text|json", "0", "report the heap's statistics at exit", stats_parse, stats_print},
    {"stats_file", "PATH (up to 255 bytes)", "",
     "append the report to this file (%p: process id), not to standard error", stats_file_parse, stats_file_print},
    {"decay_ms", "MILLISECONDS", "500", "give free memory back to the system after this long", decay_ms_parse,
     decay_ms_print},
    {"window", "auto|SIZE[k|m|g|t]", "auto", "reserve this much address space", window_parse, window_print},
};

static const struct option *find(const char *name) {
    for (size_t i = 0; i < COUNT(table); i++) {
        if (strcmp(table[i].name, name) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

void options_init(struct options *options) {
    for (size_t i = 0; i < COUNT(table); i++) {
        table[i].parse(options, table[i].fallback);
    }
}

int options_set(struct options *options, const char *name, const char *value) {
    const struct option *option = name != NULL && value != NULL ? find(name) : NULL;
    return option != NULL && option->parse(options, value) ? 0 : EINVAL;
}

int options_get(const struct options *options, const char *name, char *value, size_t size) {
    const struct option *option = name != NULL ? find(name) : NULL;
    if (option == NULL || value == NULL || size == 0) {
        return EINVAL;
    }
    struct fmt out;
    fmt_init(&out, value, size);
    option->print(options, &out);
    return out.full ? ERANGE : 0;
}

/* Long enough for the names and values that exist, a path among them, and what is said about them. */
#define LINE_MAX_LENGTH (OPTIONS_PATH_MAX + 256)

static void pad_to(struct fmt *line, size_t column) {
    while (line->length < column) {
        fmt_char(line, ' ');
    }
}

static void tell_help(void (*complain)(const char *line)) {
    char text[LINE_MAX_LENGTH];
    struct fmt line;
    complain("mems: MEMS_OPTIONS=name=value,name=value with these options, values [and defaults]:");
    for (size_t i = 0; i < COUNT(table); i++) {
        fmt_init(&line, text, sizeof text);
        fmt_format(&line, "mems:   %s=%s", table[i].name, table[i].values);
        pad_to(&line, 43);
        fmt_format(&line, " [%s]", table[i].fallback);
        pad_to(&line, 52);
        fmt_text(&line, table[i].description);
        complain(line.text);
    }
}

/* One line on what is wrong with an item, with what would have been right. */
static void tell_error(const char *item, const char *name, void (*complain)(const char *line)) {
    char text[LINE_MAX_LENGTH];
    struct fmt line;
    fmt_init(&line, text, sizeof text);
    fmt_format(&line, "mems: MEMS_OPTIONS: %s: ", item);
    const struct option *option = find(name);
    if (option != NULL) {
        fmt_format(&line, "%s takes %s", option->name, option->values);
    } else {
        fmt_text(&line, "no such option; there are");
        for (size_t i = 0; i < COUNT(table); i++) {
            fmt_format(&line, "%s %s", i == 0 ? "" : ",", table[i].name);
        }
    }
    complain(line.text);
}

/* One "name=value", cut into two strings within `item`. */
static void parse_item(struct options *options, char *item, void (*complain)(const char *line)) {
    if (strcmp(item, "help") == 0) {
        tell_help(complain);
        return;
    }
    char name[32];
    const char *equals = strchr(item, '=');
    size_t length = equals != NULL ? (size_t)(equals - item) : strlen(item);
    struct fmt out;
    fmt_init(&out, name, sizeof name);
    for (size_t i = 0; i < length; i++) {
        fmt_char(&out, item[i]);
    }
    if (equals == NULL || options_set(options, name, equals + 1) != 0) {
        tell_error(item, name, complain);
    }
}

void options_parse(struct options *options, const char *text, void (*complain)(const char *line)) {
    char item[OPTIONS_PATH_MAX + 32];
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        if (length >= sizeof item) {
            complain("mems: MEMS_OPTIONS: an item is too long");
        } else if (length > 0) {
            memcpy(item, text, length);
            item[length] = '\0';
            parse_item(options, item, complain);
        }
        text += length;
        text += *text == ',';
    }
}
