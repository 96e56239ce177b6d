/* profile_text.c - a profile as text: flat, as a tree from either end, and lifetimes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "samples/profile.h"
#include "support/sorted.h"
#include "support/support.h"
#include "support/text.h"

/* Per level of a tree, up to a maximum. */
#define INDENT 2u
#define INDENT_MAX 60u

/* --- Nodes -------------------------------------------------------------------------------------------------------- */

/* In the tree, or a row of the table. */
struct node {
    char *name;
    struct estimate whole; /* of all stacks that go through it */
    struct estimate self;  /* of those that end in it */
    size_t last_site;      /* counted in `whole`, from 1: a function that calls itself counts once */
    struct node *children;
    size_t child_count;
};

static struct node *child_of(struct node *node, const char *name) {
    for (size_t i = 0; i < node->child_count; i++) {
        if (strcmp(node->children[i].name, name) == 0) {
            return &node->children[i];
        }
    }
    node->children = grow(node->children, node->child_count, sizeof *node->children);
    struct node *child = &node->children[node->child_count++];
    *child = (struct node){.name = copy_text(name)};
    return child;
}

static void free_nodes(struct node *node) {
    for (size_t i = 0; i < node->child_count; i++) {
        free_nodes(&node->children[i]);
    }
    free(node->children);
    free(node->name);
}

static int by_whole(const void *a, const void *b) {
    const struct node *left = a;
    const struct node *right = b;
    return left->whole.bytes > right->whole.bytes   ? -1
           : left->whole.bytes < right->whole.bytes ? 1
                                                    : strcmp(left->name, right->name);
}

static void sort_nodes(struct node *node) {
    sort_by(node->children, node->child_count, sizeof *node->children, by_whole);
    for (size_t i = 0; i < node->child_count; i++) {
        sort_nodes(&node->children[i]);
    }
}

/* The names of a site's places, innermost first; the caller frees them. */
static char **names_of(struct profile *profile, const struct site *site, size_t *count) {
    struct stack_place *places = calls_places(&profile->calls, site->stack, count);
    char **names = make((*count + 1) * sizeof *names);
    for (size_t i = 0; i < *count; i++) {
        names[i] = place_text(places[i].code);
    }
    if (*count == 0) {
        names[(*count)++] = copy_text("(no stack is known)");
    }
    free(places);
    return names;
}

static void free_names(char **names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
}

/* --- Rows --------------------------------------------------------------------------------------------------------- */

static void print_estimate(const struct profile *profile, const struct estimate *value) {
    const double share = profile->total.bytes > 0 ? 100 * value->bytes / profile->total.bytes : 0;
    printf("%10s +- %-10s %10.0f +- %-8.0f %5.1f %%  ", text_size((uint64_t)value->bytes),
           text_size((uint64_t)estimate_bar(value->bytes_variance, value->samples)), value->blocks,
           estimate_bar(value->blocks_variance, value->samples), share);
}

static void print_heading(const char *last) {
    printf("%s     bytes                   blocks                  %%  %s%s\n", colour(COLOUR_BOLD), last,
           colour_off());
}

/* How many rows are still to be printed. */
struct rows {
    size_t left;
    struct estimate other;
    size_t others;
};

static bool take_row(struct rows *rows) {
    if (rows->left == 0) {
        return false;
    }
    rows->left--;
    return true;
}

static void leave_out(struct rows *rows, const struct estimate *value) {
    estimate_add(&rows->other, value);
    rows->others++;
}

static void print_other(const struct profile *profile, const struct rows *rows) {
    if (rows->others != 0) {
        print_estimate(profile, &rows->other);
        printf("other: %zu more; --rows=0 shows all\n", rows->others);
    }
}

static struct rows rows_of(const struct profile *profile) {
    return (struct rows){.left = profile->most != 0 ? profile->most : SIZE_MAX};
}

/* --- The tree ----------------------------------------------------------------------------------------------------- */

static void add_to_tree(struct profile *profile, struct node *root, const struct site *site, bool inverted) {
    size_t count;
    char **names = names_of(profile, site, &count);
    char *group = profile_group_name(profile, site);
    struct node *node = root;
    if (group != NULL) {
        node = child_of(node, group);
        estimate_add(&node->whole, &site->value);
    }
    for (size_t i = 0; i < count; i++) {
        node = child_of(node, names[inverted ? i : count - 1 - i]);
        estimate_add(&node->whole, &site->value);
    }
    free(group);
    free_names(names, count);
}

/* A chain without branches stays at one level. */
static void print_node(const struct profile *profile, const struct node *node, unsigned indent, struct rows *rows) {
    const unsigned deeper = node->child_count > 1 && indent < INDENT_MAX ? indent + INDENT : indent;
    for (size_t i = 0; i < node->child_count; i++) {
        const struct node *child = &node->children[i];
        if (!take_row(rows)) {
            leave_out(rows, &child->whole);
            continue;
        }
        print_estimate(profile, &child->whole);
        printf("%*s%s\n", (int)deeper, "", child->name);
        print_node(profile, child, deeper, rows);
    }
}

