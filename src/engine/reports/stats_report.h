/* stats_report.h - the engine's statistics as text: a table for people, or one JSON object. Nothing here allocates or
 * changes errno, so it works without memory. It takes the locks of arenas, one at a time. */
#pragma once

#include "mems.h"

#include "engine/root/engine_options.h"

/* Writes the statistics to a file descriptor as a table whose rows add up. */
void stats_report_text(const struct mems_engine_stats *stats, int fd);

/* The same as one JSON object on one line; its members are named after those of struct mems_engine_stats. */
void stats_report_json(const struct mems_engine_stats *stats, int fd);

/* Keeps a second descriptor of standard error if the options ask for a report: many programs close it in their exit
 * handlers, which run before the report. Call it once, when the options have been read. */
void stats_report_prepare(const struct options *options);

/* Appends a path with each %p replaced by the process id. */
struct fmt;
void stats_report_path(struct fmt *path, const char *pattern);

/* Writes the report that the options ask for, if any, at exit: appends it to options->stats_file, or writes it to
 * standard error when that is empty or cannot be opened (and says so). */
void stats_report_at_exit(const struct options *options, const struct mems_engine_stats *stats);
