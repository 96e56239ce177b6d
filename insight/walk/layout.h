/* layout.h - finds a heap's root and reads its description of the heap's structures (src/base/layout.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/layout.h"
#include "target/target.h"

/* A structure or a member. `size` 0: the library lacks it. */
struct field {
    uint32_t offset;
    uint32_t size;
};

#define BUILD_ID_TEXT (2 * BUILD_ID_BYTES + 1)

/* A name that the library lacks, and what is left out because of it. */
struct lack {
    char name[LAYOUT_NAME_MAX];
    const char *report;
};

/* "structure", or "structure.member". */
struct layout_row {
    char name[LAYOUT_NAME_MAX];
    uint32_t offset;
    uint32_t size;
};

struct layout {
    enum root_heap heap;
    uint64_t root;                /* address of the root_head */
    uint64_t start;               /* address of the structure to begin with */
    uint32_t library;             /* the version of it */
    char *module;                 /* path of the file that it is in, */
    char build_id[BUILD_ID_TEXT]; /* and its build id in hexadecimal; "": not known */
    struct layout_row *rows;      /* by name */
    size_t row_count;
    struct lack *lacks;
    size_t lack_count;
};

struct layouts {
    struct layout *layouts;
    size_t count;
};

/* All roots of the target, by its modules' notes. Warns of each that cannot be read. */
void layouts_find(struct layouts *layouts, struct target *target);

/* Whether a process is on the libraries, and their roots. If its memory must not be read, its files' names tell. */
bool layouts_recognize(struct layouts *layouts, struct target *target);

void layouts_free(struct layouts *layouts);

/* "the engine", "the MeMS heap", "HMM". */
const char *root_name(uint32_t heap);

/* The first heap of a kind, or NULL. */
struct layout *layouts_of(struct layouts *layouts, enum root_heap heap);

/* Whether the library has all names, separated by spaces, that a report needs. If not, warns what is missing and left
 * out; the caller skips the report. */
bool layout_has(struct layout *layout, const char *report, const char *names);

/* Looks up members and structures; size 0 for those that the library lacks. With a report, returns as layout_has. */
struct wanted {
    const char *name;
    struct field *field;
};
bool layout_find(struct layout *layout, const char *report, const struct wanted *wanted, size_t count);

/* Size 0 if there is none. */
struct field layout_field(const struct layout *layout, const char *name);

/* A constant by its name, or `fallback`. */
uint64_t layout_constant(const struct layout *layout, const char *name, uint64_t fallback);

/* A member's value in a copy of the first `size` bytes of its structure; 0 if it is not there. Members of 3, 5 or more
 * than 8 bytes are arrays or structures and have none. */
uint64_t field_of(const void *copy, size_t size, struct field field);

/* Of a structure that is itself a member. */
static inline struct field field_within(struct field outer, struct field inner) {
    return (struct field){outer.offset + inner.offset, outer.size != 0 ? inner.size : 0};
}

/* In the target; false if it cannot be read. */
bool field_read(struct target *target, uint64_t structure, struct field field, uint64_t *value);
