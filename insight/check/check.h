/*
 * check.h - shared by the files of `mems check`: the target and the findings.
 *
 * A part is skipped, and reported as skipped, if the library does not describe the structures that it needs
 * (layout_has).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walk/session.h"

/* Blocks that seem damaged (check_canaries). */
struct suspects {
    struct suspect *all;
    size_t count;
};

struct check {
    struct session *session;
    struct engine *engine; /* NULL until it is its turn */
    json_t *findings;
    uint64_t found;
    uint64_t slabs, slots, spans, cached, segments, blocks;
    bool walked;      /* the window, to its end */
    size_t in_flight; /* threads that may have been stopped between two stores (in_flight.h) */
    const char *held; /* a lock that a thread held at that moment; NULL: none */
    double pause;     /* seconds */
    int attempts;
    struct suspects suspects;
};

/* Something counts as damage if this many looks in a row find some while threads are inside the engine. */
#define LOOKS_IN_FLIGHT 5u

/* Reports a violated invariant, in "engine", "spaces" or "hmm", at an address. */
__attribute__((format(printf, 4, 5))) void check_find(struct check *check, const char *heap, uint64_t where,
                                                      const char *format, ...);

#define FIND(check, where, ...) check_find(check, "engine", where, __VA_ARGS__)

/* Checks that a counter of the engine equals our count. `where`: the address of the structure that contains it. */
void check_count(struct check *check, uint64_t where, const char *what, uint64_t counted, uint64_t told);

/* The same for `field` of the structure that a member of the root points at. */
void check_number(struct check *check, const char *what, uint64_t counted, const char *member, const char *field);

/* Shows each structure of a list, given the address of its head, to `visit`; false, reported as `what`, if its links do
 * not agree. */
bool check_list(struct check *check, uint64_t head, struct field link, const char *what,
                void (*visit)(struct check *check, uint64_t structure, void *context), void *context);

/* The page map's entry for a unit; 0 if it cannot be read. */
uint64_t check_entry(const struct engine *engine, uint64_t unit);

/* The engine's parts: the window's spans and what is counted of them; free spans, in their trees and by age; huge
 * blocks. Heaps and what each has: slabs, cached blocks, depots; units in inboxes. Last, the canaries behind live
 * blocks: of a process in its present state. */
void check_window(struct check *check);
void check_free_spans(struct check *check);
void check_huge(struct check *check);
void check_heaps(struct check *check);
void check_inboxes(struct check *check);
void check_canaries(struct check *check);

/* Findings beyond this number are only counted. */
#define FINDINGS_TOLD 50u

/* The regions of a movable space, which has this many PROCESSes. */
void check_store(struct check *check, struct layout *layout, uint64_t space, uint64_t processes);

/* All spaces of the MeMS heap; all heaps of HMM. */
void check_spaces(struct check *check, struct layout *layout);
void check_hmm(struct check *check, struct layout *layout);

/* --- For other verbs -------------------------------------------------------------------------------------------------
 */

/* Reads everything that `mems check` reads, so that `mems save` records it and the saved file can be checked. */
void check_read(struct session *session);

/* The name of a lock of a heap that a thread holds; NULL: none. */
const char *check_lock(struct session *session);

/* Stops a process, if possible while no thread holds a lock: *held is the lock's name, or NULL. *since: when it
 * stopped. Returns how often it was stopped. */
int check_stop(struct session *session, const char **held, double *since);

/* Copies the engine's metadata (target_copy). */
void check_copy_metadata(struct session *session);
