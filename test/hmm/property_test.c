/*
 * property_test.c - random operations against a model, on each break, with all invariants checked after each step.
 */
#include "support/fresh.h"

#include <errno.h>

#include "support/hmm_heap.h"
#include "support/model.h"
#include "support/thread.h"

#define STEPS (SLOW > 1 ? 1200u : 6000u) /* enough to fill the buffer */
#define BUFFER ((size_t)256 << 10)

/* Events while the model works. */
enum disturbance { QUIET, FOREIGN_MOVES, REFUSALS };

static void disturb(enum disturbance disturbance) {
    struct random *random = &fresh_random;
    void *was;
    if (disturbance == FOREIGN_MOVES && random_below(random, 20) == 0) {
        (void)os_move_break((intptr_t)random_below(random, 10000), &was);
    } else if (disturbance == REFUSALS && random_below(random, 10) == 0) {
        os_inject(OS_CALL_BRK, random_below(random, 3), 1 + random_below(random, 4), ENOMEM);
        os_inject(OS_CALL_MPROTECT, random_below(random, 3), 1 + random_below(random, 4), ENOMEM);
    }
}

static void step(struct model *model) {
    struct random *random = &fresh_random;
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
    model_step(model, operation, i, size, (size_t)1 << random_below(random, 13));
}

static void work(enum disturbance disturbance) {
    static struct model model = {.allocator = &allocator, .refusals = true};
    for (unsigned i = 0; i < STEPS; i++) {
        disturb(disturbance);
        step(&model);
        CHECK_VALID();
        if (i % 64 == 0) {
            stats_now();
        }
    }
    os_inject_clear();
    model_free_all(&model);
    hmm_trim(&hmm_heap, 0);
    CHECK_VALID();
    struct HmmStats stats = stats_now();
    CHECK(stats.used_blocks == 0 && stats.cached_blocks == 0 && stats.free_blocks <= stats.regions);
    CHECK(stats.free_blocks == stats.regions || disturbance != FOREIGN_MOVES);
    CHECK(disturbance != FOREIGN_MOVES || stats.regions > 2);
    CHECK(disturbance != QUIET || stats.regions == 1);
}

static void random_operations_keep_every_promise(void) {
    work(QUIET);
}

static void a_buffer_that_is_soon_full_keeps_every_promise(void) {
    static unsigned char buffer[BUFFER + 1];
    CHECK(HmmUseBuffer(buffer + 1, BUFFER) == 0);
    work(QUIET);
    CHECK(stats_now().failures > 0);
}

static void every_promise_is_kept_while_the_system_refuses(void) {
    work(REFUSALS);
}

static void every_promise_is_kept_while_others_move_the_break(void) {
    if (!real_break_moves()) {
        child_cannot();
    }
    work(FOREIGN_MOVES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(random_operations_keep_every_promise),
        FRESH_WITH(random_operations_keep_every_promise, "break=simulated,size=64m"),
        FRESH_WITH(random_operations_keep_every_promise, "break=simulated,size=128k"),
        FRESH(a_buffer_that_is_soon_full_keeps_every_promise),
        FRESH(every_promise_is_kept_while_the_system_refuses),
        FRESH_WITH(every_promise_is_kept_while_the_system_refuses, "break=simulated,size=16m"),
        FRESH(every_promise_is_kept_while_others_move_the_break),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
