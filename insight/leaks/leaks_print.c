/* leaks_print.c - the results of `mems leaks`, as text and JSON. */
#include <stdlib.h>
#include <string.h>

#include "leaks/leak_groups.h"
#include "samples/profile.h"
#include "support/json.h"
#include "support/text.h"

/* Addresses in a line. */
#define ADDRESSES_TOLD 3u

/* Columns before a stack. */
#define STACK_INDENT 44u

/* In text, further groups are only counted. */
#define GROUPS_TOLD 40u

static const char *const kind_names[] = {
    [BLOCK_SMALL] = "slot",    [BLOCK_LARGE] = "large block", [BLOCK_HUGE] = "huge block",
    [BLOCK_HMM] = "HMM block", [BLOCK_SPACE] = "PROCESS",
};

static const char *plural(uint64_t count) {
    return count == 1 ? "" : "s";
}

static void print_hint(FILE *output, const struct leak_group *group) {
    switch (group->hint.kind) {
    case HINT_SYMBOL:
        fprintf(output, ", beginning with a pointer to %s%s%s", colour(COLOUR_BOLD), group->hint.symbol, colour_off());
        break;
    case HINT_TEXT:
        fprintf(output, ", beginning with text%s%s\"%s\"", group->count > 1 ? ", such as " : " ", "", group->hint.text);
        break;
    case HINT_ZERO:
        fprintf(output, ", all zero");
        break;
    default:
        break;
    }
}

/* Where its blocks were allocated, certainly or most likely. */
static void print_origin(struct leaks *leaks, const struct leak_group *group, FILE *output) {
    if (group->stack != NULL) {
        fprintf(output, "%42sallocated by\n", "");
        calls_print(&leaks->origins.calls, group->stack, STACK_INDENT, output);
    } else if (group->likely != NULL) {
        fprintf(output, "%42snot sampled; leaked samples that look the same were allocated by\n", "");
        calls_print(&leaks->origins.calls, group->likely, STACK_INDENT, output);
    }
}

static void print_group(const struct leaks *leaks, const struct leak_group *group, FILE *output) {
    const uint64_t now = session_now(leaks->session);
    fprintf(output, "%8lu %10s %8lu %10s  ", group->count, text_size(group->bytes), group->below_count,
            text_size(group->below_bytes));
    fprintf(output, "%s%s of %lu bytes%s", kind_names[group->kind], plural(group->count), group->size,
            group->count > 1 ? " each" : "");
    if (group->cycles != 0 && group->count == 1) {
        fprintf(output, ", part of a cycle");
    } else if (group->cycles != 0) {
        fprintf(output, ", %lu part%s of cycles", group->cycles, plural(group->cycles));
    }
    print_hint(output, group);
    fprintf(output, "\n%41s", "");
    for (size_t i = 0; i < group->count && i < ADDRESSES_TOLD; i++) {
        fprintf(output, " %#lx", group->addresses[i]);
    }
    fprintf(output, "%s", group->count > ADDRESSES_TOLD ? " ..." : "");
    if (now != 0 && group->oldest_s != 0 && group->oldest_s <= now) {
        const char *ages = text_ages(now - group->youngest_s, now - group->oldest_s);
        fprintf(output, group->stack != NULL ? "; allocated %s ago" : "; in slabs %s old", ages);
    }
    fputc('\n', output);
}

static void print_groups(struct leaks *leaks, FILE *output) {
    struct leak_groups groups;
    leak_groups_make(&groups, leaks);
    fprintf(output, "%s  blocks      bytes    below      bytes%s\n", colour(COLOUR_BOLD), colour_off());
    for (size_t i = 0; i < groups.count && i < GROUPS_TOLD; i++) {
        print_group(leaks, &groups.groups[i], output);
        print_origin(leaks, &groups.groups[i], output);
    }
    if (groups.count > GROUPS_TOLD) {
        fprintf(output, "and %lu more groups\n", groups.count - GROUPS_TOLD);
    }
    leak_groups_free(&groups);
}

