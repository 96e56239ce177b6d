/* process.c - one process: its size classes, and its samples' call sites. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "account/account.h"
#include "samples/calls.h"
#include "samples/samples.h"
#include "support/sorted.h"
#include "support/support.h"
#include "support/text.h"
#include "top/top.h"
#include "walk/session.h"

enum {
    CLASS_SIZE,
    CLASS_SLABS,
    CLASS_LIVE,
    CLASS_LIVE_BYTES,
    CLASS_FREE,
    CLASS_RESIDENT,
    CLASS_REFILLS,
    CLASS_FLUSHES,
    CLASS_COLUMNS
};

static const struct column class_columns[CLASS_COLUMNS] = {
    [CLASS_SIZE] = {"size", "size", COLUMN_NUMBER},
    [CLASS_SLABS] = {"slabs", "slabs", COLUMN_NUMBER},
    [CLASS_LIVE] = {"live", "live", COLUMN_NUMBER},
    [CLASS_LIVE_BYTES] = {"live bytes", "live_bytes", COLUMN_SIZE},
    [CLASS_FREE] = {"free bytes", "free_bytes", COLUMN_SIZE},
    [CLASS_RESIDENT] = {"resident", "resident", COLUMN_SIZE},
    [CLASS_REFILLS] = {"refills/s", "refills_per_s", COLUMN_RATE},
    [CLASS_FLUSHES] = {"flushes/s", "flushes_per_s", COLUMN_RATE},
};

enum { SITE_LIVE, SITE_RATE, SITE_ALLOCATED, SITE_COLUMNS };

static const struct column site_columns[SITE_COLUMNS] = {
    [SITE_LIVE] = {"live bytes", "live_bytes", COLUMN_SIZE},
    [SITE_RATE] = {"sampled/s", "sampled_bytes_per_s", COLUMN_SIZE_RATE},
    [SITE_ALLOCATED] = {"allocated", "allocated_bytes", COLUMN_SIZE},
};

struct table classes_table(void) {
    return (struct table){
        .columns = class_columns, .column_count = CLASS_COLUMNS, .names = "class", .sorted_by = CLASS_LIVE_BYTES};
}

struct table sites_table(void) {
    return (struct table){
        .columns = site_columns, .column_count = SITE_COLUMNS, .names = "call site", .sorted_by = SITE_LIVE};
}

/* A call site as it was at the last look. */
struct site {
    uint64_t stack; /* address */
    double allocated;
};

struct process {
    char *name;
    struct session session;
    struct pace pace;
    bool counted; /* there is an account */
    struct account account;
    uint64_t refills[CLASSES_MAX], flushes[CLASSES_MAX]; /* at the look before */
    double seconds;                                      /* since then; 0: there was none */
    struct site *sites;
    size_t site_count;
    struct calls calls;
    double sampled_rate; /* bytes a second; NAN: not known */
    double sampled;
    bool has_samples;
};

struct process *process_start(const char *name, const char **why) {
    struct process *process = make_zeroed(1, sizeof *process);
    struct session *session = &process->session;
    uint64_t pid;
    *why = "not a process id";
    if (parse_number(name, &pid) && pid != 0 && pid < INT32_MAX && target_glance(&session->target, (pid_t)pid, why)) {
        process->name = copy_text(name);
        session->target.name = process->name;
        *why = session->target.denied;
        if (*why == NULL) {
            layouts_find(&session->layouts, &session->target);
            *why = session->layouts.count == 0 ? "there is no heap of libmems or libhmm in it" : NULL;
        }
        if (*why == NULL) {
            calls_open(&process->calls, session);
            return process;
        }
        session_close(session);
        free(process->name);
    }
    free(process);
    return NULL;
}

void process_end(struct process *process) {
    if (process->counted) {
        account_free(&process->account);
    }
    calls_close(&process->calls);
    session_close(&process->session);
    free(process->sites);
    free(process->name);
    free(process);
}

/* --- A look ------------------------------------------------------------------------------------------------------- */

static void take_account(struct process *process, double now) {
    struct session *session = &process->session;
    process->seconds = process->counted && process->pace.taken > 0 ? now - process->pace.taken : 0;
    if (process->counted) {
        account_free(&process->account);
    }
    account_take(&process->account, &session->target, &session->layouts, session->has_engine ? &session->engine : NULL);
    process->counted = true;
}

static void fill_classes(const struct process *process, struct table *table) {
    const struct engine *engine = &process->session.engine;
    for (unsigned i = 0; i < engine->class_count; i++) {
        const struct class_account *of = &process->account.classes[i];
        const double size = (double)engine->classes[i].size;
        if (of->slabs == 0 && process->session.engine.refills[i] == 0) {
            continue;
        }
        struct table_row *row = table_add(table, i, make_text("slots of %lu bytes", engine->classes[i].size));
        const double free_slots = (double)(of->slots[STATE_CACHED] + of->slots[STATE_REMOTE] + of->slots[STATE_FREE]);
        row->numbers[CLASS_SIZE] = size;
        row->numbers[CLASS_SLABS] = (double)of->slabs;
        row->numbers[CLASS_LIVE] = (double)of->slots[STATE_LIVE];
        row->numbers[CLASS_LIVE_BYTES] = (double)of->slots[STATE_LIVE] * size;
        row->numbers[CLASS_FREE] = free_slots * size;
        row->numbers[CLASS_RESIDENT] = (double)of->resident;
        if (process->seconds > 0) {
            row->numbers[CLASS_REFILLS] =
                (double)(process->session.engine.refills[i] - process->refills[i]) / process->seconds;
            row->numbers[CLASS_FLUSHES] =
                (double)(process->session.engine.flushes[i] - process->flushes[i]) / process->seconds;
        }
    }
    const struct {
        const char *name;
        uint64_t blocks, bytes;
    } others[] = {{"large blocks", process->account.large_blocks, process->account.large_bytes},
                  {"huge blocks", process->account.huge_blocks, process->account.huge_bytes}};
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        if (others[i].blocks != 0) {
            struct table_row *row = table_add(table, CLASSES_MAX + i, copy_text(others[i].name));
            row->numbers[CLASS_LIVE] = (double)others[i].blocks;
            row->numbers[CLASS_LIVE_BYTES] = (double)others[i].bytes;
        }
    }
}

