/*
 * top.h - `mems top`: the activity of the processes on the libraries, or of one of them, updated at each look.
 *
 * A look at a process costs processor time in proportion to its heaps. So each process is looked at again only when
 * that cost is a small share of the time passed: its numbers may be older than the Rss beside them.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "top/table.h"

/* The part of a processor that looking at one process may take. */
#define LOOK_SHARE 0.001

/* The same when it is the only one. */
#define LOOK_SHARE_ALONE 0.02

/* A look of a kind: when it was last taken, and when it may be again. */
struct pace {
    double taken; /* 0: never */
    double due;
    double began; /* seconds of processor time of this program */
};

/* Whether it is time. */
bool pace_begin(struct pace *pace, double now);

/* The look is over: the next is due when its cost is this share of the time. */
void pace_end(struct pace *pace, double now, double share);

/* --- All processes ------------------------------------------------------------------------------------------------ */

struct processes;

struct processes *processes_start(void);
void processes_end(struct processes *processes);

/* Takes all looks that are due, and fills the table. */
void processes_look(struct processes *processes, struct table *table);

/* --- One process -------------------------------------------------------------------------------------------------- */

struct process;

/* Opens a process; NULL, and *why, where that does not work. */
struct process *process_start(const char *name, const char **why);
void process_end(struct process *process);

/* Looks at it if that is due, and fills the tables. False: it has ended, and *why says so. */
bool process_look(struct process *process, struct table *classes, struct table *sites, const char **why);

/* A line about it: Rss, live bytes and the like. */
void process_summary(const struct process *process, char *line, size_t size);
json_t *process_json(const struct process *process);

/* --- The screen --------------------------------------------------------------------------------------------------- */

/* The tables in the terminal, until the user ends it; an exit status. `name` NULL: all processes. */
int screen_run(const char *name, double interval, const char *sort, const char *filter);

/* The tables, in their first order. */
struct table processes_table(void);
struct table classes_table(void);
struct table sites_table(void);

/* Sorts by the column with this title or key; false if there is none. NULL changes nothing. */
bool table_sort_by(struct table *table, const char *name);
