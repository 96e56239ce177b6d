/* stats.c - `mems stats`: what holds a process's memory, and why it does not fall. */
#include "verbs/stats.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "samples/pinned.h"
#include "support/json.h"
#include "support/support.h"
#include "support/text.h"
#include "verbs.h"

/* The columns of a row before its explanation. */
#define ROW_COLUMNS 34u

/* --- Text --------------------------------------------------------------------------------------------------------- */

static void print_row(const struct account *account, enum account_row row) {
    const struct row *of = &account->rows[row];
    const struct row_text *text = &row_texts[row];
    if (of->resident == 0 && of->swapped == 0 && (of->bytes == 0 || row == ROW_FRESH)) {
        return;
    }
    uint64_t bytes = of->resident < 0 ? (uint64_t)-of->resident : (uint64_t)of->resident;
    double share = account->rss != 0 ? 100.0 * (double)of->resident / (double)account->rss : 0;
    bool heap = row < ROW_FILES;
    printf("%s%1s%11s %5.1f %%%s  %-12s", heap ? colour(COLOUR_BOLD) : "", of->resident < 0 ? "-" : "",
           text_size(bytes), share, colour_off(), text->name);
    /* As much of the explanation as fits. */
    const unsigned columns = text_columns(UINT_MAX);
    const size_t room = columns > ROW_COLUMNS ? columns - ROW_COLUMNS : 0;
    if (strlen(text->what) + strlen(text->goes) + 3 <= room) {
        printf(" %s%s: %s%s", colour(COLOUR_GREY), text->what, text->goes, colour_off());
    } else if (strlen(text->what) + 1 <= room) {
        printf(" %s%s%s", colour(COLOUR_GREY), text->what, colour_off());
    }
    putchar('\n');
}

static void print_rows(const struct session *session, const struct account *account) {
    bool live = session->target.kind != TARGET_CORE;
    printf("%s\n", live ? "    resident" : "     in core");
    for (unsigned row = 0; row < ROWS; row++) {
        print_row(account, row);
    }
    printf(" %11s          %-12s %s\n", text_size(account->rss), live ? "Rss" : "sum",
           live ? "their sum, as the kernel counts it in smaps"
                : "of the pages with contents; a core does not tell what was resident");
    if (account->swap != 0) {
        printf(" %11s          swap         beside it: swapped out\n", text_size(account->swap));
    }
    if (account->huge_pages != 0) {
        printf(" %11s          huge pages   part of Rss: in transparent huge pages; to purge a part splits one\n",
               text_size(account->huge_pages));
    }
    if (account->shared != 0) {
        printf(" %11s          shared       part of Rss: other processes map it, too (files; what a fork has copied)\n",
               text_size(account->shared));
    }
    if (account->rounding_most != 0) {
        printf(" %11s          rounding     at most, of live: inside slots; what was asked for is not kept\n",
               text_size(account->rounding_most));
    }
    if (account->zero_pages != 0) {
        printf(" %11s          zero pages   not in Rss: read, and never written\n", text_size(account->zero_pages));
    }
}

static void print_class(const struct account *account, const struct engine *engine, unsigned size_class, uint64_t now) {
    const struct class_account *of = &account->classes[size_class];
    const uint64_t size = engine->classes[size_class].size;
    uint64_t live = of->slots[STATE_LIVE] * size;
    double lost = of->resident > live ? 100.0 * (double)(of->resident - live) / (double)of->resident : 0;
    printf("%8lu %7lu %11lu %9lu %8lu %11lu %11s %11s %4.0f %% %8lu %8lu", size, of->slabs, of->slots[STATE_LIVE],
           of->slots[STATE_CACHED], of->slots[STATE_REMOTE], of->slots[STATE_FREE], text_size(live),
           text_size(of->resident), lost, engine->refills[size_class], engine->flushes[size_class]);
    if (now != 0 && of->youngest_s != 0) {
        printf("  %s", text_ages(now - of->youngest_s, now - of->oldest_s));
    }
    putchar('\n');
}

