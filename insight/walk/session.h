/* session.h - a target with its roots, heaps and symbols. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "symbols/symbols.h"
#include "target/target.h"
#include "walk/engine.h"
#include "walk/layout.h"

struct session {
    struct target target;
    struct layouts layouts;
    struct engine engine; /* open if has_engine */
    bool has_engine;
    struct symbols *symbols; /* NULL until somebody asks */
};

/* `needs_heap`: ends the program with EXIT_TROUBLE, and a line that says why, if it has no readable heap of ours. */
void session_open(struct session *session, const char *name, bool needs_heap);
void session_close(struct session *session);

/* All reads are recorded, so that they can be saved. */
void session_open_to_save(struct session *session, const char *name, struct record *record);

/* Whether the first heap is where it was at the opening: a process may have become another program. */
bool session_has_root(struct session *session);

/* For a process that has run on: drops all copies, and finds its mappings (with or without numbers), threads and the
 * engine's structures again. False if it has ended or executed another program. */
bool session_refresh(struct session *session, bool with_usage);

/* Its symbols. */
struct symbols *session_symbols(struct session *session);

/* The name of an address (symbols.h). */
char *session_name(struct session *session, uint64_t address);

/* In seconds, on the clock of the slabs' births; 0: unknown. */
uint64_t session_now(const struct session *session);

/* "process 1234 (redis-server)", "core of process 1234 (redis-server): core.1234". */
char *session_title(const struct session *session);

/* An object "target" with kind, name, pid, program and the heaps' versions. */
json_t *session_json(const struct session *session);
