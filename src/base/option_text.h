/* option_text.h - run-time options as text. A table describes the options and the members of a structure that hold a
 * heap's choices. These functions read NAME=VALUE lists, set and print single options, explain mistakes, and print
 * help. They neither allocate nor lock. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum option_kind {
    OPTION_WORD,   /* uint32_t: which of `words` */
    OPTION_NUMBER, /* uint32_t, in decimal */
    OPTION_SIZE,   /* size_t above 0 in bytes, with suffix k, m, g or t in either case; or words[0] for 0 */
    OPTION_TEXT,   /* an array of char, with a '\0' */
};

/* The default is text and is read like any other value. */
struct option {
    const char *name;   /* shorter than OPTION_NAME_MAX */
    const char *values; /* what it takes, as shown to users */
    const char *fallback;
    const char *description;
    enum option_kind kind;
    bool fixed;    /* cannot be changed once the heap has started */
    size_t offset; /* of the member that holds the choice */
    size_t size;   /* of that member */
    size_t least;  /* an OPTION_SIZE above 0: the smallest, and the largest (0: none) */
    size_t most;
    const char *const *words; /* ends with NULL; may be NULL */
};

/* An entry, named after its member of `type`. The last arguments initialise other members. */
#define OPTION(type, member, of_kind, takes, default_value, purpose, ...) \
    OPTION_NAMED(#member, type, member, of_kind, takes, default_value, purpose, __VA_ARGS__)
#define OPTION_NAMED(text, type, member, of_kind, takes, default_value, purpose, ...)                                \
    {                                                                                                                \
        .name = (text), .values = (takes), .fallback = (default_value), .description = (purpose), .kind = (of_kind), \
        .offset = offsetof(type, member), .size = sizeof((type *)0)->member, __VA_ARGS__                             \
    }

#define OPTION_NAME_MAX 32
#define OPTION_VALUE_MAX 256 /* the longest text an option takes or prints, including '\0' */

struct option_table {
    const char *variable; /* the environment variable with a list of them */
    const struct option *options;
    size_t count;
    size_t size; /* of the structure that holds the choices */
};

/* NULL if there is none. */
const struct option *options_find(const struct option_table *table, const char *name);

/* Sets every option to its default. */
void options_init(const struct option_table *table, void *choices);

/* 0; EINVAL, with nothing changed, for NULL, an unknown name or a bad value. */
int options_set(const struct option_table *table, void *choices, const char *name, const char *value);

/* Prints into value[size]. 0; EINVAL for an unknown name, NULL or size 0; ERANGE: cut. */
int options_get(const struct option_table *table, const void *choices, const char *name, char *value, size_t size);

/* Reads "name=value,name=value". A bad item changes nothing; `complain` gets a line about it, without a newline. For
 * the item "help" it gets all options with their values and defaults. */
void options_parse(const struct option_table *table, void *choices, const char *text,
                   void (*complain)(const char *line));
