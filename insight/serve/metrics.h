/*
 * metrics.h - the watched processes in Prometheus' text format.
 */
#pragma once

#include <stdio.h>

#include "serve/watch.h"

/* Base units, `_total` for counters. A process's labels are pid, comm and cgroup; its rows of mems_resident_bytes sum
 * to its Rss. `spent`: processor seconds of answers. */
void metrics_write(const struct watch *watch, double spent, FILE *to);
