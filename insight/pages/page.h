/*
 * page.h - self-contained HTML pages, made of the files of this folder, which are compiled into the program.
 */
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

/*
 * Writes a page of this folder with its scripts and style sheets inlined, and with data for the scripts, which `write`
 * writes as JSON. No text in the data can end the element that holds them.
 */
void page_write(FILE *to, const char *name, void (*write)(FILE *to, void *context), void *context);

/* The same into a file. Ends the program with a clear line if it cannot be written. */
void page_save(const char *path, const char *name, void (*write)(FILE *to, void *context), void *context);
