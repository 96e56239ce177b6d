/*
 * range_tree_test.c - the interval tree against an array with an owner for each address.
 */
#include "support/test.h"

#include <string.h>

#include "base/bits.h"
#include "base/range_tree.h"
#include "support/random.h"

#define SPACE 1024 /* addresses */
#define NODES 200
#define STEPS 30000
#define MANY 10000

static struct range_tree tree;
static struct range_node nodes[NODES];
static bool present[NODES];
static struct range_node *owner[SPACE];

static void assert_valid(void) {
    const char *why = NULL;
    if (!range_tree_valid(&tree, &why)) {
        fail_msg("%s", why);
    }
}

static bool model_free(uintptr_t start, uintptr_t last, const struct range_node *except) {
    for (uintptr_t address = start; address <= last; address++) {
        if (owner[address] != NULL && owner[address] != except) {
            return false;
        }
    }
    return true;
}

static void model_set(uintptr_t start, uintptr_t last, struct range_node *node) {
    for (uintptr_t address = start; address <= last; address++) {
        owner[address] = node;
    }
}

static void assert_same(void) {
    assert_valid();
    for (uintptr_t address = 0; address < SPACE; address++) {
        assert_ptr_equal(range_tree_find(&tree, address), owner[address]);
    }
    const struct range_node *node = range_tree_first(&tree);
    size_t count = 0;
    for (uintptr_t address = 0; address < SPACE; address++) {
        if (owner[address] != NULL && (address == 0 || owner[address - 1] != owner[address])) {
            assert_ptr_equal(node, owner[address]);
            node = range_tree_next(node);
            count++;
        }
    }
    assert_null(node);
    assert_int_equal(tree.count, count);
}

static void try_insert(struct random *random, size_t i) {
    uintptr_t start = random_below(random, SPACE);
    uintptr_t last = start + random_below(random, 12);
    last = last < SPACE ? last : SPACE - 1;
    bool room = model_free(start, last, NULL);
    assert_int_equal(range_tree_insert(&tree, &nodes[i], start, last), room);
    if (room) {
        model_set(start, last, &nodes[i]);
        present[i] = true;
    }
}

static void try_resize(struct random *random, struct range_node *node) {
    uintptr_t last = node->start + random_below(random, 20);
    last = last < SPACE ? last : SPACE - 1;
    bool room = model_free(node->start, last, node);
    uintptr_t before = node->last;
    assert_int_equal(range_tree_resize(&tree, node, last), room);
    if (room) {
        model_set(node->start, before, NULL);
        model_set(node->start, last, node);
    }
}

static void random_operations_agree_with_an_array(void) {
    struct random random = random_start();
    assert_same(); /* all zero is an empty tree */
    for (int step = 0; step < STEPS; step++) {
        size_t i = random_below(&random, NODES);
        if (!present[i]) {
            try_insert(&random, i);
        } else if (random_below(&random, 3) == 0) {
            try_resize(&random, &nodes[i]);
        } else {
            range_tree_remove(&tree, &nodes[i]);
            model_set(nodes[i].start, nodes[i].last, NULL);
            present[i] = false;
        }
        if (step % 8 == 0) {
            assert_same();
        }
        assert_valid();
    }
}

/* Inserted in ascending, descending and inside-out order, and removed in random order. */
static void the_tree_stays_low(void) {
    struct random random = random_start();
    static struct range_node many[MANY];
    static size_t order[MANY];
    for (int round = 0; round < 3; round++) {
        struct range_tree tall = {0};
        for (size_t i = 0; i < MANY; i++) {
            size_t middle = i % 2 == 0 ? (MANY + i) / 2 : (MANY - i) / 2;
            order[i] = round == 0 ? i : round == 1 ? MANY - 1 - i : middle;
            uintptr_t start = order[i] * 10;
            assert_true(range_tree_insert(&tall, &many[i], start, start + 9));
            /* the bound of AVL trees, 1.44 log2(n + 2) - 0.33, in hundredths and rounded up generously */
            assert_true((unsigned)tall.tree.root->height * 100 <= 144 * (floor_log2(i + 3) + 1));
        }
        const char *why = NULL;
        assert_true(range_tree_valid(&tall, &why));
        for (size_t left = MANY; left > 0; left--) {
            size_t i = random_below(&random, left);
            range_tree_remove(&tall, &many[i]);
            if (i != left - 1) { /* the last one takes the removed one's place */
                range_tree_remove(&tall, &many[left - 1]);
                assert_true(range_tree_insert(&tall, &many[i], many[left - 1].start, many[left - 1].last));
            }
            if (left % 512 == 0) {
                assert_true(range_tree_valid(&tall, &why));
            }
        }
        assert_null(tall.tree.root);
        assert_int_equal(tall.count, 0);
    }
}

