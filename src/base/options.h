/*
 * options.h - what a user may choose at run time, as text: tables of options, and NAME=VALUE lists.
 *
 * A heap keeps its choices in a plain structure of its own and describes its members in one table: names, values,
 * defaults, what each is for. From that table the text of an environment variable is read, single options are set and
 * printed, mistakes are explained and help is given. The functions touch nothing but the structure: no allocation, no
 * lock, no system call.
 */
#ifndef MEMS_BASE_OPTIONS_H
#define MEMS_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
    OPTION_WORD,   /* uint32_t: which of `words` */
    OPTION_NUMBER, /* uint32_t, in decimal */
    OPTION_SIZE,   /* size_t above 0, in bytes, with a suffix k, m, g or t in either case; or words[0], which is 0 */
    OPTION_TEXT,   /* an array of char, with a '\0' */
};

/* Everything there is to know about an option. The default is text, read like any other value. */
struct option {
    const char *name;   /* shorter than OPTION_NAME_MAX */
    const char *values; /* what it takes, for people */
    const char *fallback;
    const char *description;
    enum option_kind kind;
    bool fixed;               /* cannot be changed once the heap has started */
    size_t offset;            /* of the member that holds the choice */
    size_t size;              /* of that member */
    const char *const *words; /* ended by NULL; NULL: none */
};

/* The offset and size of a member, as a table wants them. */
#define OPTION_MEMBER(type, member) .offset = offsetof(type, member), .size = sizeof((type *)0)->member

#define OPTION_NAME_MAX 32
#define OPTION_VALUE_MAX 256 /* the longest text that an option takes or prints, its '\0' included */

struct option_table {
    const char *variable; /* the environment variable that holds a list of them */
    const struct option *options;
    size_t count;
    size_t size; /* of the structure that holds the choices */
};

/* The option of this name; NULL when there is none. */
const struct option *options_find(const struct option_table *table, const char *name);

/* Sets every option to its default. */
void options_init(const struct option_table *table, void *choices);

/* Sets one option from text. 0, or EINVAL for an unknown name or a bad value, or NULL; nothing has changed then. */
int options_set(const struct option_table *table, void *choices, const char *name, const char *value);

/*
 * Prints the value of an option into value[size], cut to fit and ended by '\0'. 0; EINVAL for an unknown name, or when
 * value is NULL or size is 0; ERANGE when the text was cut.
 */
int options_get(const struct option_table *table, const void *choices, const char *name, char *value, size_t size);

/*
 * Reads "name=value,name=value". An item that is not understood changes nothing and is told to `complain`, one line
 * without a newline for each; so are, for the item "help", all options with their values and defaults.
 */
void options_parse(const struct option_table *table, void *choices, const char *text,
                   void (*complain)(const char *line));

#endif