void leaks_print(struct leaks *leaks, FILE *output) {
    const struct leaked *leaked = &leaks->leaked;
    char *title = session_title(leaks->session);
    fprintf(output, "%s%s%s: %lu live block%s, %s", colour(COLOUR_BOLD), title, colour_off(), leaks->blocks.live_count,
            plural(leaks->blocks.live_count), text_size(leaks->blocks.live_bytes));
    if (leaks->capture.pause > 0) {
        fprintf(output, "; the process was stopped for %.1f ms", leaks->capture.pause * 1000);
    }
    fputc('\n', output);
    free(title);
    if (leaks->capture.held != NULL) {
        fprintf(output, "a thread holds a lock (%.*s): a block that it is changing may look leaked\n",
                (int)strcspn(leaks->capture.held, "."), leaks->capture.held);
    }
    if (leaked->count == 0) {
        fprintf(output, "%sno leaks%s\n", colour(COLOUR_GREEN), colour_off());
    } else {
        fprintf(output, "%s%lu leak%s%s, %s; below them %lu block%s, %s\n\n", colour(COLOUR_RED), leaked->count,
                plural(leaked->count), colour_off(), text_size(leaked->bytes), leaked->below_count,
                plural(leaked->below_count), text_size(leaked->below_bytes));
        print_groups(leaks, output);
    }
    if (leaks->suppressed_count != 0) {
        fprintf(output, "suppressed: %lu block%s, %s\n", leaks->suppressed_count, plural(leaks->suppressed_count),
                text_size(leaks->suppressed_bytes));
    }
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

static json_t *group_json(struct leaks *leaks, const struct leak_group *group) {
    const uint64_t now = session_now(leaks->session);
    json_t *addresses = json_array();
    for (size_t i = 0; i < group->count && i < GROUP_ADDRESSES; i++) {
        json_array_append_new(addresses, json_integer((json_int_t)group->addresses[i]));
    }
    json_t *json =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "kind", kind_names[group->kind], "size",
                  (json_int_t)group->size, "blocks", (json_int_t)group->count, "bytes", (json_int_t)group->bytes,
                  "below_blocks", (json_int_t)group->below_count, "below_bytes", (json_int_t)group->below_bytes,
                  "cycles", (json_int_t)group->cycles, "addresses", addresses);
    if (group->hint.kind == HINT_SYMBOL) {
        json_object_set_new(json, "symbol", json_text(group->hint.symbol));
    } else if (group->hint.kind == HINT_TEXT) {
        json_object_set_new(json, "text", json_text(group->hint.text));
    } else if (group->hint.kind == HINT_ZERO) {
        json_object_set_new(json, "zero", json_true());
    }
    if (now != 0 && group->oldest_s != 0 && group->oldest_s <= now) {
        json_object_set_new(json, "youngest_s", json_integer((json_int_t)(now - group->youngest_s)));
        json_object_set_new(json, "oldest_s", json_integer((json_int_t)(now - group->oldest_s)));
    }
    if (group->stack != NULL) {
        json_object_set_new(json, "frames", profile_stack_json(&leaks->origins.calls, group->stack));
    } else if (group->likely != NULL) {
        json_object_set_new(json, "likely_frames", profile_stack_json(&leaks->origins.calls, group->likely));
    }
    return json;
}

static json_t *suppressed_json(const struct leaks *leaks) {
    json_t *rules = json_array();
    for (size_t i = 0; i < leaks->rules.count; i++) {
        const struct rule *rule = &leaks->rules.rules[i];
        if (rule->count != 0) {
            json_array_append_new(rules, json_pack("{s:o, s:o, s:I, s:I}", "file", json_text(rule->file), "pattern",
                                                   json_text(rule->pattern), "blocks", (json_int_t)rule->count, "bytes",
                                                   (json_int_t)rule->bytes));
        }
    }
    return json_pack("{s:I, s:I, s:o}", "blocks", (json_int_t)leaks->suppressed_count, "bytes",
                     (json_int_t)leaks->suppressed_bytes, "rules", rules);
}

json_t *leaks_json(struct leaks *leaks) {
    struct leak_groups groups;
    json_t *list = json_array();
    leak_groups_make(&groups, leaks);
    for (size_t i = 0; i < groups.count; i++) {
        json_array_append_new(list, group_json(leaks, &groups.groups[i]));
    }
    leak_groups_free(&groups);
    return json_pack("{s:o, s:f, s:s?, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "target", session_json(leaks->session),
                     "pause_ms", leaks->capture.pause * 1000, "lock_held", leaks->capture.held, "live_blocks",
                     (json_int_t)leaks->blocks.live_count, "live_bytes", (json_int_t)leaks->blocks.live_bytes, "leaks",
                     (json_int_t)leaks->leaked.count, "leaked_bytes", (json_int_t)leaks->leaked.bytes, "below_blocks",
                     (json_int_t)leaks->leaked.below_count, "below_bytes", (json_int_t)leaks->leaked.below_bytes,
                     "groups", list, "suppressed", suppressed_json(leaks));
}
