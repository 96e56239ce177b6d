/* environment.c - environment variables, even before libc has them. */
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "os.h"

const char *os_environment(char *const *early, const char *name) {
    if (environ != NULL || early == NULL) {
        return environ != NULL ? secure_getenv(name) : NULL;
    }
    if (getauxval(AT_SECURE) != 0) {
        return NULL;
    }
    size_t length = strlen(name);
    for (; *early != NULL; early++) {
        if (strncmp(*early, name, length) == 0 && (*early)[length] == '=') {
            return *early + length + 1;
        }
    }
    return NULL;
}

bool os_environment_ready(void) {
    return environ != NULL;
}