static void print_classes(const struct account *account, const struct engine *engine, uint64_t now) {
    printf("\n%s    size   slabs        live    cached   remote        free  live bytes    resident   lost  refills  "
           "flushes  "
           "age of slabs%s\n",
           colour(COLOUR_BOLD), colour_off());
    uint64_t largest = 0;
    for (unsigned size_class = 0; size_class < engine->class_count; size_class++) {
        largest = larger(largest, engine->classes[size_class].size);
        if (account->classes[size_class].slabs != 0) {
            print_class(account, engine, size_class, now);
        }
    }
    printf("%lu large blocks (over %s): %s; %lu huge blocks: %s\n", account->large_blocks, text_size(largest),
           text_size(account->large_bytes), account->huge_blocks, text_size(account->huge_bytes));
}

static void print_heaps(const struct engine *engine) {
    struct engine_heap sum = {0};
    uint64_t in_use = 0;
    if (!engine->has_heaps) {
        return;
    }
    for (size_t i = 0; i < engine->heap_count; i++) {
        const struct engine_heap *heap = &engine->heap_list[i];
        in_use += heap->in_use;
        sum.refills += heap->refills;
        sum.flushes += heap->flushes;
        sum.remote_frees += heap->remote_frees;
        sum.adoptions += heap->adoptions;
        sum.stolen += heap->stolen;
    }
    printf("%lu heaps in use of %lu made; %lu refills, %lu flushes, %lu remote frees, %lu slabs adopted, %lu blocks "
           "stolen\n",
           in_use, engine->heaps_made, sum.refills, sum.flushes, sum.remote_frees, sum.adoptions, sum.stolen);
}

static void print_arenas(const struct account *account) {
    for (size_t i = 0; i < account->arena_count; i++) {
        const struct arena_account *arena = &account->arenas[i];
        printf("arena \"%s\" (heap %lu): %lu blocks, %s live", arena->name, arena->heap, arena->blocks,
               text_size(arena->bytes));
        printf(", %s held\n", text_size(arena->held));
    }
}

static void print_text(struct session *session, const struct account *account) {
    char *title = session_title(session);
    printf("%s%s%s", colour(COLOUR_BOLD), title, colour_off());
    free(title);
    for (size_t i = 0; i < session->layouts.count; i++) {
        const struct layout *layout = &session->layouts.layouts[i];
        /* The engine and the MeMS heap are one library. */
        if (layout->heap != ROOT_SPACES) {
            printf("%s %s %u.%u.%u", i == 0 ? "," : " and", layout->heap == ROOT_HMM ? "libhmm" : "libmems",
                   layout->library / 10000, layout->library / 100 % 100, layout->library % 100);
        }
    }
    printf("\n\n");
    print_rows(session, account);
    if (session->has_engine) {
        print_classes(account, &session->engine, session_now(session));
        print_heaps(&session->engine);
        print_arenas(account);
    }
    if (account->torn != 0) {
        printf("%lu slabs changed while they were read: the process runs on\n", account->torn);
    }
    if (account->spaces_trouble != NULL) {
        printf("the MeMS heap was not counted to its end: %s\n", account->spaces_trouble);
    }
    if (account->hmm_trouble != NULL) {
        printf("HMM was not counted to its end: at %#lx, %s\n", account->hmm_where, account->hmm_trouble);
    }
    if (!account->resident_known) {
        printf("what is resident is not known page by page: /proc/%d/pagemap must not be read\n", session->target.pid);
    } else if (!account->zeros_known && session->target.kind != TARGET_CORE) {
        printf("this kernel does not tell pages of zeros apart: rows may be larger than Rss, and `changed` below 0\n");
    }
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

static json_t *rows_json(const struct account *account) {
    json_t *rows = json_array();
    for (unsigned row = 0; row < ROWS; row++) {
        const struct row *of = &account->rows[row];
        json_array_append_new(rows, json_pack("{s:s, s:I, s:I, s:I, s:s, s:s}", "name", row_texts[row].name, "resident",
                                              (json_int_t)of->resident, "bytes", (json_int_t)of->bytes, "swapped",
                                              (json_int_t)of->swapped, "what", row_texts[row].what, "goes",
                                              row_texts[row].goes));
    }
    return rows;
}

static json_t *classes_json(const struct stats *stats) {
    json_t *classes = json_array();
    for (unsigned size_class = 0; size_class < stats->class_count; size_class++) {
        const struct class_account *of = &stats->account.classes[size_class];
        if (of->slabs == 0) {
            continue;
        }
        json_t *json = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "size", (json_int_t)stats->sizes[size_class],
                                 "slabs", (json_int_t)of->slabs, "live", (json_int_t)of->slots[STATE_LIVE], "cached",
                                 (json_int_t)of->slots[STATE_CACHED], "remote", (json_int_t)of->slots[STATE_REMOTE],
                                 "free", (json_int_t)of->slots[STATE_FREE], "resident", (json_int_t)of->resident);
        json_object_set_new(json, "refills", json_integer((json_int_t)stats->refills[size_class]));
        json_object_set_new(json, "flushes", json_integer((json_int_t)stats->flushes[size_class]));
        if (stats->now_s != 0 && of->youngest_s != 0) {
            json_object_set_new(json, "youngest_s", json_integer((json_int_t)(stats->now_s - of->youngest_s)));
            json_object_set_new(json, "oldest_s", json_integer((json_int_t)(stats->now_s - of->oldest_s)));
        }
        json_array_append_new(classes, json);
    }
    return classes;
}

