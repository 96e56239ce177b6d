/*
 * property_test.c - random operations against a model, on each break, with all invariants looked at after each step.
 */
#include "trial.h"

#include <errno.h>
#include <stdlib.h>

#include "model.h"
#include "unit/random.h"

#define STEPS 6000
#define BUFFER ((size_t)256 << 10)

/* What goes on while the model works. */
enum disturbance { QUIET, FOREIGN_MOVES, REFUSALS };

struct setting {
    bool buffer;      /* the break is simulated in a buffer, which is soon full */
    const char *size; /* of the address space that a break is simulated in; NULL: the real break */
    enum disturbance disturbance;
};

static void disturb(enum disturbance disturbance, struct random *random) {
    void *was;
    if (disturbance == FOREIGN_MOVES && random_below(random, 20) == 0) {
        (void)os_move_break((intptr_t)random_below(random, 10000), &was);
    } else if (disturbance == REFUSALS && random_below(random, 10) == 0) {
        os_inject(OS_CALL_SBRK, random_below(random, 3), 1 + random_below(random, 4), ENOMEM);
        os_inject(OS_CALL_MPROTECT, random_below(random, 3), 1 + random_below(random, 4), ENOMEM);
    }
}

static void step(struct model *model, struct random *random) {
    size_t i = random_below(random, MODEL_BLOCKS);
    size_t size = random_magnitude(random, 15);
    if (random_below(random, 100) == 0) {
        size = random_magnitude(random, 21);
    } else if (random_below(random, 3) != 0) {
        size %= 600;
    }
    enum model_operation operation = (enum model_operation)random_below(random, MODEL_TRIM);
    if (random_below(random, 500) == 0) {
        operation = MODEL_TRIM;
    }
    REQUIRE(model_step(model, operation, i, size, (size_t)1 << random_below(random, 13)));
}

static void work(void *argument) {
    static unsigned char buffer[BUFFER + 1];
    static struct model model;
    const struct setting *setting = argument;
    if (setting->size != NULL) {
        REQUIRE(hmm_option_set("break", "simulated") == 0 && hmm_option_set("size", setting->size) == 0);
    }
    if (setting->buffer) {
        REQUIRE(HmmUseBuffer(buffer + 1, BUFFER) == 0);
    }
    struct random random = random_start();
    for (int i = 0; i < STEPS; i++) {
        disturb(setting->disturbance, &random);
        step(&model, &random);
        REQUIRE_VALID();
        if (i % 64 == 0) {
            stats_now();
        }
    }
    os_inject_clear();
    REQUIRE(model_free_all(&model));
    hmm_trim(0);
    REQUIRE_VALID();
    struct HmmStats stats = stats_now();
    REQUIRE(stats.used_blocks == 0 && stats.cached_blocks == 0 && stats.free_blocks <= stats.regions);
    REQUIRE(stats.free_blocks == stats.regions || setting->disturbance != FOREIGN_MOVES);
    REQUIRE(setting->disturbance != FOREIGN_MOVES || stats.regions > 2);
    REQUIRE(setting->disturbance == FOREIGN_MOVES || stats.regions == 1);
    REQUIRE(!setting->buffer || stats.failures > 0);
}

static void test_real_break(void **state) {
    (void)state;
    expect_success(work, &(struct setting){.size = NULL});
}

static void test_reserved_break(void **state) {
    (void)state;
    expect_success(work, &(struct setting){.size = "64m"});
    expect_success(work, &(struct setting){.size = "128k"});
}

static void test_buffer(void **state) {
    (void)state;
    expect_success(work, &(struct setting){.buffer = true});
}

static void test_refusals(void **state) {
    (void)state;
    expect_success(work, &(struct setting){.disturbance = REFUSALS});
    expect_success(work, &(struct setting){.size = "16m", .disturbance = REFUSALS});
}

static void test_foreign_moves(void **state) {
    (void)state;
    if (!real_break_moves()) {
        skip();
    }
    expect_success(work, &(struct setting){.disturbance = FOREIGN_MOVES});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_break), cmocka_unit_test(test_reserved_break), cmocka_unit_test(test_buffer),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_foreign_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
