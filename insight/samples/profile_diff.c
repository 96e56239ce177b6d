#include "samples/profile_diff.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "samples/profile.h"
#include "support/support.h"
#include "support/text.h"

#define ROWS_MOST 20u

/* Addresses differ between runs, so a site's two sides are compared by functions, lines and offsets in modules. */
struct change {
    char *key;
    struct estimate before;
    struct estimate after;
    struct calls *calls; /* of the side that has the stack */
    const struct call_stack *stack;
};

struct changes {
    struct profile sides[2];
    struct change *changes; /* significant ones first, then by size */
    size_t count;
    size_t significant;
};

/* "module+distance;module+distance;..." */
static char *key_of(struct calls *calls, const struct call_stack *stack) {
    char *key = copy_text("");
    for (unsigned i = calls_skip_heap(calls, stack); stack != NULL && i < stack->depth; i++) {
        const struct call *call = calls_find(calls, stack->frames[i]);
        const char *path = call->has_module && call->module.path != NULL ? call->module.path : "";
        char *more = make_text("%s;%s+%lx", key, path, call->has_module ? call->address - call->module.start : 0);
        free(key);
        key = more;
    }
    return key;
}

static int by_key(const void *a, const void *b) {
    const struct change *left = a;
    const struct change *right = b;
    return strcmp(left->key, right->key);
}

static void add_side(struct changes *changes, unsigned side) {
    struct profile *profile = &changes->sides[side];
    for (size_t i = 0; i < profile->count; i++) {
        const struct site *site = &profile->sites[i];
        changes->changes = grow(changes->changes, changes->count, sizeof *changes->changes);
        struct change *change = &changes->changes[changes->count++];
        *change = (struct change){
            .key = key_of(&profile->calls, site->stack), .calls = &profile->calls, .stack = site->stack};
        *(side == 0 ? &change->before : &change->after) = site->value;
    }
}

static void merge(struct changes *changes) {
    size_t kept = 0;
    qsort(changes->changes, changes->count, sizeof *changes->changes, by_key);
    for (size_t i = 0; i < changes->count; i++) {
        struct change *change = &changes->changes[i];
        if (kept != 0 && strcmp(changes->changes[kept - 1].key, change->key) == 0) {
            estimate_add(&changes->changes[kept - 1].before, &change->before);
            estimate_add(&changes->changes[kept - 1].after, &change->after);
            free(change->key);
        } else {
            changes->changes[kept++] = *change;
        }
    }
    changes->count = kept;
}

static double bytes_changed(const struct change *change) {
    return change->after.bytes - change->before.bytes;
}

static double deviation(const struct change *change) {
    return estimate_deviation(change->before.bytes_variance + change->after.bytes_variance,
                              change->before.samples + change->after.samples);
}

/* More than two estimates of the same number would differ in 95 of 100 cases. */
static bool is_significant(const struct change *change) {
    return fabs(bytes_changed(change)) > estimate_bar(change->before.bytes_variance + change->after.bytes_variance,
                                                      change->before.samples + change->after.samples);
}

static int by_significance(const void *a, const void *b) {
    const struct change *left = a;
    const struct change *right = b;
    if (is_significant(left) != is_significant(right)) {
        return is_significant(left) ? -1 : 1;
    }
    const double more = fabs(bytes_changed(right)) - fabs(bytes_changed(left));
    return more < 0 ? -1 : more > 0;
}

static bool take(struct changes *changes, struct session *before, struct session *after) {
    *changes = (struct changes){0};
    if (!samples_any(before) || !samples_any(after)) {
        return false;
    }
    profile_take(&changes->sides[0], before, PROFILE_LIVE, GROUP_NONE, false);
    profile_take(&changes->sides[1], after, PROFILE_LIVE, GROUP_NONE, false);
    add_side(changes, 0);
    add_side(changes, 1);
    if (changes->count != 0) {
        merge(changes);
        qsort(changes->changes, changes->count, sizeof *changes->changes, by_significance);
    }
    while (changes->significant < changes->count && is_significant(&changes->changes[changes->significant])) {
        changes->significant++;
    }
    return true;
}

static void drop(struct changes *changes) {
    for (size_t i = 0; i < changes->count; i++) {
        free(changes->changes[i].key);
    }
    free(changes->changes);
    profile_free(&changes->sides[0]);
    profile_free(&changes->sides[1]);
}

void profile_diff_print(struct session *before, struct session *after) {
    struct changes changes;
    if (!take(&changes, before, after)) {
        return;
    }
    if (changes.significant == 0) {
        printf("\nno call site of live blocks has changed by more than the noise of the samples (%zu seen)\n",
               changes.count);
        drop(&changes);
        return;
    }
    printf("\n%s    before       after      change +- 95 %%     call sites of live blocks, estimated from samples%s\n",
           colour(COLOUR_BOLD), colour_off());
    for (size_t i = 0; i < changes.significant && i < ROWS_MOST; i++) {
        const struct change *change = &changes.changes[i];
        const double by = bytes_changed(change);
        printf("%10s  %10s  %c%9s +- %-10s\n", text_size((uint64_t)change->before.bytes),
               text_size((uint64_t)change->after.bytes), by < 0 ? '-' : '+', text_size((uint64_t)fabs(by)),
               text_size((uint64_t)(1.96 * deviation(change))));
        calls_print(change->calls, change->stack, 52, stdout);
    }
    if (changes.significant > ROWS_MOST) {
        printf("and %zu more\n", changes.significant - ROWS_MOST);
    }
    printf("%zu other call sites have not changed by more than the noise\n", changes.count - changes.significant);
    drop(&changes);
}

json_t *profile_diff_json(struct session *before, struct session *after) {
    struct changes changes;
    if (!take(&changes, before, after)) {
        return NULL;
    }
    json_t *sites = json_array();
    for (size_t i = 0; i < changes.significant && i < ROWS_MOST; i++) {
        const struct change *change = &changes.changes[i];
        json_array_append_new(sites,
                              json_pack("{s:f, s:f, s:f, s:f, s:o}", "before", change->before.bytes, "after",
                                        change->after.bytes, "change", bytes_changed(change), "change_stderr",
                                        deviation(change), "frames", profile_stack_json(change->calls, change->stack)));
    }
    json_t *json = json_pack("{s:o, s:I, s:I}", "sites", sites, "significant", (json_int_t)changes.significant,
                             "within_noise", (json_int_t)(changes.count - changes.significant));
    drop(&changes);
    return json;
}
