#include "serve/watch.h"

#include <linux/capability.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "support/support.h"
#include "target/proc.h"

#define TICK 1.0       /* seconds between two readings of each Rss, and at least between two looks at a process */
#define LOOK_MOST 30.0 /* that a look may take */
#define WORKER_MOST 1e9

/* A process that has not run counts as unchanged this long. Then we look again: its pages may be swapped or shared. */
#define UNCHANGED_MOST 60.0

/* If more processes are due than the share allows, the one due longest is first; one never looked at counts as due for
 * this long. */
#define NEVER_LOOKED 5.0

/* Many processes are short-lived, so one that starts is probed after PAUSE_LEAST. One without our heaps may execute a
 * program that has them, so it is probed again, at growing intervals. */
#define PAUSE_LEAST 1.0
#define PAUSE_MOST 30.0

const char *const counter_names[COUNTERS] = {
    [COUNTER_REFILLS] = "refills",     [COUNTER_FLUSHES] = "flushes", [COUNTER_REMOTE_FREES] = "remote_frees",
    [COUNTER_ADOPTIONS] = "adoptions", [COUNTER_STOLEN] = "stolen",
};

double watch_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- What /proc tells for little ---------------------------------------------------------------------------------- */

/* Of the unified hierarchy, or else of the memory controller. */
static char *read_cgroup(pid_t pid) {
    char text[4096];
    char *found = NULL;
    char *rest;
    proc_read(pid, "cgroup", text, sizeof text);
    for (char *line = strtok_r(text, "\n", &rest); line != NULL && found == NULL; line = strtok_r(NULL, "\n", &rest)) {
        char *path = strncmp(line, "0::", 3) == 0 ? line + 3 : strstr(line, ":memory:");
        if (path != NULL) {
            found = copy_text(*path == ':' ? path + 8 : path);
        }
    }
    return found != NULL ? found : copy_text("");
}

static char *read_comm(pid_t pid) {
    char text[64];
    proc_read(pid, "comm", text, sizeof text);
    text[strcspn(text, "\n")] = '\0';
    return copy_text(text);
}

/* Root, or with CAP_SYS_PTRACE. */
static bool sees_all(void) {
    char text[4096];
    unsigned long capabilities = 0;
    proc_read(getpid(), "status", text, sizeof text);
    const char *line = strstr(text, "\nCapEff:");
    return geteuid() == 0 || (line != NULL && sscanf(line, " CapEff: %lx", &capabilities) == 1 &&
                              (capabilities >> CAP_SYS_PTRACE & 1) != 0);
}

static bool is_users(pid_t pid) {
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d", pid);
    return stat(path, &status) == 0 && status.st_uid == geteuid();
}

/* --- The list ----------------------------------------------------------------------------------------------------- */

static void forget(struct watched *watched) {
    free(watched->program);
    free(watched->cgroup);
    free(watched->trouble);
    free(watched->samples);
    free(watched->looks);
    free(watched->stats);
}

static int by_pid(const void *a, const void *b) {
    const struct watched *left = a;
    const struct watched *right = b;
    return left->pid < right->pid ? -1 : left->pid > right->pid;
}

static struct watched *find_any(struct watch *watch, pid_t pid) {
    const struct watched key = {.pid = pid};
    return watch->count != 0 ? bsearch(&key, watch->processes, watch->count, sizeof key, by_pid) : NULL;
}

struct watched *watch_find(struct watch *watch, pid_t pid) {
    struct watched *watched = find_any(watch, pid);
    return watched != NULL && watched->ours ? watched : NULL;
}

static void add_sample(struct watched *watched, uint64_t rss) {
    if (watched->samples == NULL) {
        watched->samples = make_zeroed(SAMPLES_MOST, sizeof *watched->samples);
    }
    watched->rss = rss;
    watched->samples[watched->sample_count++ % SAMPLES_MOST] = (struct sample){watch_clock(), rss};
}

static void remember(struct watched *watched) {
    if (watched->looks == NULL) {
        watched->looks = make_zeroed(LOOKS_MOST, sizeof *watched->looks);
    }
    struct look *newest = &watched->looks[watched->look_count++ % LOOKS_MOST];
    *newest = (struct look){.time = watch_clock()};
    for (unsigned row = 0; row < ROWS; row++) {
        newest->resident[row] = watched->stats->account.rows[row].resident;
    }
    for (size_t i = 0; i < watched->stats->heap_count; i++) {
        const struct engine_heap *heap = &watched->stats->heaps[i];
        newest->counters[COUNTER_REFILLS] += heap->refills;
        newest->counters[COUNTER_FLUSHES] += heap->flushes;
        newest->counters[COUNTER_REMOTE_FREES] += heap->remote_frees;
        newest->counters[COUNTER_ADOPTIONS] += heap->adoptions;
        newest->counters[COUNTER_STOLEN] += heap->stolen;
    }
}

