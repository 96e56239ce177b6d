/* page.h - self-contained HTML pages, from this folder's files, which are compiled in. */
#pragma once

#include <stdio.h>

struct web_file {
    const char *name; /* "map.js" */
    const char *type; /* of its contents: "text/css" */
    const char *start;
    const char *end;
};

/* A file of this folder by its name, or NULL. */
const struct web_file *web_file(const char *name);

/* With scripts and style sheets inlined, and the data that `write` writes as JSON for the scripts. No text in the data
 * can end its element. */
void page_write(FILE *to, const char *name, void (*write)(FILE *to, void *context), void *context);

/* Into a file. Ends the program with a clear line if that fails. */
void page_save(const char *path, const char *name, void (*write)(FILE *to, void *context), void *context);