void profile_tree(struct profile *profile, bool inverted) {
    struct node root = {.name = copy_text("")};
    for (size_t i = 0; i < profile->count; i++) {
        add_to_tree(profile, &root, &profile->sites[i], inverted);
    }
    sort_nodes(&root);
    struct rows rows = rows_of(profile);
    print_heading(inverted ? "what allocates, and below it its callers" : "callers, and below them what they call");
    print_node(profile, &root, 0, &rows);
    print_other(profile, &rows);
    free_nodes(&root);
}

/* --- The table ---------------------------------------------------------------------------------------------------- */

static int by_self(const void *a, const void *b) {
    const struct node *left = a;
    const struct node *right = b;
    return left->self.bytes > right->self.bytes ? -1 : left->self.bytes < right->self.bytes ? 1 : by_whole(a, b);
}

static void add_to_table(struct profile *profile, struct node *root, size_t number) {
    const struct site *site = &profile->sites[number];
    size_t count;
    char **names = names_of(profile, site, &count);
    char *group = profile_group_name(profile, site);
    for (size_t i = 0; i < count; i++) {
        char *name = group != NULL ? make_text("%s: %s", group, names[i]) : copy_text(names[i]);
        struct node *node = child_of(root, name);
        free(name);
        if (node->last_site != number + 1) {
            node->last_site = number + 1;
            estimate_add(&node->whole, &site->value);
        }
        if (i == 0) {
            estimate_add(&node->self, &site->value);
        }
    }
    free(group);
    free_names(names, count);
}

void profile_flat(struct profile *profile) {
    struct node root = {.name = copy_text("")};
    for (size_t i = 0; i < profile->count; i++) {
        add_to_table(profile, &root, i);
    }
    sort_by(root.children, root.child_count, sizeof *root.children, by_self);
    struct rows rows = rows_of(profile);
    print_heading("with callees  what allocates");
    for (size_t i = 0; i < root.child_count; i++) {
        const struct node *node = &root.children[i];
        if (node->self.samples == 0) {
            break; /* functions that only call others: --tree and --inverted show them */
        }
        if (!take_row(&rows)) {
            leave_out(&rows, &node->self);
            continue;
        }
        print_estimate(profile, &node->self);
        printf("%12s  %s\n", text_size((uint64_t)node->whole.bytes), node->name);
    }
    print_other(profile, &rows);
    free_nodes(&root);
}

/* --- Lifetimes ---------------------------------------------------------------------------------------------------- */

/* "1 ms", "4 min": 4^life milliseconds. */
static void print_life(unsigned life) {
    const uint64_t ms = UINT64_C(1) << 2 * life;
    if (ms < 1000) {
        printf("%lu ms", ms);
    } else {
        printf("%s", text_age(ms / 1000));
    }
}

/* The lifetime that half of the blocks reach, by the product-limit estimate: a live block counts up to its age, and
 * says nothing about later ages. LIVES: more than half have reached the last. */
static unsigned median_life(const struct site *site) {
    double at_risk = 0;
    double surviving = 1;
    for (unsigned life = 0; life < LIVES; life++) {
        at_risk += site->lives[life] + site->ages[life];
    }
    for (unsigned life = 0; life < LIVES && at_risk > 0; life++) {
        const double exposed =
            at_risk - site->ages[life] / 2; /* living ones of this class have passed half of it on average */
        surviving *= exposed > 0 ? 1 - site->lives[life] / larger_double(exposed, site->lives[life]) : 1;
        if (surviving < 0.5) {
            return life;
        }
        at_risk -= site->lives[life] + site->ages[life];
    }
    return LIVES;
}

static void print_median(unsigned median) {
    if (median == LIVES) {
        printf("longer than seen");
    } else if (median == 0) {
        printf("less than 1 ms");
    } else {
        print_life(median - 1);
        printf(" to ");
        print_life(median);
    }
}

void profile_lifetimes(struct profile *profile) {
    struct rows rows = rows_of(profile);
    printf("%s     bytes                   blocks                  %%       living  half of them live  stack%s\n",
           colour(COLOUR_BOLD), colour_off());
    for (size_t i = 0; i < profile->count; i++) {
        const struct site *site = &profile->sites[i];
        if (!take_row(&rows)) {
            leave_out(&rows, &site->value);
            continue;
        }
        print_estimate(profile, &site->value);
        printf("%10.0f  ", larger_double(site->allocated.blocks - site->freed.blocks, 0));
        print_median(median_life(site));
        char *group = profile_group_name(profile, site);
        printf("%s%s\n", group != NULL ? "  " : "", group != NULL ? group : "");
        free(group);
        calls_print(&profile->calls, site->stack, 60, stdout);
    }
    print_other(profile, &rows);
}