/* No thread of it has run since the last look began, so another look, which costs a thousand times as much, would find
 * the same. */
static bool is_unchanged(const struct watched *watched, double now) {
    return watched->stats != NULL && watched->trouble == NULL && now < watched->looked + UNCHANGED_MOST &&
           watched->rss == watched->rss_before && watched->ran_before > 0 &&
           watched->ran_before == worker_seconds_of(watched->pid);
}

/* If it is ours; forgets it if its number now belongs to another. */
static void visit(struct watched *watched, double now) {
    struct proc_stat stat;
    watched->gone = false;
    if (!watched->ours) {
        return;
    }
    if (!proc_stat(watched->pid, 0, &stat)) {
        watched->gone = true;
    } else if (stat.started != watched->started) {
        pid_t pid = watched->pid;
        forget(watched);
        *watched = (struct watched){.pid = pid, .due = now, .pause = PAUSE_LEAST};
    } else {
        add_sample(watched, stat.rss);
        if (is_unchanged(watched, now)) {
            remember(watched);
            watched->due = fmax(watched->due, now + TICK);
        }
    }
}

static void remove_gone(struct watch *watch) {
    size_t kept = 0;
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->processes[i].gone) {
            forget(&watch->processes[i]);
        } else {
            watch->processes[kept++] = watch->processes[i];
        }
    }
    watch->count = kept;
}

static void scan(struct watch *watch, double now) {
    DIR *folder = proc_visit(0);
    size_t known = watch->count;
    for (size_t i = 0; i < watch->count; i++) {
        watch->processes[i].gone = true;
    }
    for (pid_t pid; (pid = proc_next(folder)) != 0;) {
        if (pid == getpid()) {
            continue;
        }
        const struct watched key = {.pid = pid};
        struct watched *watched = known != 0 ? bsearch(&key, watch->processes, known, sizeof key, by_pid) : NULL;
        if (watched != NULL) {
            visit(watched, now);
        } else if (watch->sees_all || is_users(pid)) {
            watch->processes = grow(watch->processes, watch->count, sizeof *watch->processes);
            watch->processes[watch->count++] =
                (struct watched){.pid = pid, .due = known != 0 ? now + PAUSE_LEAST : now, .pause = PAUSE_LEAST};
        }
    }
    if (watch->count != known) {
        qsort(watch->processes, watch->count, sizeof *watch->processes, by_pid);
    }
    remove_gone(watch);
}

/* --- Looks -------------------------------------------------------------------------------------------------------- */

static void take_probe(struct watch *watch, char *text, double now) {
    for (size_t i = 0; i < watch->question.count; i++) {
        struct watched *watched = find_any(watch, watch->question.processes[i]);
        if (watched != NULL) {
            watched->due = now + watched->pause;
            watched->pause = watched->pause * 2 < PAUSE_MOST ? watched->pause * 2 : PAUSE_MOST;
        }
    }
    char *rest;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        int pid;
        int denied;
        struct watched *watched = sscanf(line, "%d %d", &pid, &denied) == 2 ? find_any(watch, (pid_t)pid) : NULL;
        struct proc_stat stat;
        if (watched != NULL && !watched->ours && proc_stat(watched->pid, 0, &stat)) {
            watched->started = stat.started;
            watched->ours = true;
            watched->denied = denied != 0;
            watched->program = read_comm(watched->pid);
            watched->cgroup = read_cgroup(watched->pid);
            watched->due = now - NEVER_LOOKED;
            add_sample(watched, stat.rss);
        }
    }
}

static double interval(const struct watch *watch, const struct watched *watched) {
    double roots = 0;
    for (size_t i = 0; i < watch->count; i++) {
        roots += sqrt(watch->processes[i].cost);
    }
    return fmax(look_rate_interval(watched->cost, roots), TICK);
}

/* If the text is stats, the process takes it over. */
static bool take_look(struct watch *watch, char *text, size_t size, double now) {
    struct watched *watched = watch_find(watch, watch->question.processes[0]);
    if (watched == NULL) {
        return false;
    }
    struct stats *stats = stats_parse(text, size);
    free(watched->trouble);
    watched->trouble = NULL;
    watched->cost = watch->worker.cost;
    free(watched->program);
    free(watched->cgroup);
    watched->program = read_comm(watched->pid);
    watched->cgroup = read_cgroup(watched->pid);
    watched->due = now + interval(watch, watched);
    watch->looks++;
    if (stats != NULL && (watch->worker.status == EXIT_FINE || watched->denied)) {
        free(watched->stats);
        watched->stats = stats;
        remember(watched);
        return true;
    }
    size_t length;
    watch->failures++;
    watched->due = now + PAUSE_MOST;
    watched->trouble = watch->worker.status < 0 ? copy_text("the look took too long, or failed")
                                                : worker_read(watch->worker.error, &length);
    return false;
}

