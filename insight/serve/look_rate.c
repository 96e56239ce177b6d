#include "serve/look_rate.h"

#include <math.h>

/* Looking may take this share of a processor, and this much at once after a rest. */
#define SHARE 0.009
#define ALLOWANCE_MOST 0.05

/* A look that costs more delays the next look at its own process (look_rate_interval), but others only by this. */
#define DEBT_MOST 0.15

void look_rate_start(struct look_rate *rate, double now) {
    *rate = (struct look_rate){.allowance = ALLOWANCE_MOST, .refilled = now};
}

void look_rate_refill(struct look_rate *rate, double now) {
    rate->allowance = fmin(rate->allowance + (now - rate->refilled) * SHARE, ALLOWANCE_MOST);
    rate->refilled = now;
}

void look_rate_spend(struct look_rate *rate, double seconds) {
    rate->allowance -= seconds;
}

void look_rate_forgive(struct look_rate *rate) {
    rate->allowance = fmax(rate->allowance, -DEBT_MOST);
}

bool look_rate_affords_look(const struct look_rate *rate) {
    return rate->allowance > 0;
}

bool look_rate_affords_probe(const struct look_rate *rate) {
    return rate->allowance > -ALLOWANCE_MOST;
}

double look_rate_wait(const struct look_rate *rate) {
    return rate->allowance <= 0 ? -rate->allowance / SHARE + 0.01 : 0;
}

double look_rate_interval(double cost, double roots) {
    return sqrt(cost) * roots / SHARE;
}
