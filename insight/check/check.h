/* check.h - for the files of `mems check`: target and findings. A part is reported as skipped if the library does not
 * describe the structures that it needs (layout_has). */
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
    const char *held; /* a lock that a thread held, or NULL */
    double pause;     /* seconds */
    int attempts;
    struct suspects suspects;
};

/* While threads are inside the engine, only what this many looks in a row find is damage. */
#define LOOKS_IN_FLIGHT 5u

/* A violated invariant, in "engine", "spaces" or "hmm", at an address. */
__attribute__((format(printf, 4, 5))) void check_find(struct check *check, const char *heap, uint64_t where,
                                                      const char *format, ...);

#define FIND(check, where, ...) check_find(check, "engine", where, __VA_ARGS__)

/* A counter of the engine must equal our count. `where`: the structure that contains it. */
void check_count(struct check *check, uint64_t where, const char *what, uint64_t counted, uint64_t told);

/* For `field` of the structure that a member of the root points at. */
void check_number(struct check *check, const char *what, uint64_t counted, const char *member, const char *field);

/* Visits each structure of a list by its head's address; false, reported as `what`, if its links do not agree. */
bool check_list(struct check *check, uint64_t head, struct field link, const char *what,
                void (*visit)(struct check *check, uint64_t structure, void *context), void *context);

/* 0 if the entry cannot be read. */
uint64_t check_entry(const struct engine *engine, uint64_t unit);

/* The engine's parts: spans and their counts; free spans, in trees and by age; huge blocks; heaps with their slabs,
 * cached blocks and depots; units in inboxes. Last, canaries behind live blocks, in a process's present state. */
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

/* Reads what `mems check` reads, so that a file of `mems save` can be checked. */
void check_read(struct session *session);

/* A lock of a heap that a thread holds, by name; or NULL. */
const char *check_lock(struct session *session);

/* Stops a process, if possible while no thread holds a lock: *held is the lock's name, or NULL. *since: when it
 * stopped. Returns how often it was stopped. */
int check_stop(struct session *session, const char **held, double *since);

/* Copies the engine's metadata (target_copy). */
void check_copy_metadata(struct session *session);
