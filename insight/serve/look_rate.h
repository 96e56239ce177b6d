/* look_rate.h - how often `mems serve` looks at processes, and so how fresh its answers are: /metrics shows the last
 * look. Looks take a fixed share of a processor. Whatever they cost, a process is not looked
 * at more than once a second (TICK in watch.c). */
#pragma once

#include <stdbool.h>

/* The allowance, in seconds of processor time, grows with time and falls with what is spent; it may become a debt. */
struct look_rate {
    double allowance;
    double refilled; /* when it grew last */
};

void look_rate_start(struct look_rate *rate, double now);

/* Grants the share of a processor for the time since the last call. */
void look_rate_refill(struct look_rate *rate, double now);

void look_rate_spend(struct look_rate *rate, double seconds);

/* Limits the debt: one very expensive look must not delay all processes. */
void look_rate_forgive(struct look_rate *rate);

/* A probe is cheap, and need not wait until an expensive look is paid off. */
bool look_rate_affords_look(const struct look_rate *rate);
bool look_rate_affords_probe(const struct look_rate *rate);

/* Seconds until a look is affordable. */
double look_rate_wait(const struct look_rate *rate);

/* Seconds between two looks at a process. Intervals proportional to the square root of a look's cost minimise the
 * data's mean age for a given share of a processor: large heaps wait longer, and small ones do not wait for them.
 * `roots` sums the square roots of all processes' costs. */
double look_rate_interval(double cost, double roots);
