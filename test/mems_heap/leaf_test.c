/*
 * leaf_test.c - handles of many blocks in one frame: translated without the lock, and refused once they are stale.
 */
#include "support/test.h"

#include <string.h>

#include "mems_heap/complaint.h"
#include "mems_heap/dict.h"
#include "mems_heap/space.h"
#include "support/random.h"
#include "support/thread.h"
#include "valid/space_valid.h"

#define BLOCKS 1000
#define ROUNDS 10
/* Between the addresses of a block that are tried. */
#define STRIDE (SLOW > 1 ? 17u : 3u)

static struct mems_space *space;
static char *handles[BLOCKS];
static char *stale[BLOCKS];
static size_t sizes[BLOCKS];

static size_t silent_errors;

static void count_error(const struct mems_error *error, void *context) {
    (void)error, (void)context;
    silent_errors++;
}

/* Each address of each block leads, without the lock, where the lock leads; and no freed block's does. */
static void check_handles(void) {
    const char *why = "";
    if (!space_valid(space, &why)) {
        fail_msg("%s", why);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if (handles[i] != NULL) {
            char *start = space_pin("test", space, handles[i]);
            space_unpin("test", space, handles[i]);
            for (size_t at = 0; at < sizes[i]; at += at + STRIDE < sizes[i] ? STRIDE : 1) {
                assert_ptr_equal(dict_translate(&space->dict, (uintptr_t)(handles[i] + at)), start + at);
            }
        }
        if (stale[i] != NULL) {
            assert_null(dict_translate(&space->dict, (uintptr_t)stale[i]));
        }
    }
}

/* Without generations, any address is translated without the lock as with it, also those that no block has. */
static void check_addresses(void) {
    for (uintptr_t v_address = MAIN_CHAIN_START; v_address < space->chain.next; v_address += GRANULE / 2) {
        const struct sub_node *node = dict_search(&space->dict, v_address);
        assert_ptr_equal(dict_translate(&space->dict, v_address),
                         node != NULL ? node->physical + (v_address - node->start) : NULL);
    }
}

/* How many frames have more blocks than a short leaf has room for. */
static size_t full_leaves(void) {
    size_t full = 0;
    for (unsigned kind = LEAF_SHORT_KINDS; kind < LEAF_KINDS; kind++) {
        full += space->dict.leaves[kind].used;
    }
    return full;
}

/* Sizes around `size`: allocates, frees, resizes. */
static void change_some(struct random *random, size_t size) {
    for (size_t n = 0; n < BLOCKS / 2; n++) {
        size_t i = random_below(random, BLOCKS);
        if (handles[i] == NULL) {
            sizes[i] = 1 + random_below(random, 2 * size);
            handles[i] = space_alloc("test", space, sizes[i]);
        } else if (random_below(random, 3) == 0) {
            size_t changed = 1 + random_below(random, 2 * size);
            char *moved = space_realloc("test", space, handles[i], changed);
            stale[i] = moved != handles[i] ? handles[i] : stale[i];
            handles[i] = moved;
            sizes[i] = changed;
        } else {
            space_free("test", space, handles[i]);
            stale[i] = handles[i];
            handles[i] = NULL;
        }
    }
}

static void run(int generations, unsigned movable) {
    static const size_t around[] = {4, 12, 40, 90, 300, 1500};
    struct random random = random_start();
    space = space_create(&(struct mems_space_options){.generations = generations, .movable = movable});
    for (size_t n = 0; n < sizeof around / sizeof *around; n++) {
        for (size_t round = 0; round < ROUNDS; round++) {
            change_some(&random, around[n]);
            if (generations < 0) {
                memset(stale, 0, sizeof stale); /* cannot be told from others at the same address */
            }
            check_handles();
        }
        if (generations < 0) {
            check_addresses();
        }
        /* Each has a shortcut, where they help. */
        assert_int_equal(space->dict.leaves[DICT_MAPS].used, movable == 0 ? full_leaves() : 0);
        for (size_t i = 0; i < BLOCKS; i++) {
            space_free("test", space, handles[i]);
            handles[i] = NULL;
        }
    }
    memset(stale, 0, sizeof stale);
    space_destroy("test", space);
}

static void with_generations(void) {
    run(1, 0);
}

static void without_generations(void) {
    run(-1, 0);
}

static void in_a_movable_space(void) {
    run(1, MEMS_MOVABLE);
    run(-1, MEMS_MOVABLE);
}

/* A handle of a space without generations has nothing above its address. */
static void bits_above_an_address_are_refused(void) {
    space = space_create(&(struct mems_space_options){.generations = -1});
    char *blocks[40];
    for (size_t i = 0; i < 40; i++) {
        blocks[i] = space_alloc("test", space, 24);
    }
    complaint_set_handler(count_error, NULL);
    for (unsigned bit = DICT_ADDRESS_BITS; bit < 64; bit++) {
        assert_null(space_get("test", space, (char *)((uintptr_t)blocks[20] | (uintptr_t)1 << bit)));
    }
    assert_int_equal(silent_errors, 64 - DICT_ADDRESS_BITS);
    complaint_set_handler(NULL, NULL);
    space_destroy("test", space);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(with_generations),
        PLAIN(without_generations),
        PLAIN(in_a_movable_space),
        PLAIN(bits_above_an_address_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
