#include "leaks/leak_groups.h"

#include <stdlib.h>
#include <string.h>

#include "support/sorted.h"
#include "support/support.h"

/* So many groups are compared with sampled ones. */
#define GROUPS_INFERRED 1000u

/* A leak on its way into a group. */
struct member {
    const struct leak *leak;
    struct hint hint;
    const struct sample *sample; /* NULL: it is none */
};

static const struct call_stack *stack_of(const struct member *member) {
    return member->sample != NULL ? member->sample->allocated.calls : NULL;
}

static int compare(uint64_t a, uint64_t b) {
    return a < b ? -1 : a > b;
}

/* By common properties, then by address, so the order is deterministic. */
static int by_likeness(const void *a, const void *b) {
    const struct member *left = a;
    const struct member *right = b;
    int order = compare(left->leak->kind, right->leak->kind);
    order = order != 0 ? order : compare(left->leak->block.size, right->leak->block.size);
    order = order != 0 ? order : compare(left->hint.kind, right->hint.kind);
    if (order == 0 && left->hint.kind == HINT_SYMBOL) {
        order = strcmp(left->hint.symbol, right->hint.symbol);
    }
    order = order != 0 ? order : compare((uintptr_t)stack_of(left), (uintptr_t)stack_of(right));
    return order != 0 ? order : compare(left->leak->block.start, right->leak->block.start);
}

static bool fits(const struct leak_group *group, const struct member *member) {
    return group->kind == member->leak->kind && group->size == member->leak->block.size &&
           group->hint.kind == member->hint.kind && group->stack == stack_of(member) &&
           (member->hint.kind != HINT_SYMBOL || strcmp(group->hint.symbol, member->hint.symbol) == 0);
}

static void add_member(struct leak_group *group, const struct member *member) {
    const struct leak *leak = member->leak;
    if (group->count < GROUP_ADDRESSES) {
        group->addresses[group->count] = leak->block.start;
    }
    group->count++;
    group->bytes += leak->block.size;
    group->below_count += leak->below_count;
    group->below_bytes += leak->below_bytes;
    group->cycles += leak->is_cycle;
    const uint64_t born_s = member->sample != NULL ? member->sample->allocated.ms / 1000 : leak->born_s;
    if (born_s != 0) {
        group->youngest_s = larger(group->youngest_s, born_s);
        group->oldest_s = group->oldest_s == 0 ? born_s : smaller(group->oldest_s, born_s);
    }
}

static int by_weight(const void *a, const void *b) {
    const struct leak_group *left = a;
    const struct leak_group *right = b;
    int order = compare(right->bytes + right->below_bytes, left->bytes + left->below_bytes);
    order = order != 0 ? order : compare(right->count, left->count);
    return order != 0 ? order : compare(left->addresses[0], right->addresses[0]);
}

static bool look_alike(const struct leaks *leaks, const struct leak_group *group, const struct leak_group *sampled) {
    return group->kind == sampled->kind && group->hint.kind == sampled->hint.kind &&
           (group->hint.kind != HINT_SYMBOL || strcmp(group->hint.symbol, sampled->hint.symbol) == 0) &&
           group->size == engine_class_size(&leaks->session->engine, sampled->size, sampled->size);
}

/* Groups without a stack get that of most blocks that look the same, because samples represent others. The groups with
 * the most bytes come first, so only the first few matter. */
static void infer_stacks(const struct leaks *leaks, struct leak_groups *groups) {
    for (size_t i = 0; i < groups->count && i < GROUPS_INFERRED; i++) {
        struct leak_group *group = &groups->groups[i];
        uint64_t most = 0;
        for (size_t j = 0; j < groups->count && group->stack == NULL; j++) {
            const struct leak_group *sampled = &groups->groups[j];
            if (sampled->stack != NULL && sampled->count > most && look_alike(leaks, group, sampled)) {
                most = sampled->count;
                group->likely = sampled->stack;
            }
        }
    }
}

static struct member *find_members(struct leaks *leaks) {
    const struct leaked *leaked = &leaks->leaked;
    struct member *members = make(leaked->count * sizeof *members);
    for (size_t i = 0; i < leaked->count; i++) {
        const struct leak *leak = &leaked->leaks[i];
        members[i] =
            (struct member){leak, hint_of(&leaks->hints, &leak->block), origins_of(&leaks->origins, leak->block.start)};
    }
    sort_by(members, leaked->count, sizeof *members, by_likeness);
    return members;
}

void leak_groups_make(struct leak_groups *groups, struct leaks *leaks) {
    struct member *members = find_members(leaks);
    *groups = (struct leak_groups){0};
    for (size_t i = 0; i < leaks->leaked.count; i++) {
        const struct leak *leak = members[i].leak;
        if (groups->count == 0 || !fits(&groups->groups[groups->count - 1], &members[i])) {
            groups->groups = grow(groups->groups, groups->count, sizeof *groups->groups);
            groups->groups[groups->count++] = (struct leak_group){
                .kind = leak->kind, .size = leak->block.size, .hint = members[i].hint, .stack = stack_of(&members[i])};
        }
        add_member(&groups->groups[groups->count - 1], &members[i]);
    }
    sort_by(groups->groups, groups->count, sizeof *groups->groups, by_weight);
    infer_stacks(leaks, groups);
    free(members);
}

void leak_groups_free(struct leak_groups *groups) {
    free(groups->groups);
}
