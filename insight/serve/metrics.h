/*
 * metrics.h - the watched processes in Prometheus' text format.
 */
#pragma once

#include <stdio.h>

#include "serve/watch.h"

/* Base units, `_total` for counters. The labels of a process are pid, comm and cgroup; the rows of
 * mems_resident_bytes sum to its Rss. `spent` is the processor time of answers, in seconds. */
void metrics_write(const struct watch *watch, double spent, FILE *to);
