/* shared_options.h - options of every heap behind malloc: entries (option_text.h) for members of that name. */
#pragma once

#include "option_text.h"

enum toggle { TOGGLE_ON, TOGGLE_OFF };

extern const char *const toggle_words[];

#define OPTION_CONFINE(type)                           \
    OPTION(type, confine, OPTION_WORD, "on|off", "on", \
           "give up reserved address space when the process limits itself or locks its memory", .words = toggle_words)

/* What dlopen does with RTLD_DEEPBIND. */
enum deepbind { DEEPBIND_DROP, DEEPBIND_KEEP };

extern const char *const deepbind_words[];

#define OPTION_DEEPBIND(type)                                                                       \
    OPTION(type, deepbind, OPTION_WORD, "drop|keep", "drop", "what dlopen does with RTLD_DEEPBIND", \
           .words = deepbind_words)
