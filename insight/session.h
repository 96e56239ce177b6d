/*
 * session.h - a target with everything that the verbs ask of it: its roots, its heaps, its symbols.
 */
#ifndef MEMS_INSIGHT_SESSION_H
#define MEMS_INSIGHT_SESSION_H

#include <jansson.h>
#include <stdbool.h>

#include "engine.h"
#include "layout.h"
#include "symbols.h"
#include "target.h"

struct session {
    struct target target;
    struct layouts layouts;
    struct engine engine; /* open if has_engine */
    bool has_engine;
    struct symbols *symbols; /* NULL until somebody asks */
};

/*
 * Opens what the user has named. `needs_heap`: ends the program with EXIT_TROUBLE, and a line that says why, where
 * there is no heap of ours to be read.
 */
void session_open(struct session *session, const char *name, bool needs_heap);
void session_close(struct session *session);

/* The same, and what is read from then on is recorded, so that it can be saved. */
void session_open_to_save(struct session *session, const char *name, struct record *record);

/* Reads anew where the engine's structures are: for a process that has run on since. */
void session_refresh(struct session *session);

/* The name of an address (symbols.h). */
char *session_name(struct session *session, uint64_t address);

/* Seconds on the clock by which slabs tell their birth; 0: not known. */
uint64_t session_now(const struct session *session);

/* One line about the target: "process 1234 (redis-server)", "core of process 1234 (redis-server): core.1234". */
char *session_title(const struct session *session);

/* The same for JSON: an object "target" with kind, name, pid, program and the heaps' versions. */
json_t *session_json(const struct session *session);

/* A text of the target's, which may be any bytes: what is no UTF-8 becomes question marks. */
json_t *json_text(const char *text);

/* Writes JSON to standard output, and gives it back. */
void print_json(json_t *json);

#endif
