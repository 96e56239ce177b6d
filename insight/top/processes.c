/*
 * processes.c - all processes on the libraries.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "support/support.h"
#include "target/proc.h"
#include "top/top.h"
#include "walk/engine_heaps.h"
#include "walk/engine_spans.h"
#include "walk/session.h"

/* A process not on the libraries is looked at again after this: it may execute a program that is. */
#define FIRST_PAUSE 1.0
#define LONGEST_PAUSE 64.0

enum { AT_PID, AT_RSS, AT_RSS_RATE, AT_LIVE, AT_REFILLS, AT_FLUSHES, AT_SAMPLED, PROCESS_COLUMNS };

static const struct column columns[PROCESS_COLUMNS] = {
    [AT_PID] = {"pid", "pid", COLUMN_NUMBER},
    [AT_RSS] = {"Rss", "rss", COLUMN_SIZE},
    [AT_RSS_RATE] = {"Rss/s", "rss_per_s", COLUMN_SIZE_RATE},
    [AT_LIVE] = {"live", "live", COLUMN_SIZE},
    [AT_REFILLS] = {"refills/s", "refills_per_s", COLUMN_RATE},
    [AT_FLUSHES] = {"flushes/s", "flushes_per_s", COLUMN_RATE},
    [AT_SAMPLED] = {"sampled/s", "sampled_bytes_per_s", COLUMN_SIZE_RATE},
};

struct table processes_table(void) {
    return (struct table){.columns = columns, .column_count = PROCESS_COLUMNS, .names = "program", .sorted_by = AT_RSS};
}

/* Sums over all heaps of a process. */
struct counters {
    double refills, flushes, sampled;
};

struct seen {
    pid_t pid;
    struct proc_stat stat; /* from the last scan, if it is ours; its start tells processes with one number apart */
    bool there;            /* in the last scan */
    bool ours;
    bool denied;
    double pause; /* until the next examination, if it is not ours */
    double examined;
    struct session session;
    double rss, rss_rate;
    double rss_at;
    struct pace count_pace, walk_pace;
    struct counters counters, rates;
    bool has_rates;
    double live; /* NAN: not known */
};

struct processes {
    struct seen **all;
    size_t count;
    bool looked; /* before */
};

/* As many as the user may have: each process takes two or three. */
static void allow_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

struct processes *processes_start(void) {
    allow_descriptors();
    return make_zeroed(1, sizeof(struct processes));
}

static void forget(struct seen *seen) {
    if (seen->ours) {
        session_close(&seen->session);
    }
    free(seen);
}

void processes_end(struct processes *processes) {
    for (size_t i = 0; i < processes->count; i++) {
        forget(processes->all[i]);
    }
    free(processes->all);
    free(processes);
}

/* --- Which there are ---------------------------------------------------------------------------------------------- */

static struct seen *find_seen(struct processes *processes, pid_t pid) {
    for (size_t i = 0; i < processes->count; i++) {
        if (processes->all[i]->pid == pid) {
            return processes->all[i];
        }
    }
    return NULL;
}

/* Whether it is on the libraries. */
static void examine(struct seen *seen, double now) {
    struct session *session = &seen->session;
    memset(session, 0, sizeof *session);
    seen->examined = now;
    seen->pause = fmin(fmax(2 * seen->pause, FIRST_PAUSE), LONGEST_PAUSE);
    const char *why;
    const bool were_told = warnings_told(false);
    if (target_glance(&session->target, seen->pid, &why)) {
        layouts_find(&session->layouts, &session->target);
        seen->denied = session->target.denied != NULL;
        seen->ours = session->layouts.count != 0;
    }
    warnings_told(were_told);
    if (!seen->ours) {
        layouts_free(&session->layouts);
        target_close(&session->target);
    }
}

/* Most processes are not on the libraries, and many are short-lived, so we read little: except at the first look, a new
 * one is examined only if it is still there at the next. */
static void meet(struct processes *processes, pid_t pid, double now) {
    struct seen *seen = find_seen(processes, pid);
    const bool is_new = seen == NULL;
    if (is_new) {
        seen = make_zeroed(1, sizeof *seen);
        *seen = (struct seen){.pid = pid, .live = NAN};
        processes->all = grow(processes->all, processes->count, sizeof(struct seen *));
        processes->all[processes->count++] = seen;
    }
    seen->there = true;
    if (seen->ours) {
        const uint64_t started = seen->stat.started;
        if (!proc_stat(pid, 0, &seen->stat) || started != seen->stat.started ||
            (!seen->denied && !session_has_root(&seen->session))) {
            session_close(&seen->session);
            *seen = (struct seen){.pid = pid, .there = true, .live = NAN};
        }
    } else if (now >= seen->examined + seen->pause && (!is_new || !processes->looked)) {
        proc_stat(pid, 0, &seen->stat);
        examine(seen, now);
    }
}

