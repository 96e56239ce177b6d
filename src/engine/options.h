/*
 * options.h - what a user may choose at run time: a plain structure, and its text form.
 *
 * MEMS_OPTIONS="name=value,name=value" in the environment and mems_option_set() both end here. Everything about an
 * option (its values, default, description, how to read and print it) stands in one table in options.c. The functions
 * touch nothing but the structure: no allocation, no lock, no system call.
 */
#ifndef MEMS_ENGINE_OPTIONS_H
#define MEMS_ENGINE_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

/* When a free is proved: at every call, or when a magazine is flushed. */
enum check { CHECK_EVERY, CHECK_DEFERRED };

/* What is reported when the process ends. */
enum stats_form { STATS_NONE, STATS_TEXT, STATS_JSON };

/* The longest path that stats_file takes, its '\0' included. */
#define OPTIONS_PATH_MAX 256

struct options {
    enum check check;
    enum stats_form stats;
    char stats_file[OPTIONS_PATH_MAX]; /* empty: standard error; %p in it stands for the process id */
    uint32_t decay_ms;                 /* how long free memory is kept before the system gets it back */
    size_t window;                     /* bytes of address space to reserve; 0: as much as the limits allow */
};

/* Sets every option to its default. */
void options_init(struct options *options);

/* Sets one option from text. 0, or EINVAL for an unknown name or a bad value; nothing has changed then. */
int options_set(struct options *options, const char *name, const char *value);

/*
 * Prints the value of an option into value[size], cut to fit and ended by '\0'. 0; EINVAL for an unknown name, or when
 * value is NULL or size is 0; ERANGE when the text was cut.
 */
int options_get(const struct options *options, const char *name, char *value, size_t size);

/*
 * Reads "name=value,name=value". An item that is not understood changes nothing and is told to `complain`, one line
 * without a newline for each; so are, for the item "help", all options with their values and defaults.
 */
void options_parse(struct options *options, const char *text, void (*complain)(const char *line));

#endif
