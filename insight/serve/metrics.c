#include "serve/metrics.h"

#include <ctype.h>
#include <stdlib.h>
#include <time.h>

#include "mems.h"
#include "support/support.h"

/* --- The text format ---------------------------------------------------------------------------------------------- */

static void write_head(FILE *to, const char *name, const char *type, const char *help) {
    fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Backslash, quote and newline are escaped; non-ASCII bytes may not be UTF-8. */
static void write_value(FILE *to, const char *text) {
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\\' || *at == '"') {
            fprintf(to, "\\%c", *at);
        } else if (*at == '\n') {
            fputs("\\n", to);
        } else {
            fputc((signed char)*at < ' ' ? '?' : *at, to);
        }
    }
}

/* `more` is further labels, or "". */
static void write_labels(FILE *to, const char *name, const struct watched *watched, const char *more) {
    fprintf(to, "%s{pid=\"%d\",comm=\"", name, watched->pid);
    write_value(to, watched->program);
    fputs("\",cgroup=\"", to);
    write_value(to, watched->cgroup);
    fprintf(to, "\"%s} ", more);
}

/* --- What there is ------------------------------------------------------------------------------------------------ */

/* The label of the row "free beside" is free_beside. */
static const char *row_label(enum account_row row, char label[64]) {
    size_t i = 0;
    for (const char *at = row_texts[row].name; *at != '\0' && i < 62; at++) {
        label[i++] = *at == ' ' ? '_' : (char)tolower((unsigned char)*at);
    }
    label[i] = '\0';
    return label;
}

static const struct look *newest(const struct watched *watched) {
    return &watched->looks[(watched->look_count - 1) % LOOKS_MOST];
}

static double live(const struct watched *watched) {
    return (double)watched_live(watched);
}

static double heaps_in_use(const struct watched *watched) {
    unsigned count = 0;
    for (size_t i = 0; i < watched->stats->heap_count; i++) {
        count += watched->stats->heaps[i].in_use;
    }
    return count;
}

static double zero_pages(const struct watched *watched) {
    return (double)watched->stats->account.zero_pages;
}

static double huge_pages(const struct watched *watched) {
    return (double)watched->stats->account.huge_pages;
}

static double shared(const struct watched *watched) {
    return (double)watched->stats->account.shared;
}

static double torn(const struct watched *watched) {
    return (double)watched->stats->account.torn;
}

static double look_time(const struct watched *watched) {
    return newest(watched)->time;
}

static double look_cost(const struct watched *watched) {
    return watched->cost;
}

enum source { FROM_RESIDENT, FROM_SWAPPED, FROM_COUNTER, FROM_VALUE };

/* Of each process whose heap has been looked at. */
static const struct metric {
    const char *name;
    const char *type;
    const char *help;
    enum source source;
    enum watch_counter counter;
    double (*value)(const struct watched *watched);
} metrics[] = {
    {"mems_resident_bytes", "gauge", "Resident memory by what lies on it; the rows of a process sum to its Rss.",
     FROM_RESIDENT, .value = NULL},
    {"mems_swapped_bytes", "gauge", "Memory that is swapped out, by what lies on it.", FROM_SWAPPED, .value = NULL},
    {"mems_live_bytes", "gauge", "Bytes of the allocated blocks, resident or not.", FROM_VALUE, .value = live},
    {"mems_zero_page_bytes", "gauge", "Memory that was read and never written; not part of Rss.", FROM_VALUE,
     .value = zero_pages},
    {"mems_huge_page_bytes", "gauge", "The part of Rss in transparent huge pages.", FROM_VALUE, .value = huge_pages},
    {"mems_shared_bytes", "gauge", "The part of Rss that other processes map, too.", FROM_VALUE, .value = shared},
    {"mems_heaps", "gauge", "Heaps of threads in use.", FROM_VALUE, .value = heaps_in_use},
    {"mems_refills_total", "counter", "Refills of magazines.", FROM_COUNTER, .counter = COUNTER_REFILLS},
    {"mems_flushes_total", "counter", "Flushes of magazines.", FROM_COUNTER, .counter = COUNTER_FLUSHES},
    {"mems_remote_frees_total", "counter", "Blocks that were freed by another thread than their heap's.", FROM_COUNTER,
     .counter = COUNTER_REMOTE_FREES},
    {"mems_adopted_slabs_total", "counter", "Slabs of ended threads that others took.", FROM_COUNTER,
     .counter = COUNTER_ADOPTIONS},
    {"mems_stolen_blocks_total", "counter", "Blocks that threads took from idle heaps of others.", FROM_COUNTER,
     .counter = COUNTER_STOLEN},
    {"mems_torn_slabs", "gauge", "Slabs that changed while the last look read them.", FROM_VALUE, .value = torn},
    {"mems_look_timestamp_seconds", "gauge", "When the heap was looked at last.", FROM_VALUE, .value = look_time},
    {"mems_look_cost_seconds", "gauge", "Processor time that the last look took.", FROM_VALUE, .value = look_cost},
};