static json_t *heaps_json(const struct stats *stats) {
    json_t *heaps = json_array();
    for (size_t i = 0; i < stats->heap_count; i++) {
        const struct engine_heap *heap = &stats->heaps[i];
        json_array_append_new(
            heaps, json_pack("{s:I, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "id", (json_int_t)heap->id, "in_use",
                             heap->in_use, "slab_bytes", (json_int_t)heap->slab_bytes, "depot_bytes",
                             (json_int_t)heap->stored_bytes, "large_bytes", (json_int_t)heap->large_bytes, "refills",
                             (json_int_t)heap->refills, "flushes", (json_int_t)heap->flushes, "remote_frees",
                             (json_int_t)heap->remote_frees, "adoptions", (json_int_t)heap->adoptions, "stolen",
                             (json_int_t)heap->stolen));
    }
    return heaps;
}

static json_t *arenas_json(const struct account *account) {
    json_t *arenas = json_array();
    for (size_t i = 0; i < account->arena_count; i++) {
        const struct arena_account *arena = &account->arenas[i];
        json_array_append_new(arenas, json_pack("{s:s, s:I, s:I, s:I, s:I}", "name", arena->name, "heap",
                                                (json_int_t)arena->heap, "blocks", (json_int_t)arena->blocks, "bytes",
                                                (json_int_t)arena->bytes, "held", (json_int_t)arena->held));
    }
    return arenas;
}

json_t *stats_json(const struct stats *stats) {
    const struct account *account = &stats->account;
    json_t *json = json_pack(
        "{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:o}", "target", json_loads(stats->target, 0, NULL), "rss",
        (json_int_t)account->rss, "swap", (json_int_t)account->swap, "rounding_most",
        (json_int_t)account->rounding_most, "zero_pages", (json_int_t)account->zero_pages, "huge_pages",
        (json_int_t)account->huge_pages, "shared", (json_int_t)account->shared, "torn", (json_int_t)account->torn,
        "resident_known", account->resident_known, "zeros_known", account->zeros_known, "rows", rows_json(account));
    if (stats->has_engine) {
        json_object_set_new(json, "classes", classes_json(stats));
        json_object_set_new(json, "large",
                            json_pack("{s:I, s:I}", "blocks", (json_int_t)account->large_blocks, "bytes",
                                      (json_int_t)account->large_bytes));
        json_object_set_new(json, "huge",
                            json_pack("{s:I, s:I}", "blocks", (json_int_t)account->huge_blocks, "bytes",
                                      (json_int_t)account->huge_bytes));
        json_object_set_new(json, "heaps", heaps_json(stats));
        json_object_set_new(json, "arenas", arenas_json(account));
    }
    return json;
}

/* --- Plain data --------------------------------------------------------------------------------------------------- */

static char *target_text(const struct session *session) {
    json_t *json = session_json(session);
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(json);
    if (text == NULL) {
        fail("cannot write the result as JSON");
    }
    return text;
}

