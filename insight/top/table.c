#include "top/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "support/json.h"
#include "support/sorted.h"
#include "support/support.h"
#include "support/text.h"

/* Of a column, with the space before it. */
#define WIDTH 11

void table_clear(struct table *table) {
    for (size_t i = 0; i < table->count; i++) {
        free(table->rows[i].name);
    }
    free(table->rows);
    table->rows = NULL;
    table->count = 0;
}

struct table_row *table_add(struct table *table, uint64_t id, char *name) {
    table->rows = grow(table->rows, table->count, sizeof *table->rows);
    struct table_row *row = &table->rows[table->count++];
    *row = (struct table_row){.name = name, .id = id};
    for (size_t i = 0; i < COLUMNS_MOST; i++) {
        row->numbers[i] = NAN;
    }
    return row;
}

static const struct table *sorted; /* by qsort, which hands nothing on */

/* Unknown numbers come last, in either direction. */
static int compare_numbers(double a, double b) {
    if (isnan(a) || isnan(b)) {
        return isnan(a) - isnan(b);
    }
    int order = a < b ? 1 : a > b ? -1 : 0;
    return sorted->ascending ? -order : order;
}

static int compare_rows(const void *a, const void *b) {
    const struct table_row *left = a;
    const struct table_row *right = b;
    int order = 0;
    if (sorted->sorted_by < sorted->column_count) {
        order = compare_numbers(left->numbers[sorted->sorted_by], right->numbers[sorted->sorted_by]);
    } else {
        order = strcmp(left->name, right->name);
        order = sorted->ascending ? order : -order;
    }
    return order != 0 ? order : left->id < right->id ? -1 : left->id > right->id;
}

void table_sort(struct table *table) {
    sorted = table;
    sort_by(table->rows, table->count, sizeof *table->rows, compare_rows);
}

bool table_sort_by(struct table *table, const char *name) {
    for (size_t i = 0; name != NULL && i < table->column_count; i++) {
        if (strcasecmp(name, table->columns[i].title) == 0 || strcmp(name, table->columns[i].key) == 0) {
            table->sorted_by = i;
            return true;
        }
    }
    if (name != NULL && strcmp(name, table->names) == 0) {
        table->sorted_by = table->column_count;
        table->ascending = true;
        return true;
    }
    return name == NULL;
}

bool table_shows(const struct table *table, const struct table_row *row, const char *filter) {
    char number[32];
    (void)table;
    snprintf(number, sizeof number, "%lu", row->id);
    return *filter == '\0' || strstr(row->name, filter) != NULL || strcmp(number, filter) == 0;
}

static const char *number_text(double number, enum column_kind kind) {
    static char text[64];
    const double magnitude = fabs(number);
    if (isnan(number)) {
        return "-";
    }
    switch (kind) {
    case COLUMN_SIZE:
        return text_size((uint64_t)magnitude);
    case COLUMN_SIZE_RATE:
        if (magnitude < 1) {
            return "0";
        }
        snprintf(text, sizeof text, "%s%s", number < 0 ? "-" : "", text_size((uint64_t)magnitude));
        return text;
    case COLUMN_RATE:
        snprintf(text, sizeof text, magnitude < 10 && magnitude >= 0.05 ? "%.1f" : "%.0f", number);
        return text;
    default:
        snprintf(text, sizeof text, "%.0f", number);
        return text;
    }
}

void table_titles(const struct table *table, char *line, size_t size) {
    size_t length = 0;
    line[0] = '\0';
    for (size_t i = 0; i <= table->column_count && length < size; i++) {
        const bool is_name = i == table->column_count;
        char title[32];
        snprintf(title, sizeof title, "%s%s",
                 i != table->sorted_by ? ""
                 : table->ascending    ? "<"
                                       : ">",
                 is_name ? table->names : table->columns[i].title);
        length += is_name ? (size_t)snprintf(line + length, size - length, "  %s", title)
                          : (size_t)snprintf(line + length, size - length, "%*s", WIDTH, title);
    }
}

void table_line(const struct table *table, const struct table_row *row, char *line, size_t size) {
    size_t length = 0;
    line[0] = '\0';
    for (size_t i = 0; i < table->column_count && length < size; i++) {
        length += (size_t)snprintf(line + length, size - length, "%*s", WIDTH,
                                   number_text(row->numbers[i], table->columns[i].kind));
    }
    if (length < size) {
        snprintf(line + length, size - length, "  %s", row->name);
    }
    for (char *at = line; *at != '\0'; at++) {
        *at = (unsigned char)*at < ' ' || *at == '\177' ? '?' : *at; /* a program's name may be anything */
    }
}

json_t *table_json(const struct table *table, const char *filter) {
    json_t *rows = json_array();
    for (size_t i = 0; i < table->count; i++) {
        const struct table_row *row = &table->rows[i];
        if (!table_shows(table, row, filter)) {
            continue;
        }
        json_t *json = json_pack("{s:o}", table->names, json_text(row->name));
        for (size_t column = 0; column < table->column_count; column++) {
            const double number = row->numbers[column];
            const enum column_kind kind = table->columns[column].kind;
            if (!isnan(number)) {
                json_object_set_new(json, table->columns[column].key,
                                    kind == COLUMN_NUMBER || kind == COLUMN_SIZE ? json_integer((json_int_t)number)
                                                                                 : json_real(number));
            }
        }
        json_array_append_new(rows, json);
    }
    return rows;
}