/* Empty rows are left out. */
static void write_rows(FILE *to, const struct metric *metric, const struct watched *watched) {
    char label[64];
    for (unsigned row = 0; row < ROWS; row++) {
        const struct row *of = &watched->stats->account.rows[row];
        int64_t bytes = metric->source == FROM_RESIDENT ? of->resident : (int64_t)of->swapped;
        if (bytes != 0) {
            char *more = make_text(",row=\"%s\"", row_label(row, label));
            write_labels(to, metric->name, watched, more);
            fprintf(to, "%ld\n", bytes);
            free(more);
        }
    }
}

static void write_metric(FILE *to, const struct metric *metric, const struct watched *watched) {
    if (metric->value == live && !watched_readable(watched)) {
        return;
    }
    if (metric->source == FROM_RESIDENT || metric->source == FROM_SWAPPED) {
        write_rows(to, metric, watched);
        return;
    }
    write_labels(to, metric->name, watched, "");
    if (metric->source == FROM_VALUE) {
        fprintf(to, "%.17g\n", metric->value(watched));
    } else {
        fprintf(to, "%lu\n", newest(watched)->counters[metric->counter]);
    }
}

/* A process that is new, or must not be read, has only its Rss. */
static void write_every_process(const struct watch *watch, FILE *to) {
    write_head(to, "mems_process_resident_bytes", "gauge",
               "Rss of the process as the kernel reports it, every second.");
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->processes[i].ours) {
            write_labels(to, "mems_process_resident_bytes", &watch->processes[i], "");
            fprintf(to, "%lu\n", watch->processes[i].rss);
        }
    }
    write_head(to, "mems_process_readable", "gauge",
               "1 if the heap could be read at the last look; 0: see mems stats.");
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->processes[i].ours) {
            const struct watched *watched = &watch->processes[i];
            write_labels(to, "mems_process_readable", watched, "");
            fprintf(to, "%d\n", watched_readable(watched));
        }
    }
}

static void write_server(const struct watch *watch, double spent, FILE *to) {
    struct timespec own;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    write_head(to, "mems_serve_cpu_seconds_total", "counter", "Processor time of mems serve and its looks.");
    fprintf(to, "mems_serve_cpu_seconds_total %.6f\n",
            (double)own.tv_sec + (double)own.tv_nsec / 1e9 + watch->spent + spent);
    write_head(to, "mems_serve_looks_total", "counter", "Looks at heaps.");
    fprintf(to, "mems_serve_looks_total %lu\n", watch->looks);
    write_head(to, "mems_serve_failed_looks_total", "counter", "Looks that brought nothing.");
    fprintf(to, "mems_serve_failed_looks_total %lu\n", watch->failures);
    write_head(to, "mems_serve_info", "gauge", "The version of mems serve.");
    fprintf(to, "mems_serve_info{version=\"%d.%d.%d\"} 1\n", MEMS_VERSION_MAJOR, MEMS_VERSION_MINOR,
            MEMS_VERSION_PATCH);
}

void metrics_write(const struct watch *watch, double spent, FILE *to) {
    write_every_process(watch, to);
    for (size_t metric = 0; metric < COUNT_OF(metrics); metric++) {
        write_head(to, metrics[metric].name, metrics[metric].type, metrics[metric].help);
        for (size_t i = 0; i < watch->count; i++) {
            const struct watched *watched = &watch->processes[i];
            if (watched->ours && watched->look_count != 0) {
                write_metric(to, &metrics[metric], watched);
            }
        }
    }
    write_server(watch, spent, to);
}
