/* diff.c - `mems diff`: changes between two moments, each a process, a core or a saved heap. */
#include <inttypes.h>
#include <stdlib.h>

#include "account/account.h"
#include "samples/profile_diff.h"
#include "support/json.h"
#include "support/support.h"
#include "support/text.h"
#include "verbs.h"
#include "walk/session.h"

struct side {
    struct session session;
    struct account account;
};

static void take_side(struct side *side, const char *name) {
    struct session *session = &side->session;
    session_open(session, name, true);
    target_read_mappings(&session->target);
    account_take(&side->account, &session->target, &session->layouts, session->has_engine ? &session->engine : NULL);
}

static void drop_side(struct side *side) {
    account_free(&side->account);
    session_close(&side->session);
}

/* Libraries of other versions may have other classes, so they are matched by size. */
static bool is_like(const struct engine *engine, unsigned size_class, const struct engine *other,
                    unsigned other_class) {
    const bool is_last = size_class + 1 == engine->class_count; /* for blocks of 0 bytes, with the size of the first */
    return engine->classes[size_class].size == other->classes[other_class].size &&
           is_last == (other_class + 1 == other->class_count);
}

/* One side's class that is like the other side's, or NULL. */
static const struct class_account *class_of(const struct side *side, const struct side *other, unsigned other_class) {
    const struct engine *engine = &side->session.engine;
    for (unsigned size_class = 0; side->session.has_engine && size_class < engine->class_count; size_class++) {
        if (is_like(engine, size_class, &other->session.engine, other_class)) {
            return &side->account.classes[size_class];
        }
    }
    return NULL;
}

static uint64_t live_of(const struct class_account *size_class) {
    return size_class != NULL ? size_class->slots[STATE_LIVE] : 0;
}

static uint64_t resident_of(const struct class_account *size_class) {
    return size_class != NULL ? size_class->resident : 0;
}

/* "+1.2 MiB", right-aligned. */
static void print_change(int64_t change) {
    char *text = make_text("%c%s", change < 0 ? '-' : '+', text_size((uint64_t)llabs(change)));
    printf("%s%12s%s", change > 0 ? colour(COLOUR_RED) : change < 0 ? colour(COLOUR_GREEN) : "", text, colour_off());
    free(text);
}

static void print_rows(const struct side *a, const struct side *b) {
    printf("%s    before       after      change  resident%s\n", colour(COLOUR_BOLD), colour_off());
    for (unsigned row = 0; row < ROWS; row++) {
        int64_t before = a->account.rows[row].resident;
        int64_t after = b->account.rows[row].resident;
        if (before != after) {
            printf("%10s  %10s", text_size((uint64_t)llabs(before)), text_size((uint64_t)llabs(after)));
            print_change(after - before);
            printf("  %-12s %s%s%s\n", row_texts[row].name, colour(COLOUR_GREY), row_texts[row].what, colour_off());
        }
    }
    printf("%10s  %10s", text_size(a->account.rss), text_size(b->account.rss));
    print_change((int64_t)(b->account.rss - a->account.rss));
    printf("  all\n");
}

static bool class_changed(const struct class_account *before, const struct class_account *after) {
    return live_of(before) != live_of(after) || resident_of(before) != resident_of(after);
}

static void print_blocks(const char *kind, uint64_t before, uint64_t after) {
    if (before != after) {
        printf("%8s  %12" PRIu64 "  %12" PRIu64 "  %+12" PRId64 "\n", kind, before, after, (int64_t)(after - before));
    }
}

static void print_classes(const struct side *a, const struct side *b) {
    printf("\n%s    size   live before         after        change      resident%s\n", colour(COLOUR_BOLD),
           colour_off());
    for (unsigned size_class = 0; b->session.has_engine && size_class < b->session.engine.class_count; size_class++) {
        uint64_t size = b->session.engine.classes[size_class].size;
        const struct class_account *before = class_of(a, b, size_class);
        const struct class_account *after = &b->account.classes[size_class];
        if (class_changed(before, after)) {
            printf("%8" PRIu64 "  %12" PRIu64 "  %12" PRIu64 "  %+12" PRId64 "  ", size, live_of(before),
                   live_of(after), (int64_t)(live_of(after) - live_of(before)));
            print_change((int64_t)(resident_of(after) - resident_of(before)));
            putchar('\n');
        }
    }
    print_blocks("large", a->account.large_blocks, b->account.large_blocks);
    print_blocks("huge", a->account.huge_blocks, b->account.huge_blocks);
}

static json_t *pair_json(const char *key, const char *name, int64_t before, int64_t after) {
    return json_pack("{s:s, s:I, s:I, s:I}", key, name, "before", (json_int_t)before, "after", (json_int_t)after,
                     "change", (json_int_t)(after - before));
}

static json_t *diff_json(const struct side *a, const struct side *b) {
    json_t *rows = json_array();
    json_t *classes = json_array();
    for (unsigned row = 0; row < ROWS; row++) {
        json_array_append_new(
            rows, pair_json("name", row_texts[row].name, a->account.rows[row].resident, b->account.rows[row].resident));
    }
    for (unsigned size_class = 0; b->session.has_engine && size_class < b->session.engine.class_count; size_class++) {
        uint64_t size = b->session.engine.classes[size_class].size;
        const struct class_account *before = class_of(a, b, size_class);
        const struct class_account *after = &b->account.classes[size_class];
        if (class_changed(before, after)) {
            json_array_append_new(classes,
                                  json_pack("{s:I, s:I, s:I, s:I, s:I}", "size", (json_int_t)size, "live_before",
                                            (json_int_t)live_of(before), "live_after", (json_int_t)live_of(after),
                                            "resident_before", (json_int_t)resident_of(before), "resident_after",
                                            (json_int_t)resident_of(after)));
        }
    }
    return json_pack("{s:o, s:o, s:I, s:I, s:o, s:o}", "a", session_json(&a->session), "b", session_json(&b->session),
                     "rss_before", (json_int_t)a->account.rss, "rss_after", (json_int_t)b->account.rss, "rows", rows,
                     "classes", classes);
}

int verb_diff(const struct arguments *arguments) {
    struct side *a = make_zeroed(1, sizeof *a);
    struct side *b = make_zeroed(1, sizeof *b);
    take_side(a, arguments->words[0]);
    take_side(b, arguments->words[1]);
    if (arguments->json) {
        json_t *json = diff_json(a, b);
        json_t *sites = profile_diff_json(&a->session, &b->session);
        if (sites != NULL) {
            json_object_set_new(json, "profile", sites);
        }
        print_json(json);
    } else {
        char *before = session_title(&a->session);
        char *after = session_title(&b->session);
        printf("%s, and then %s\n\n", before, after);
        free(before);
        free(after);
        print_rows(a, b);
        print_classes(a, b);
        profile_diff_print(&a->session, &b->session);
    }
    drop_side(a);
    drop_side(b);
    free(a);
    free(b);
    return EXIT_FINE;
}
