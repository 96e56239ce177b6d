#include "shared_options.h"

const char *const toggle_words[] = {[TOGGLE_ON] = "on", [TOGGLE_OFF] = "off", NULL};
const char *const deepbind_words[] = {[DEEPBIND_DROP] = "drop", [DEEPBIND_KEEP] = "keep", NULL};
