/* watch.h - the processes on the libraries that this user may look at, with their history: Rss each second, and the
 * heaps as often as look_rate.h allows. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "serve/look_rate.h"
#include "serve/looker.h"
#include "serve/worker.h"
#include "verbs/stats.h"

/* Ten minutes of Rss, and as many looks. */
#define SAMPLES_MOST 600u
#define LOOKS_MOST 240u

/* Counters over all heaps of a process. */
enum watch_counter {
    COUNTER_REFILLS,
    COUNTER_FLUSHES,
    COUNTER_REMOTE_FREES,
    COUNTER_ADOPTIONS,
    COUNTER_STOLEN,
    COUNTERS
};

/* The counters' names in the pages. */
extern const char *const counter_names[COUNTERS];

struct sample {
    double time; /* of the day */
    uint64_t rss;
};

struct look {
    double time;
    int64_t resident[ROWS]; /* bytes, by rows of account.h */
    uint64_t counters[COUNTERS];
};

struct watched {
    pid_t pid;
    bool ours;
    bool denied;      /* its memory must not be read */
    bool gone;        /* not seen in the last scan */
    uint64_t started; /* clock ticks since boot: tells processes with the same number apart */
    char *program;
    char *cgroup;
    uint64_t rss;
    double due;    /* when it is looked at next */
    double pause;  /* to the next probe but one, if it is not ours */
    double cost;   /* of the last look: seconds of processor time */
    double looked; /* when the last look began, and the process's processor time and Rss then */
    double ran_before;
    uint64_t rss_before;
    char *trouble;       /* why the last look failed, or NULL */
    struct stats *stats; /* its result; NULL before the first */
    struct sample *samples;
    size_t sample_count; /* since the start; the newest is at (sample_count - 1) % SAMPLES_MOST */
    struct look *looks;
    size_t look_count;
};

struct watch {
    struct watched *processes; /* in ascending order of pid */
    size_t count;
    bool sees_all; /* the processes of other users, too */
    double next_tick;
    struct look_rate rate;
    struct worker worker;
    struct looker_question question; /* that it was asked last */
    uint64_t looks, failures;
    double spent; /* by workers, seconds */
};

void watch_start(struct watch *watch);
void watch_end(struct watch *watch);

/* Does what is due. Returns the seconds until more is, unless watch->worker ends first. */
double watch_run(struct watch *watch);

/* A watched process by its number, or NULL. */
struct watched *watch_find(struct watch *watch, pid_t pid);

/* Whether the last look could read all heaps; and, once looked at, the bytes of their allocated blocks. */
bool watched_readable(const struct watched *watched);
uint64_t watched_live(const struct watched *watched);

/* Seconds since 1970. */
double watch_clock(void);
