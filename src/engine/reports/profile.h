/* profile.h - a heap profile that the process itself writes, as text for pprof and jeprof (heap_v2). Each live sample
 * has a line, because readers scale a line by its mean size; freed blocks have one a stack. Readers also scale all
 * lines by one mean interval, so a sample with another one (sample_points.h) counts as the number of samples with that
 * interval which stand for as many blocks. */
#pragma once

/* Blocks that are live, or were at the peak. */
enum profile_kind { PROFILE_LIVE, PROFILE_PEAK };

/* Takes no memory, and holds no lock while it writes. */
void profile_write(int fd, enum profile_kind kind);

/* At exit, if the options ask for it. */
struct options;
void profile_write_at_exit(const struct options *options);