/* The bytes that a stack had allocated at the previous look; 0: it is new. */
static double allocated_before(const struct process *process, uint64_t stack) {
    const struct site *site = sorted_find(process->sites, process->site_count, sizeof *site, stack);
    return site != NULL ? site->allocated : 0;
}

/* The function that has called the heap, and its caller. */
static char *site_name(struct process *process, const struct call_stack *stack) {
    const unsigned first = calls_skip_heap(&process->calls, stack);
    char *text = copy_text(stack->depth == 0 ? "other" : "");
    for (unsigned i = first; i < stack->depth && i < first + 3; i++) {
        const struct call *call = calls_find(&process->calls, stack->frames[i]);
        char *place = call->place_count != 0 ? place_text(&call->places[0]) : make_text("%#lx", call->address);
        char *longer = make_text("%s%s%s", text, i > first ? " < " : "", place);
        free(place);
        free(text);
        text = longer;
    }
    return text;
}

static void fill_sites(struct process *process, struct table *table) {
    struct samples samples;
    process->has_samples = process->session.has_engine && samples_read(&samples, &process->session);
    if (!process->has_samples) {
        return;
    }
    double *live = make_zeroed(samples.stack_count, sizeof *live);
    for (size_t i = 0; i < samples.count; i++) {
        const struct call_stack *stack = samples.all[i].allocated.calls;
        if (samples.all[i].live && stack != NULL) {
            live[stack - samples.stacks] += samples.all[i].weight * (double)samples.all[i].size;
        }
    }
    struct site *sites = make(samples.stack_count * sizeof *sites);
    for (size_t i = 0; i < samples.stack_count; i++) {
        const struct call_stack *stack = &samples.stacks[i];
        sites[i] = (struct site){stack->address, stack->sums.allocated.bytes};
        if (stack->sums.allocated.samples == 0) {
            continue;
        }
        struct table_row *row = table_add(table, stack->address, site_name(process, stack));
        row->numbers[SITE_LIVE] = live[i];
        row->numbers[SITE_ALLOCATED] = stack->sums.allocated.bytes;
        if (process->seconds > 0) {
            row->numbers[SITE_RATE] =
                (stack->sums.allocated.bytes - allocated_before(process, stack->address)) / process->seconds;
        }
    }
    process->sampled_rate =
        process->seconds > 0 ? (samples.allocated.bytes - process->sampled) / process->seconds : NAN;
    process->sampled = samples.allocated.bytes;
    free(process->sites);
    process->sites = sites;
    process->site_count = samples.stack_count;
    free(live);
    samples_free(&samples);
}

bool process_look(struct process *process, struct table *classes, struct table *sites, const char **why) {
    const double now = now_seconds();
    if (!pace_begin(&process->pace, now)) {
        return true;
    }
    memcpy(process->refills, process->session.engine.refills, sizeof process->refills);
    memcpy(process->flushes, process->session.engine.flushes, sizeof process->flushes);
    if (!session_refresh(&process->session, true)) {
        *why = "it has ended";
        return false;
    }
    take_account(process, now);
    table_clear(classes);
    table_clear(sites);
    if (process->session.has_engine) {
        fill_classes(process, classes);
    }
    pace_end(&process->pace, now, LOOK_SHARE_ALONE);
    fill_sites(process, sites); /* what names cost, they cost once */
    table_sort(classes);
    table_sort(sites);
    return true;
}

static uint64_t live_bytes(const struct account *account) {
    return account->rows[ROW_LIVE].bytes + account->huge_bytes + account->rows[ROW_SPACES_LIVE].bytes +
           account->rows[ROW_HMM_LIVE].bytes;
}

void process_summary(const struct process *process, char *line, size_t size) {
    const struct account *account = &process->account;
    const struct row *rows = account->rows;
    const int64_t free_bytes = rows[ROW_CACHED].resident + rows[ROW_REMOTE].resident + rows[ROW_FREE_BESIDE].resident +
                               rows[ROW_FREE_PAGES].resident + rows[ROW_DIRTY].resident + rows[ROW_HMM_FREE].resident +
                               rows[ROW_HMM_CACHED].resident + rows[ROW_SPACES_HOLES].resident;
    int length = snprintf(line, size, "process %d (%s): Rss %s, live %s", process->session.target.pid,
                          process->session.target.program, text_size(account->rss), text_size(live_bytes(account)));
    length += snprintf(line + length, size - (size_t)length, ", free and resident %s",
                       text_size(free_bytes > 0 ? (uint64_t)free_bytes : 0));
    if (process->has_samples && process->sampled_rate >= 0) {
        snprintf(line + length, size - (size_t)length, ", sampled %s/s", text_size((uint64_t)process->sampled_rate));
    }
}

json_t *process_json(const struct process *process) {
    json_t *json = json_pack("{s:o, s:I, s:I}", "target", session_json(&process->session), "rss",
                             (json_int_t)process->account.rss, "live", (json_int_t)live_bytes(&process->account));
    if (process->has_samples && process->sampled_rate >= 0) {
        json_object_set_new(json, "sampled_bytes_per_s", json_real(process->sampled_rate));
    }
    return json;
}
