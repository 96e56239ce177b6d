/*
 * stats.h - what `mems stats` tells, as plain data: `mems serve` takes it each second, and makes JSON of it only for a
 * page that asks.
 */
#pragma once

#include "account/account.h"
#include "walk/engine_heaps.h"
#include "walk/session.h"

struct stats {
    struct account account; /* without its target, and what is left of the mappings */
    bool finds_engine;      /* an engine's root */
    bool has_engine;        /* it could be read */
    unsigned class_count;
    uint64_t sizes[CLASSES_MAX], refills[CLASSES_MAX], flushes[CLASSES_MAX]; /* by class */
    uint64_t now_s;                                                          /* on the clock of slabs' birth */
    size_t heap_count;
    size_t target_size; /* with its '\0' */
    const struct engine_heap *heaps;
    const char *target; /* JSON, as session_json makes it */
};

/* Writes the stats of a session, whose mappings have been read with their numbers, to standard output, for stats_parse.
 * *target is NULL or the JSON text of an earlier time; it is made once, because it does not change. Returns an exit
 * status. */
int stats_write(struct session *session, char **target);

/* What stats_write has written: in place, so *text must stay and be aligned for any type. NULL: it is not that. */
struct stats *stats_parse(char *text, size_t size);

/* The same as JSON, with why each row is there, and when it goes; without `pinned`, which takes symbols. */
json_t *stats_json(const struct stats *stats);
