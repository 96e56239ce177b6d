/*
 * top.c - `mems top`: live in the terminal, or as text and JSON.
 */
#include "top/top.h"

#include <time.h>

#include "support/json.h"
#include "support/support.h"
#include "support/text.h"
#include "verbs.h"

/* Characters of a line of --batch. */
#define LINE_MOST 512u

static void print_table(const struct table *table, const char *filter) {
    char line[LINE_MOST];
    table_titles(table, line, sizeof line);
    printf("%s%s%s\n", colour(COLOUR_BOLD), line, colour_off());
    for (size_t i = 0; i < table->count; i++) {
        if (table_shows(table, &table->rows[i], filter)) {
            table_line(table, &table->rows[i], line, sizeof line);
            puts(line);
        }
    }
}

static void wait_seconds(double seconds) {
    struct timespec rest = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&rest, NULL);
}

/* One object per look; on separate lines if there are several. */
static void print_look(json_t *json, uint64_t looks) {
    if (looks == 1) {
        print_json(json);
        return;
    }
    if (json_dumpf(json, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) != 0) {
        fail("cannot write the result as JSON");
    }
    putchar('\n');
    json_decref(json);
}

static void sort_or_fail(const struct arguments *arguments, struct table *table, struct table *other) {
    if (!table_sort_by(table, arguments->sort) && (other == NULL || !table_sort_by(other, arguments->sort))) {
        fail("--sort %s: there is no such column", arguments->sort);
    }
}

static int batch_all(const struct arguments *arguments) {
    struct processes *processes = processes_start();
    struct table table = processes_table();
    sort_or_fail(arguments, &table, NULL);
    processes_look(processes, &table);
    for (uint64_t i = 0; arguments->looks == 0 || i < arguments->looks; i++) {
        wait_seconds(arguments->interval);
        processes_look(processes, &table);
        if (arguments->json) {
            print_look(json_pack("{s:o}", "processes", table_json(&table, arguments->filter)), arguments->looks);
        } else {
            printf("%s", i != 0 ? "\n" : "");
            print_table(&table, arguments->filter);
        }
        if (fflush(stdout) != 0) {
            break;
        }
    }
    table_clear(&table);
    processes_end(processes);
    return EXIT_FINE;
}

static void print_process(const struct arguments *arguments, const struct process *process, const struct table *classes,
                          const struct table *sites) {
    char line[LINE_MOST];
    if (arguments->json) {
        json_t *json = process_json(process);
        json_object_set_new(json, "classes", table_json(classes, arguments->filter));
        json_object_set_new(json, "sites", table_json(sites, arguments->filter));
        print_look(json, arguments->looks);
        return;
    }
    process_summary(process, line, sizeof line);
    puts(line);
    print_table(classes, arguments->filter);
    if (sites->count != 0) {
        putchar('\n');
        print_table(sites, arguments->filter);
    }
}

static int batch_one(const struct arguments *arguments) {
    const char *name = arguments->words[0];
    const char *why;
    struct table classes = classes_table();
    struct table sites = sites_table();
    sort_or_fail(arguments, &classes, &sites);
    struct process *process = process_start(name, &why);
    if (process == NULL) {
        fail("%s: %s", name, why);
    }
    bool there = process_look(process, &classes, &sites, &why);
    for (uint64_t i = 0; there && (arguments->looks == 0 || i < arguments->looks); i++) {
        wait_seconds(arguments->interval);
        there = process_look(process, &classes, &sites, &why);
        if (there) {
            printf("%s", i != 0 && !arguments->json ? "\n" : "");
            print_process(arguments, process, &classes, &sites);
            there = fflush(stdout) == 0;
        }
    }
    if (!there) {
        warn("%s: %s", name, why);
    }
    table_clear(&classes);
    table_clear(&sites);
    process_end(process);
    return there ? EXIT_FINE : EXIT_TROUBLE;
}

int verb_top(const struct arguments *arguments) {
    struct arguments own = *arguments;
    own.filter = own.filter != NULL ? own.filter : "";
    if (own.json && !own.has_looks) {
        own.looks = 1;
    }
    if (own.json || own.batch) {
        return own.word_count == 0 ? batch_all(&own) : batch_one(&own);
    }
    return screen_run(own.word_count != 0 ? own.words[0] : NULL, own.interval, own.sort, own.filter);
}
