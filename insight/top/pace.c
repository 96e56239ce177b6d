#include <time.h>

#include "top/top.h"

/* Seconds of processor time that this program has taken. */
static double spent_seconds(void) {
    struct timespec spent;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return (double)spent.tv_sec + (double)spent.tv_nsec / 1e9;
}

bool pace_begin(struct pace *pace, double now) {
    if (now < pace->due) {
        return false;
    }
    pace->began = spent_seconds();
    return true;
}

void pace_end(struct pace *pace, double now, double share) {
    pace->taken = now;
    pace->due = now + (spent_seconds() - pace->began) / share;
}