static void scan(struct processes *processes, double now) {
    DIR *folder = proc_visit(0);
    for (size_t i = 0; i < processes->count; i++) {
        processes->all[i]->there = false;
    }
    for (pid_t pid; (pid = proc_next(folder)) != 0;) {
        meet(processes, pid, now);
    }
    size_t kept = 0;
    for (size_t i = 0; i < processes->count; i++) {
        if (processes->all[i]->there) {
            processes->all[kept++] = processes->all[i];
        } else {
            forget(processes->all[i]);
        }
    }
    processes->count = kept;
    processes->looked = true;
}

/* --- What they do ------------------------------------------------------------------------------------------------- */

static void look_at_rss(struct seen *seen, double now) {
    const double rss = (double)seen->stat.rss;
    seen->rss_rate = seen->rss_at > 0 && now > seen->rss_at ? (rss - seen->rss) / (now - seen->rss_at) : NAN;
    seen->rss = rss;
    seen->rss_at = now;
}

/* Bytes that the sampled blocks stand for, since the start; NAN without samples. */
static double sampled_bytes(struct engine *engine) {
    struct layout *layout = engine->layout;
    struct field sums = layout_field(layout, "samples.allocated");
    struct field bytes = layout_field(layout, "stack_sums.bytes");
    uint64_t samples;
    uint64_t bits;
    double value;
    if (sums.size == 0 || bytes.size != sizeof value ||
        !field_read(engine->target, layout->start, layout_field(layout, "mems_root.samples"), &samples) ||
        !target_read_pointer(engine->target, samples + sums.offset + bytes.offset, &bits)) {
        return NAN;
    }
    memcpy(&value, &bits, sizeof value);
    return isfinite(value) ? value : NAN;
}

static struct counters read_counters(struct engine *engine) {
    struct counters counters = {.sampled = sampled_bytes(engine)};
    for (size_t i = 0; i < engine->heap_count; i++) {
        counters.refills += (double)engine->heap_list[i].refills;
        counters.flushes += (double)engine->heap_list[i].flushes;
    }
    return counters;
}

static bool open_engine(struct seen *seen) {
    struct session *session = &seen->session;
    if (session->has_engine) {
        engine_close(&session->engine);
    }
    engine_open(&session->engine, &session->target, layouts_of(&session->layouts, ROOT_ENGINE));
    session->has_engine = session->engine.trouble == NULL;
    return session->has_engine;
}

static void count(struct seen *seen, struct engine *engine, double now) {
    const double before = seen->count_pace.taken;
    if (!pace_begin(&seen->count_pace, now)) {
        return;
    }
    const struct counters counters = read_counters(engine);
    if (before > 0 && now > before) {
        seen->rates = (struct counters){(counters.refills - seen->counters.refills) / (now - before),
                                        (counters.flushes - seen->counters.flushes) / (now - before),
                                        (counters.sampled - seen->counters.sampled) / (now - before)};
        seen->has_rates = true;
    }
    seen->counters = counters;
    pace_end(&seen->count_pace, now, LOOK_SHARE / 2);
}

static void walk(struct seen *seen, struct engine *engine, double now) {
    if (pace_begin(&seen->walk_pace, now)) {
        seen->live = (double)engine_live_bytes(engine);
        pace_end(&seen->walk_pace, now, LOOK_SHARE / 2);
    }
}

static void look(struct seen *seen, double now) {
    struct layout *layout = layouts_of(&seen->session.layouts, ROOT_ENGINE);
    look_at_rss(seen, now);
    if (!seen->denied && layout != NULL && (now >= seen->count_pace.due || now >= seen->walk_pace.due) &&
        open_engine(seen)) {
        count(seen, &seen->session.engine, now);
        walk(seen, &seen->session.engine, now);
    }
}

void processes_look(struct processes *processes, struct table *table) {
    const double now = now_seconds();
    scan(processes, now);
    table_clear(table);
    for (size_t i = 0; i < processes->count; i++) {
        struct seen *seen = processes->all[i];
        if (!seen->ours) {
            continue;
        }
        look(seen, now);
        struct table_row *row = table_add(table, (uint64_t)seen->pid, copy_text(seen->session.target.program));
        row->numbers[AT_PID] = seen->pid;
        row->numbers[AT_RSS] = seen->rss;
        row->numbers[AT_RSS_RATE] = seen->rss_rate;
        row->numbers[AT_LIVE] = seen->live;
        if (seen->has_rates) {
            row->numbers[AT_REFILLS] = seen->rates.refills;
            row->numbers[AT_FLUSHES] = seen->rates.flushes;
            row->numbers[AT_SAMPLED] = seen->rates.sampled;
        }
    }
    table_sort(table);
}
