/*
 * stack_table_test.c - stacks are kept once; their sums are estimates whose bars are right.
 */
#include "support/fresh.h"

#include "base/exponential.h"
#include "engine/root/root.h"
#include "engine/samples/stack_table.h"
#include "engine/tables/size_class.h"
#include "support/engine_heap.h"

static struct stack_frames frames_of(uintptr_t first, unsigned depth) {
    struct stack_frames frames = {.depth = depth};
    for (unsigned i = 0; i < depth; i++) {
        frames.frames[i] = first + i;
    }
    return frames;
}

static void a_stack_is_kept_once(void) {
    CHECK(root_start());
    for (unsigned depth = 0; depth <= STACK_DEPTH; depth++) {
        struct stack_frames frames = frames_of(depth * 1000, depth);
        struct stack *stack = stack_intern(&frames, 0);
        CHECK(stack->depth == depth && !stack->cut);
        CHECK(memcmp(stack->frames, frames.frames, depth * sizeof(uintptr_t)) == 0);
        CHECK(stack_intern(&frames, 0) == stack);
        frames.cut = true;
        CHECK(stack_intern(&frames, 0) != stack);
    }
    CHECK_EQUAL(stack_table.count, 2 * (STACK_DEPTH + 1));
}

static void a_stack_is_kept_for_each_class(void) {
    CHECK(root_start());
    const struct stack_frames frames = frames_of(1000, 10);
    struct stack *first = stack_intern(&frames, 3);
    struct stack *large = stack_intern(&frames, STACK_LARGE);
    CHECK(first != large && first->size_class == 3 && large->size_class == STACK_LARGE);
    CHECK(stack_intern(&frames, 3) == first && stack_intern(&frames, STACK_LARGE) == large);
    CHECK(large->next == first); /* in one bucket */
}

/* How many stacks the index has; *longest: the most with the same head. */
static size_t indexed(unsigned *longest) {
    size_t all = 0;
    *longest = 0;
    for (uint32_t head = 0; head < stack_table.heads; head++) {
        unsigned length = 0;
        struct stack *stack = stack_table.index[head / STACK_PART_HEADS][head % STACK_PART_HEADS];
        for (; stack != NULL; stack = stack->indexed) {
            length++;
        }
        all += length;
        *longest = length > *longest ? length : *longest;
    }
    return all;
}

static void many_stacks_are_found_as_fast_as_few(void) {
    enum { MANY = 100000 };
    static struct stack *stacks[MANY];
    unsigned longest;
    CHECK(root_start());
    for (unsigned i = 0; i < MANY; i++) {
        const struct stack_frames frames = frames_of(i / SIZE_CLASSES * 16, 5);
        stacks[i] = stack_intern(&frames, (uint8_t)(i % SIZE_CLASSES));
        CHECK(i < STACK_FEW || stack_table.heads >= 2 * i || stack_table.heads == STACK_PARTS * STACK_PART_HEADS);
    }
    CHECK_EQUAL(stack_table.count, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        const struct stack_frames frames = frames_of(i / SIZE_CLASSES * 16, 5);
        CHECK(stack_intern(&frames, (uint8_t)(i % SIZE_CLASSES)) == stacks[i]);
    }
    CHECK_EQUAL(stack_table.count, MANY);
    CHECK_EQUAL(indexed(&longest), MANY);
    CHECK(longest < 20);
    size_t listed = 0; /* for readers */
    for (unsigned i = 0; i < STACK_BUCKETS; i++) {
        for (struct stack *stack = stack_table.buckets[i]; stack != NULL; stack = stack->next) {
            listed++;
        }
    }
    CHECK_EQUAL(listed, MANY);
}

/* It is made when there is some again. */
static void without_memory_for_the_index_stacks_are_kept_once(void) {
    enum { MANY = 1000 };
    const size_t size = sizeof(struct stack) + 5 * sizeof(uintptr_t);
    static void *pieces[2 * MANY];
    unsigned longest;
    CHECK(root_start());
    for (unsigned i = 0; i < 2 * MANY; i++) {
        pieces[i] = metadata_alloc(size);
    }
    void *last = NULL;
    for (void *piece = metadata_alloc(METADATA_MAX); piece != NULL; piece = metadata_alloc(METADATA_MAX)) {
        last = piece;
    }
    for (unsigned i = 0; i < 2 * MANY; i += 2) { /* which do not join */
        metadata_free(pieces[i], size);
    }
    for (unsigned i = 0; i < 2 * MANY; i++) {
        const struct stack_frames frames = frames_of(i % MANY * 16, 5);
        if (i == MANY - 2) {
            CHECK(stack_table.count == MANY - 2 && stack_table.heads == 0);
            metadata_free(last, METADATA_MAX);
        }
        CHECK(stack_intern(&frames, 0) != &stack_table.other);
    }
    CHECK(stack_table.count == MANY && indexed(&longest) == MANY && stack_table.heads == 1024);
}