static void ranges_reach_both_ends_of_the_address_space(void) {
    struct range_tree edges = {0};
    struct range_node low, high, all;
    assert_true(range_tree_insert(&edges, &low, 0, 0));
    assert_true(range_tree_insert(&edges, &high, UINTPTR_MAX - 9, UINTPTR_MAX));
    assert_false(range_tree_insert(&edges, &all, 0, UINTPTR_MAX));
    assert_ptr_equal(range_tree_find(&edges, 0), &low);
    assert_ptr_equal(range_tree_find(&edges, UINTPTR_MAX), &high);
    assert_null(range_tree_find(&edges, 1));
    assert_false(range_tree_resize(&edges, &low, UINTPTR_MAX - 9));
    assert_true(range_tree_resize(&edges, &low, UINTPTR_MAX - 10));
    range_tree_remove(&edges, &low);
    range_tree_remove(&edges, &high);
    assert_true(range_tree_insert(&edges, &all, 0, UINTPTR_MAX));
    assert_ptr_equal(range_tree_find(&edges, UINTPTR_MAX / 2), &all);
}

static void a_range_must_not_end_before_it_starts(void) {
    struct range_tree one = {0};
    struct range_node node;
    assert_false(range_tree_insert(&one, &node, 10, 9));
    assert_true(range_tree_insert(&one, &node, 10, 20));
    assert_false(range_tree_resize(&one, &node, 9));
    assert_true(range_tree_resize(&one, &node, 10));
}

static void assert_invalid(const struct range_tree *broken, const char *part) {
    const char *why = NULL;
    assert_false(range_tree_valid(broken, &why));
    assert_non_null(strstr(why, part));
}

static void floor_finds_the_last_range_that_starts_at_or_below_an_address(void) {
    struct range_tree small = {0};
    struct range_node five[5];
    assert_null(range_tree_floor(&small, 7));
    for (uintptr_t i = 0; i < 5; i++) {
        assert_true(range_tree_insert(&small, &five[i], 10 + i * 10, 14 + i * 10));
    }
    assert_null(range_tree_floor(&small, 9));
    for (uintptr_t address = 10; address < 60; address++) {
        assert_ptr_equal(range_tree_floor(&small, address), &five[address / 10 - 1]);
    }
    assert_ptr_equal(range_tree_floor(&small, UINTPTR_MAX), &five[4]);
}

static void valid_finds_what_is_wrong(void) {
    struct range_tree small = {0};
    struct range_node five[5];
    for (uintptr_t i = 0; i < 5; i++) {
        assert_true(range_tree_insert(&small, &five[i], i * 10, i * 10 + 4));
    }
    small.count = 4;
    assert_invalid(&small, "more nodes");
    small.count = 6;
    assert_invalid(&small, "fewer nodes");
    small.count = 5;
    five[2].last = 30;
    assert_invalid(&small, "overlap");
    five[2].last = 19;
    assert_invalid(&small, "ends before");
    five[2].last = 24;
    small.tree.root->height = 1;
    assert_invalid(&small, "height");
    small.tree.root->height = 3;
    struct tree_node *left = small.tree.root->left;
    small.tree.root->left = NULL;
    assert_invalid(&small, "balance");
    small.tree.root->left = left;
    small.tree.root->parent = &five[4].node;
    assert_invalid(&small, "root");
    small.tree.root->parent = NULL;
    const char *why = NULL;
    assert_true(range_tree_valid(&small, &why));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(random_operations_agree_with_an_array),
        PLAIN(the_tree_stays_low),
        PLAIN(ranges_reach_both_ends_of_the_address_space),
        PLAIN(a_range_must_not_end_before_it_starts),
        PLAIN(floor_finds_the_last_range_that_starts_at_or_below_an_address),
        PLAIN(valid_finds_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
