/* stats_report.h - the engine's statistics as a table or one JSON object. Nothing here allocates or changes errno, so
 * it works without memory. It takes the locks of arenas, one at a time. */
#pragma once

#include "engine/root/engine_options.h"

/* A table whose rows add up. Both reports need little of the stack. */
void stats_report_text(int fd);

/* One line, with members named after those of struct mems_engine_stats. */
void stats_report_json(int fd);

/* If the options ask for a report or a profile, keeps a copy of standard error, which many programs close in exit
 * handlers that run before these are written. Call it once, when the options have been read. */
void stats_report_prepare(const struct options *options);

/* That copy, unless the program has another standard error now or none was kept. */
int stats_report_standard_error(void);

/* Replaces each %p by the process id. */
struct fmt;
void stats_report_path(struct fmt *path, const char *pattern);

/* What the options ask for at exit: appends to options->stats_file, or writes to standard error if that is empty or
 * cannot be opened (and says so). */
void stats_report_at_exit(const struct options *options);
