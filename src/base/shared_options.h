/* shared_options.h - options that every heap behind malloc has. Each is an entry of a table (option_text.h), for the
 * member of the same name in the structure of choices. */
#pragma once

#include "option_text.h"

enum toggle { TOGGLE_ON, TOGGLE_OFF };

extern const char *const toggle_words[];

/* enum toggle: whether the heap gives up reserved address space when the process limits itself or locks its memory. */
#define OPTION_CONFINE(type)                           \
    OPTION(type, confine, OPTION_WORD, "on|off", "on", \
           "give up reserved address space when the process limits itself or locks its memory", .words = toggle_words)

/* What dlopen does with RTLD_DEEPBIND. */
enum deepbind { DEEPBIND_DROP, DEEPBIND_KEEP };

extern const char *const deepbind_words[];

#define OPTION_DEEPBIND(type)                                                                       \
    OPTION(type, deepbind, OPTION_WORD, "drop|keep", "drop", "what dlopen does with RTLD_DEEPBIND", \
           .words = deepbind_words)
