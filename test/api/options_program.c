/* For options.sh: prints the library's value of an option. */
#include <stdio.h>
#include <stdlib.h>

#include "mems.h"

int main(int count, char **arguments) {
    char value[512];
    free(malloc(10));
    for (int i = 1; i < count; i++) {
        printf("%s=%s\n", arguments[i], mems_option_get(arguments[i], value, sizeof value) == 0 ? value : "?");
    }
    return 0;
}
