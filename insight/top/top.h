/* top.h - `mems top`: the activity of processes on the libraries, or of one, updated at each look. A look costs
 * processor time in proportion to a process's heaps, so it is repeated only when that cost is a small share of the time
 * passed: numbers may be older than the Rss beside them. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "top/table.h"

/* Of a processor, for looking at one process. */
#define LOOK_SHARE 0.001

/* The same when it is the only one. */
#define LOOK_SHARE_ALONE 0.02

/* When a kind of look was last taken, and when it may be again. */
struct pace {
    double taken; /* 0: never */
    double due;
    double began; /* seconds of processor time of this program */
};

/* Whether it is time. */
bool pace_begin(struct pace *pace, double now);

/* The next look is due when the last one's cost is this share of the time. */
void pace_end(struct pace *pace, double now, double share);

/* --- All processes ------------------------------------------------------------------------------------------------ */

struct processes;

struct processes *processes_start(void);
void processes_end(struct processes *processes);

/* Takes all looks that are due, and fills the table. */
void processes_look(struct processes *processes, struct table *table);

/* --- One process -------------------------------------------------------------------------------------------------- */

struct process;

/* NULL, and *why, if that does not work. */
struct process *process_start(const char *name, const char **why);
void process_end(struct process *process);

/* If it is due; fills the tables. False: the process has ended, and *why says so. */
bool process_look(struct process *process, struct table *classes, struct table *sites, const char **why);

/* Rss, live bytes and the like, in a line. */
void process_summary(const struct process *process, char *line, size_t size);
json_t *process_json(const struct process *process);

/* --- The screen --------------------------------------------------------------------------------------------------- */

/* Until the user ends it; returns an exit status. `name` NULL: all processes. */
int screen_run(const char *name, double interval, const char *sort, const char *filter);

/* The tables, in their first order. */
struct table processes_table(void);
struct table classes_table(void);
struct table sites_table(void);
