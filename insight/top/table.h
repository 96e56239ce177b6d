/* table.h - the tables of `mems top`: rows of numbers with a name, sorted by a column and filtered by a text. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COLUMNS_MOST 12u

enum column_kind { COLUMN_NUMBER, COLUMN_SIZE, COLUMN_RATE, COLUMN_SIZE_RATE };

struct column {
    const char *title;
    const char *key; /* in JSON */
    enum column_kind kind;
};

/* The name is the last column. */
struct table_row {
    double numbers[COLUMNS_MOST]; /* NAN: not known */
    char *name;
    uint64_t id;
};

struct table {
    const struct column *columns;
    size_t column_count;
    const char *names; /* the title of the names */
    struct table_row *rows;
    size_t count;
    size_t sorted_by; /* a column; column_count: by name */
    bool ascending;
};

/* Forgets the rows. */
void table_clear(struct table *table);

/* With unknown numbers; takes over the name. */
struct table_row *table_add(struct table *table, uint64_t id, char *name);

void table_sort(struct table *table);

/* Chooses what table_sort sorts by: a column's title or key, or the title of the names. False if there is none such;
 * NULL changes nothing. */
bool table_sort_by(struct table *table, const char *name);

/* The filter, which may be "", must be part of its name, or of its number as shown. */
bool table_shows(const struct table *table, const struct table_row *row, const char *filter);

/* The titles, or a row, as a line; *size bytes of room. */
void table_titles(const struct table *table, char *line, size_t size);
void table_line(const struct table *table, const struct table_row *row, char *line, size_t size);

/* The rows as an array of objects. */
json_t *table_json(const struct table *table, const char *filter);
