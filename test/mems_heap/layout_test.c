/*
 * layout_test.c - random operations on several kinds of spaces, against a model that is searched linearly.
 */
#include "support/test.h"

#include "os/os.h"
#include "support/random.h"
#include "support/thread.h"
#include "twin.h"

#define STEPS affordable(10000)
#define BLOCKS_MAX 300

static struct twin twins[5];

/* Most blocks are small; a few are larger than several pages. */
static size_t choose_size(struct random *random) {
    return (size_t)random_magnitude(random, random_below(random, 16) == 0 ? 16 : 11);
}

/* The created spaces; the last twin is the default one. */
static void begin(size_t number) {
    static const struct mems_space_options options[] = {
        {4096, 8, 0, 0}, {8192, 16, -1, 0}, {4096, 16, 1, 0}, {12288, 8, 0, 0}};
    static const size_t page_sizes[] = {4096, 8192};
    struct twin *twin = &twins[number];
    if (number < 4) {
        twin_begin(twin, space_create(&options[number]), options[number].page_size, options[number].alignment);
        return;
    }
    size_t page_size = page_sizes[twin->layout.page_size == page_sizes[0]];
    space_set_page_size(page_size);
    CHECK(space_start("mems_init") == 0);
    twin_begin(twin, &space_default, page_size, 8);
}

/* All memory goes back, from any state, and the space starts again. */
static void restart(size_t number) {
    twin_listen();
    twin_check_contents(&twins[number]);
    if (twins[number].space == &space_default) {
        space_finish("mems_finish");
    } else {
        space_destroy("mems_space_destroy", twins[number].space);
    }
    begin(number);
    twin_expect_silence();
}

/* Half of the addresses are near a segment's ends. */
static uintptr_t random_address(const struct twin *twin, struct random *random) {
    if (twin->layout.count > 0 && random_below(random, 2) == 0) {
        return twin->layout.pieces[random_below(random, twin->layout.count)].start + random_below(random, 3) - 1;
    }
    return LAYOUT_START - 100 + random_below(random, layout_end(&twin->layout) - LAYOUT_START + 200);
}

static void act_on_block(struct twin *twin, struct random *random, size_t what) {
    size_t index = layout_process(&twin->layout, random_below(random, BLOCKS_MAX));
    if (index == LAYOUT_NONE) {
        return;
    }
    size_t size = twin->layout.pieces[index].size;
    if (what < 40) {
        twin_free(twin, index);
    } else if (what < 55) {
        twin_realloc(twin, index, choose_size(random));
    } else if (what < 65) { /* a few bytes more or less: in place, if at all possible */
        twin_realloc(twin, index, size > 64 ? size - 64 + random_below(random, 128) : size + 8);
    } else {
        size_t offset = random_below(random, size);
        twin_copy(twin, index, offset, random_below(random, size - offset + 4));
    }
}

static void step(size_t number, struct random *random, bool growing) {
    struct twin *twin = &twins[number];
    size_t what = random_below(random, 100);
    if (what < (growing ? 50 : 30) && twin->layout.count < BLOCKS_MAX) {
        twin_alloc(twin, choose_size(random), what % 4 == 0);
    } else if (what < 90) {
        act_on_block(twin, random, random_below(random, 70));
    } else if (what < 94) {
        twin_trim(twin);
    } else if (what < 96) {
        twin_try_stale(twin, random_below(random, 4096));
    } else {
        twin_try_address(twin, random_address(twin, random));
    }
    if (random_below(random, 2000) == 0) {
        restart(number);
    }
}

/* Each twin grows for a while and then shrinks, so that many segments come and go. */
static void spaces_are_laid_out_as_the_model_says(void) {
    struct random random = random_start();
    for (size_t number = 0; number < 5; number++) {
        begin(number);
    }
    for (size_t i = 0; i < STEPS; i++) {
        size_t number = random_below(&random, 5);
        step(number, &random, i / 500 % 2 == 0);
        twin_compare(&twins[number]);
        if (i % 64 == 0) {
            twin_check_contents(&twins[number]);
        }
    }
    for (size_t number = 0; number < 5; number++) {
        restart(number);
    }
}

/* If mmap fails now and then, a failed operation changes nothing. */
static void failed_operations_change_nothing(void) {
    struct random random = random_start();
    begin(1);
    struct twin *twin = &twins[1];
    for (size_t i = 0; i < STEPS / 2; i++) {
        twin->refusals = random_below(&random, 3) == 0;
        if (twin->refusals) {
            os_inject(OS_CALL_MMAP, random_below(&random, 2), 3, ENOMEM);
        }
        size_t index = layout_process(&twin->layout, random_below(&random, BLOCKS_MAX));
        size_t what = random_below(&random, 10);
        if (what < 5 && twin->layout.count < BLOCKS_MAX) {
            twin_alloc(twin, choose_size(&random), what == 0);
        } else if (index != LAYOUT_NONE && what < 8) {
            twin_realloc(twin, index, choose_size(&random));
        } else if (index != LAYOUT_NONE) {
            twin_free(twin, index);
        }
        os_inject_clear();
        twin_compare(twin);
    }
    twin_check_contents(twin);
    twin_listen();
    space_destroy("mems_space_destroy", twin->space);
    twin_expect_silence();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(spaces_are_laid_out_as_the_model_says),
        PLAIN(failed_operations_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