/* Beyond the bound all are one. */
static void stacks_that_find_no_room_are_counted(void) {
    CHECK(root_start());
    stack_table.bytes = STACKS_MAX;
    struct stack_frames frames = frames_of(1000, 10);
    CHECK(stack_intern(&frames, 0) == &stack_table.other);
    CHECK_EQUAL(stack_table.beyond, 1);
    CHECK(stack_table.other.cut && stack_table.other.depth == 0);
}

static void lifetimes_are_counted_by_powers_of_four(void) {
    struct stack *stack = &stack_table.other;
    const uint64_t lives[] = {0, 1, 3, 4, 15, 16, UINT64_MAX};
    for (size_t i = 0; i < sizeof lives / sizeof *lives; i++) {
        stack_count_freed(stack, 100, 0.5, lives[i]);
    }
    CHECK(stack->lives[0] == 2 && stack->lives[1] == 4 && stack->lives[2] == 4 && stack->lives[3] == 2);
    CHECK(stack->lives[STACK_LIVES - 1] == 2);
    CHECK(stack->freed.samples == 7 && stack->freed.bytes == 1400);
}

/* A site's allocations, over and over: sizes from `least` to `most`. */
struct site {
    uint64_t least;
    uint64_t most;
    unsigned blocks;
};

/* Of many runs, the share in which the truth lies within the bars for 95 %, in permille: of bytes, or of blocks. */
static unsigned within_bars(const struct site *site, bool of_bytes) {
    enum { RUNS = 4000, MEAN = 4096 };
    unsigned inside = 0;
    uint64_t random = 4711 + site->blocks;
    uint64_t until = exponential_draw(exponential_random(&random), MEAN);
    for (unsigned run = 0; run < RUNS; run++) {
        struct stack_sums sums = {0};
        double truth = 0;
        for (uint64_t left = site->blocks, count; left > 0; left -= count) {
            const uint64_t size = site->least + random_below(&fresh_random, site->most - site->least + 1);
            count = 1;
            if (until < size) {
                stack_sums_add(&sums, size, exponential_share(size, MEAN));
                until = exponential_draw(exponential_random(&random), MEAN);
            } else {
                if (site->least == site->most) { /* all before the next sample, at once */
                    count = until / size < left ? until / size : left;
                }
                until -= count * size;
            }
            truth += (double)count * (of_bytes ? (double)size : 1);
        }
        const double off = (of_bytes ? sums.bytes : sums.blocks) - truth;
        const double variance = of_bytes ? sums.bytes_variance : sums.blocks_variance;
        /* As insight's estimate_deviation: a count of few samples has a skewed distribution. */
        inside += off * off * (double)sums.samples <= 1.96 * 1.96 * variance * (double)(sums.samples + 1);
    }
    return inside * 1000 / RUNS;
}

/* Each site has 20 samples or more. */
static void the_truth_lies_within_the_bars_as_often_as_they_say(void) {
    const struct site sites[] = {
        {16, 16, 5120},  {16, 16, 51200},  {100, 100, 900},   {1, 1000, 250},
        {1, 1000, 2500}, {900, 1100, 100}, {2000, 3000, 100}, {3000, 3000, 400},
    };
    for (size_t i = 0; i < sizeof sites / sizeof *sites; i++) {
        const unsigned bytes = within_bars(&sites[i], true);
        CHECK(bytes >= 930 && bytes <= 970);
        /* In blocks, a site of very different sizes has few samples that count: those of its small blocks. */
        if (sites[i].least * 10 > sites[i].most) {
            const unsigned blocks = within_bars(&sites[i], false);
            CHECK(blocks >= 930 && blocks <= 970);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(a_stack_is_kept_once),
        FRESH(a_stack_is_kept_for_each_class),
        FRESH(many_stacks_are_found_as_fast_as_few),
        FRESH_WITH(without_memory_for_the_index_stacks_are_kept_once, "window=16m"),
        FRESH(stacks_that_find_no_room_are_counted),
        FRESH(lifetimes_are_counted_by_powers_of_four),
        FRESH(the_truth_lies_within_the_bars_as_often_as_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