/* From a worker that has ended. */
static void take(struct watch *watch, double now) {
    size_t size;
    char *text = worker_read(watch->worker.output, &size);
    if (text != NULL && watch->question.is_probe) {
        take_probe(watch, text, now);
    } else if (text != NULL) {
        text = take_look(watch, text, size, now) ? NULL : text;
    }
    free(text);
    watch->spent += watch->worker.cost;
    look_rate_spend(&watch->rate, watch->worker.cost);
}

/* Probes many processes at once, or looks at the one that has waited longest. Probes do not wait for an expensive look
 * to be paid off, so a new process is found within seconds. */
static void start_next(struct watch *watch, double now) {
    const bool affordable = look_rate_affords_look(&watch->rate);
    struct watched *longest = NULL;
    watch->question.count = 0;
    for (size_t i = 0; i < watch->count; i++) {
        struct watched *watched = &watch->processes[i];
        if (watched->due > now) {
            continue;
        }
        if (!watched->ours && watch->question.count < LOOKER_PROCESSES) {
            watch->question.processes[watch->question.count++] = watched->pid;
        } else if (watched->ours && affordable && (longest == NULL || watched->due < longest->due)) {
            longest = watched;
        }
    }
    /* Probes and looks take turns. */
    watch->question.is_probe = watch->question.count != 0 && (longest == NULL || !watch->question.is_probe);
    if (!watch->question.is_probe && longest != NULL) {
        watch->question.processes[0] = longest->pid;
        watch->question.count = 1;
        longest->looked = now;
        longest->ran_before = worker_seconds_of(longest->pid);
        longest->rss_before = longest->rss;
    }
    if (watch->question.count == 0) {
        return;
    }
    if (watch->worker.process == 0 && !worker_start(&watch->worker, looker_run, NULL, WORKER_MOST)) {
        return;
    }
    worker_ask(&watch->worker, &watch->question, sizeof watch->question, LOOK_MOST);
}

/* --- The watch ---------------------------------------------------------------------------------------------------- */

void watch_start(struct watch *watch) {
    memset(watch, 0, sizeof *watch);
    watch->worker = (struct worker){.end = -1, .output = -1, .error = -1};
    watch->next_tick = now_seconds();
    look_rate_start(&watch->rate, watch->next_tick);
    watch->sees_all = sees_all();
}

void watch_end(struct watch *watch) {
    worker_close(&watch->worker);
    for (size_t i = 0; i < watch->count; i++) {
        forget(&watch->processes[i]);
    }
    free(watch->processes);
}

/* Until the next tick, or until a look is due and affordable. */
static double rest_of(const struct watch *watch, double now) {
    double rest = watch->next_tick - now;
    if (!watch->worker.busy) {
        double due = rest;
        for (size_t i = 0; i < watch->count; i++) {
            due = watch->processes[i].ours ? fmin(due, watch->processes[i].due - now) : due;
        }
        rest = fmin(rest, fmax(due, look_rate_wait(&watch->rate)));
    }
    return rest > 0 ? rest : 0;
}

/* The server's own work counts, too. */
double watch_run(struct watch *watch) {
    double before = worker_seconds_of(getpid());
    double now = now_seconds();
    look_rate_refill(&watch->rate, now);
    const bool asked = watch->worker.busy;
    if (watch->worker.process != 0 && worker_ended(&watch->worker, now) && asked) {
        take(watch, now);
    }
    if (watch->worker.process == 0) {
        worker_close(&watch->worker);
    }
    if (now >= watch->next_tick) {
        scan(watch, now);
        watch->next_tick = now + TICK;
    }
    if (!watch->worker.busy && look_rate_affords_probe(&watch->rate)) {
        start_next(watch, now);
    }
    look_rate_spend(&watch->rate, worker_seconds_of(getpid()) - before);
    look_rate_forgive(&watch->rate);
    return rest_of(watch, now);
}

/* --- What a look has told ----------------------------------------------------------------------------------------- */

bool watched_readable(const struct watched *watched) {
    return watched->stats != NULL && !watched->denied && watched->trouble == NULL &&
           (!watched->stats->finds_engine || watched->stats->has_engine);
}

uint64_t watched_live(const struct watched *watched) {
    static const enum account_row rows[] = {ROW_LIVE, ROW_HUGE, ROW_SPACES_LIVE, ROW_HMM_LIVE};
    uint64_t live = 0;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        live += watched->stats->account.rows[rows[i]].bytes;
    }
    return live;
}
