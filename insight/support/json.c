#include "support/json.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/support.h"

json_t *json_text(const char *text) {
    json_t *json = json_string(text);
    if (json == NULL) {
        char *plain = copy_text(text);
        for (char *at = plain; *at != '\0'; at++) {
            *at = (signed char)*at < 0 ? '?' : *at;
        }
        json = json_string(plain);
        free(plain);
    }
    return json;
}

void print_json(json_t *json) {
    if (json == NULL || json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) != 0) {
        fail("cannot write the result as JSON");
    }
    putchar('\n');
    json_decref(json);
}
