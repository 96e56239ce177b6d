/*
 * stats_report.h - the engine's statistics as text: a table for people, or one JSON object.
 *
 * Nothing here allocates or takes a lock, and errno is kept, so that a report can be written at any time, also when
 * memory has run out.
 */
#ifndef MEMS_ENGINE_STATS_REPORT_H
#define MEMS_ENGINE_STATS_REPORT_H

#include "mems.h"

#include "options.h"

/* Writes the statistics to a file descriptor as a table whose rows add up. */
void stats_report_text(const struct mems_engine_stats *stats, int fd);

/* The same as one JSON object on one line; its members are named after those of struct mems_engine_stats. */
void stats_report_json(const struct mems_engine_stats *stats, int fd);

/*
 * Keeps a second descriptor of standard error if the options want a report: many programs close it in their exit
 * handlers, which run before the report. To be called once, when the options have been read.
 */
void stats_report_prepare(const struct options *options);

/*
 * The report that the options ask for, if any, at the end of the process: appended to options->stats_file, or on
 * standard error when that is empty or cannot be opened (and then says so).
 */
void stats_report_at_exit(const struct options *options, const struct mems_engine_stats *stats);

#endif