static struct stats stats_of(const struct session *session, const struct account *account, const char *target) {
    const struct engine *engine = &session->engine;
    struct stats stats = {.account = *account, .now_s = session_now(session), .target = target};
    stats.target_size = strlen(target) + 1;
    for (size_t i = 0; i < session->layouts.count; i++) {
        stats.finds_engine |= session->layouts.layouts[i].heap == ROOT_ENGINE;
    }
    stats.has_engine = session->has_engine;
    if (session->has_engine) {
        stats.class_count = engine->class_count;
        for (unsigned i = 0; i < engine->class_count; i++) {
            stats.sizes[i] = engine->classes[i].size;
        }
        memcpy(stats.refills, engine->refills, sizeof stats.refills);
        memcpy(stats.flushes, engine->flushes, sizeof stats.flushes);
        stats.heap_count = engine->heap_count;
        stats.heaps = engine->heap_list;
    }
    return stats;
}

static void write_all(const void *data, size_t size, size_t count) {
    if (count != 0 && fwrite(data, size, count, stdout) != count) {
        fail("cannot write the result");
    }
}

/* A hostile target may have taken over the child that wrote it. */
struct stats *stats_parse(char *text, size_t size) {
    struct stats *stats = (struct stats *)(void *)text;
    if (size < sizeof *stats) {
        return NULL;
    }
    const size_t rest = size - sizeof *stats;
    /* Each is at most the whole, so their sum does not wrap around. */
    if (stats->class_count > CLASSES_MAX || stats->heap_count > rest / sizeof *stats->heaps ||
        stats->account.arena_count > rest / sizeof *stats->account.arenas || stats->target_size > rest ||
        stats->target_size == 0 ||
        rest != stats->heap_count * sizeof *stats->heaps + stats->account.arena_count * sizeof *stats->account.arenas +
                    stats->target_size ||
        text[size - 1] != '\0') {
        return NULL;
    }
    stats->heaps = (struct engine_heap *)(void *)(text + sizeof *stats);
    stats->account.arenas =
        (struct arena_account *)(void *)(text + sizeof *stats + stats->heap_count * sizeof *stats->heaps);
    for (size_t i = 0; i < stats->account.arena_count; i++) {
        struct arena_account *arena = &stats->account.arenas[i];
        arena->name[sizeof arena->name - 1] = '\0';
    }
    stats->target = text + size - stats->target_size;
    return stats;
}

/* --- The verb ----------------------------------------------------------------------------------------------------- */

static void take_account(struct session *session, struct account *account) {
    account_take(account, &session->target, &session->layouts, session->has_engine ? &session->engine : NULL);
}

static int status_of(const struct session *session) {
    return session->target.denied == NULL && session->layouts.count != 0 ? EXIT_FINE : EXIT_TROUBLE;
}

int stats_write(struct session *session, char **target) {
    struct account account;
    take_account(session, &account);
    if (*target == NULL) {
        *target = target_text(session);
    }
    struct stats stats = stats_of(session, &account, *target);
    const struct engine_heap *heaps = stats.heaps;
    stats.account.target = NULL;
    stats.account.left = NULL;
    stats.account.arenas = NULL;
    stats.account.spaces_trouble = stats.account.hmm_trouble = NULL;
    stats.heaps = NULL;
    stats.target = NULL;
    write_all(&stats, sizeof stats, 1);
    write_all(heaps, sizeof *heaps, stats.heap_count);
    write_all(account.arenas, sizeof *account.arenas, account.arena_count);
    write_all(*target, 1, stats.target_size);
    account_free(&account);
    return status_of(session);
}

static void print_all_json(struct session *session, struct account *account) {
    char *target = target_text(session);
    const struct stats stats = stats_of(session, account, target);
    json_t *json = stats_json(&stats);
    if (session->has_engine) {
        json_object_set_new(json, "pinned", pinned_json(session, account));
    }
    print_json(json);
    free(target);
}

static void print_all(struct session *session, struct account *account) {
    print_text(session, account);
    pinned_print(session, account);
}

int verb_stats(const struct arguments *arguments) {
    struct session session;
    session_open(&session, arguments->words[0], false);
    target_read_mappings(&session.target);
    struct account account;
    take_account(&session, &account);
    (arguments->json ? print_all_json : print_all)(&session, &account);
    account_free(&account);
    const int status = status_of(&session);
    session_close(&session);
    return status;
}
