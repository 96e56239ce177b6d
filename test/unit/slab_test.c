/*
 * slab_test.c - slabs of every class against an array with a flag for each slot.
 *
 * The slabs have a heap id that no heap has, and are in no list: so slab_valid() applies, and engine_valid() does not.
 */
#include "support/fresh.h"

#include <limits.h>

#include <sys/mman.h>

#include "engine/root/root.h"
#include "engine/slabs/slab.h"
#include "engine/tables/live_map.h"
#include "engine/tables/metadata.h"
#include "os/os.h"
#include "support/engine_heap.h"

#define ID 7u
#define SLOTS_MAX 4096u /* of a slab of the smallest class */
#define POISON 0xa5

static bool any_remote(size_t first, size_t units) {
    bool found = false;
    for (size_t unit = first; unit < first + units; unit++) {
        found = found || live_find_remote(unit) != NULL;
    }
    return found;
}

static void check_slab(const struct slab *slab) {
    const char *why = "no reason given";
    CHECK_OR_SAY(slab_valid(slab, &why), why);
}

static struct slab *create(unsigned size_class) {
    CHECK(root_start());
    struct slab *slab = slab_create(size_class, ID);
    CHECK(slab != NULL);
    check_slab(slab);
    CHECK(list_empty(&slab->link));
    CHECK_EQUAL(slab_class(slab), size_class);
    CHECK_EQUAL(slab_free_slots(slab), size_classes[size_class].slots);
    CHECK_EQUAL(slab_used(slab), 0);
    CHECK(slab_empty(slab));
    CHECK(slab_of(window_address(slab->span.first)) == slab);
    CHECK(slab_of(window_address(slab->span.first + slab->span.units - 1)) == slab);
    CHECK_EQUAL(entry_heap(page_map_load(slab->span.first)), ID);
    return slab;
}

static char *slot_address(const struct slab *slab, size_t slot) {
    return (char *)window_address(slab->span.first) + slot * size_classes[slab_class(slab)].size;
}

/* As malloc does with a block of a slab, here for one that is taken, not put into a magazine. */
static void *take_one(struct slab *slab) {
    void *block = NULL;
    CHECK_EQUAL(slab_take(slab, &block, 1), 1);
    live_set(block);
    return block;
}

static void a_fresh_slab_is_handed_out_in_the_order_of_addresses(void) {
    CHECK(root_start());
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct slab *slab = create(size_class);
        void *stack[70];
        unsigned next = 0;
        while (next < slab->slots) {
            unsigned wanted = 1 + (unsigned)random_below(&fresh_random, 70);
            unsigned rest = slab->slots - next;
            unsigned got = slab_take(slab, &stack[69], wanted);
            CHECK_EQUAL(got, wanted < rest ? wanted : rest);
            for (unsigned i = 0; i < got; i++) {
                CHECK(stack[69 - i] == slot_address(slab, next + i)); /* the lowest is on top */
            }
            next += got;
            CHECK_EQUAL(slab_used(slab), next);
            CHECK_EQUAL(slab_free_slots(slab), slab->slots - next);
            check_slab(slab);
        }
        CHECK_EQUAL(slab_take(slab, stack, 1), 0);
    }
}

/* A descriptor in memory that was used before, so that a word that is read too early shows. */
static void the_bitmap_is_initialised_word_by_word(void) {
    CHECK(root_start());
    size_t size = sizeof(struct slab) + bitmap_words(SLOTS_MAX) * sizeof(bitmap_word);
    unsigned char *piece = metadata_alloc(size);
    memset(piece, POISON, size);
    metadata_free(piece, size);
    struct slab *slab = create(0);
    CHECK((unsigned char *)slab == piece);
    CHECK_EQUAL(slab->slots, SLOTS_MAX);
    uint64_t poison;
    memset(&poison, POISON, sizeof poison);
    for (size_t taken = 0; taken < SLOTS_MAX; taken++) {
        CHECK(take_one(slab) == slot_address(slab, taken));
        for (size_t word = bitmap_words(taken + 1); word < bitmap_words(SLOTS_MAX); word++) {
            CHECK_EQUAL(bitmap_load(slab->bitmap, word), poison);
        }
        for (size_t slot = taken; slot <= taken + 65 && slot < SLOTS_MAX; slot++) {
            CHECK_EQUAL(slab_slot_free(slab, (uint32_t)slot), slot > taken);
        }
        if (taken % 61 == 0) {
            check_slab(slab);
        }
    }
}

struct model {
    struct slab *slab;
    bool held[SLOTS_MAX];
    size_t count;    /* of the slots held */
    size_t past_end; /* the first slot that was never handed out */
};

static void model_take(struct model *model, unsigned wanted) {
    void *stack[64];
    size_t rest = model->slab->slots - model->count;
    unsigned got = slab_take(model->slab, &stack[63], wanted);
    CHECK_EQUAL(got, wanted < rest ? wanted : rest);
    for (size_t slot = 0, i = 0; i < got; slot++) {
        if (!model->held[slot]) {
            CHECK(stack[63 - i] == slot_address(model->slab, slot));
            live_set(stack[63 - i]);
            model->held[slot] = true;
            model->count++;
            model->past_end = slot >= model->past_end ? slot + 1 : model->past_end;
            i++;
        }
    }
}

/* Any slot that is held; the model gives it up. */
static void *model_drop(struct model *model) {
    size_t slot = random_below(&fresh_random, model->slab->slots);
    while (!model->held[slot]) {
        slot = (slot + 1) % model->slab->slots;
    }
    model->held[slot] = false;
    model->count--;
    return slot_address(model->slab, slot);
}

/* Blocks of both slabs, in any order: each call takes the run at the front that belongs to one slab. */
static void models_give(struct model models[2], unsigned count) {
    void *blocks[64];
    unsigned filled = 0;
    for (unsigned i = 0; i < count; i++) {
        struct model *model = &models[random_below(&fresh_random, 4) == 0];
        if (model->count) {
            void *block = blocks[filled++] = model_drop(model);
            CHECK(live_end(block));
        }
    }
    for (unsigned i = 0, run; i < filled; i += run) {
        struct slab *slab = slab_of(blocks[i]);
        for (run = 1; i + run < filled && slab_of(blocks[i + run]) == slab; run++) {
            continue;
        }
        unsigned before = slab_free_slots(slab);
        CHECK_EQUAL(slab_give(slab, &blocks[i], filled - i), run);
        CHECK_EQUAL(slab_free_slots(slab), before + run);
    }
}

static void check_model(const struct model *model) {
    const struct slab *slab = model->slab;
    check_slab(slab);
    CHECK_EQUAL(slab_free_slots(slab), slab->slots - model->count);
    CHECK_EQUAL(slab_used(slab), model->past_end);
    CHECK_EQUAL(slab_count_live(slab), model->count);
    CHECK_EQUAL(slab_empty(slab), model->count == 0);
    for (unsigned slot = 0; slot < slab->slots; slot++) {
        CHECK_EQUAL(slab_slot_free(slab, slot), !model->held[slot]);
    }
}

static void random_operations_agree_with_an_array(void) {
    static struct model models[2];
    CHECK(root_start());
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class += size_class < 8 ? 3 : 5) {
        memset(models, 0, sizeof models);
        models[0].slab = create(size_class);
        models[1].slab = create(size_class);
        for (int step = 0; step < 600; step++) {
            unsigned count = 1 + (unsigned)random_below(&fresh_random, 64);
            /* mostly full for some time, then mostly empty */
            if (random_below(&fresh_random, 100) < (step / 100 % 2 ? 35u : 65u)) {
                model_take(&models[random_below(&fresh_random, 2)], count);
            } else {
                models_give(models, count);
            }
            check_model(&models[0]);
            check_model(&models[1]);
        }
    }
}

static void a_slab_that_is_destroyed_leaves_nothing_behind(void) {
    CHECK(root_start());
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        slab_destroy(create(size_class)); /* makes the descriptors of free spans, too */
        size_t metadata_held = metadata.used - metadata.spare;
        struct slab *slab = create(size_class);
        size_t units = slab->span.units;
        CHECK_EQUAL(units, size_classes[size_class].units);
        CHECK_EQUAL(spans.live_units, units);
        void *block = take_one(slab);
        CHECK(live_end(block));
        CHECK_EQUAL(slab_give(slab, &block, 1), 1);
        slab_destroy(slab);
        CHECK_EQUAL(spans.live_units, 0);
        CHECK_EQUAL(metadata.used - metadata.spare, metadata_held);
        CHECK_VALID();
    }
}

static void a_slab_that_cannot_be_made_leaves_nothing_behind(void) {
    CHECK(root_start() && window.units_area.size == 4 * MIB);
    size_t slabs = 0;
    while (slab_create(SIZE_CLASSES - 1, ID) != NULL) {
        slabs++;
    }
    CHECK(slabs > 0);
    size_t metadata_held = metadata.used - metadata.spare;
    CHECK_EQUAL(slabs * size_classes[SIZE_CLASSES - 1].units, spans.live_units);
    CHECK(slab_create(SIZE_CLASSES - 1, ID) == NULL);
    CHECK_EQUAL(metadata.used - metadata.spare, metadata_held);
}

/* --- Frees by other threads -------------------------------------------------------------------------------------- */

/* Another thread's free of a block, without announcing its unit. */
static void free_remotely(void *block) {
    CHECK(live_end_remotely(block));
}

/* Whether a block was found that is freed remotely and not live. */
static bool collect_all(struct slab *slab, bool writer) {
    for (size_t unit = slab->span.first; unit < slab->span.first + slab->span.units; unit++) {
        slab_collect(slab, unit, writer);
    }
    return atomic_exchange(&live_suspect_block, NULL) != NULL;
}

/* Random slots are freed remotely and collected, settled or not: the free slots are the model's. */
static void what_others_free_is_collected(void) {
    static struct model model;
    CHECK(root_start());
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class += 3) {
        model = (struct model){.slab = create(size_class)};
        for (int step = 0; step < 200; step++) {
            model_take(&model, 1 + (unsigned)random_below(&fresh_random, 64));
            bool writer = random_below(&fresh_random, 2) == 0;
            for (size_t count = random_below(&fresh_random, 64); count != 0 && model.count != 0; count--) {
                void *block = model_drop(&model);
                free_remotely(block);
                CHECK(!live_test(block) && !live_end(block) && !live_end_remotely(block));
            }
            CHECK(!collect_all(model.slab, writer));
            check_model(&model);
            CHECK_EQUAL(any_remote(model.slab->span.first, model.slab->span.units), model.slab->unsettled);
        }
        slab_settle(model.slab);
        CHECK(live_suspect_block == NULL);
        CHECK(!model.slab->unsettled && !any_remote(model.slab->span.first, model.slab->span.units));
        check_model(&model);
    }
}

/* A slot collected by another thread keeps both bits until the writer takes slots, so a double free is found. */
static void a_slot_that_is_not_settled_is_not_live(void) {
    struct slab *slab = create(5);
    void *first = take_one(slab);
    void *second = take_one(slab);
    free_remotely(first);
    CHECK(!collect_all(slab, false));
    CHECK(slab->unsettled && live_freed_remotely(first));
    CHECK(!live_test(first) && !live_end(first) && !live_end_remotely(first));
    check_slab(slab);
    void *again = NULL;
    CHECK_EQUAL(slab_take(slab, &again, 1), 1);
    CHECK(again == first && !slab->unsettled && !live_freed_remotely(first));
    CHECK(!live_end(first) && !live_end_remotely(first));
    live_set(again);
    CHECK(live_end(first));
    CHECK(live_end(second));
}

/* Settled slots are the writer's, and stay so. */
static void only_slots_that_others_freed_are_stolen(void) {
    enum { COUNT = 200 };
    struct slab *slab = create(10);
    void *blocks[COUNT];
    bool remote[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = take_one(slab);
    }
    CHECK(slab_steal(slab) == NULL);
    for (size_t i = 0; i < COUNT; i++) {
        remote[i] = random_below(&fresh_random, 2) == 0;
        if (remote[i]) {
            free_remotely(blocks[i]);
        } else {
            CHECK(live_end(blocks[i]));
            slab_give(slab, &blocks[i], 1);
        }
    }
    CHECK(slab_steal(slab) == NULL); /* nothing is collected yet */
    CHECK(!collect_all(slab, false));
    for (size_t i = 0; i < COUNT; i++) {
        unsigned free_slots = slab_free_slots(slab);
        if (remote[i]) {
            CHECK(slab_steal(slab) == blocks[i]);
            CHECK_EQUAL(slab_free_slots(slab), free_slots - 1);
            CHECK(live_test(blocks[i]) && !live_freed_remotely(blocks[i]));
            check_slab(slab);
        }
    }
    CHECK(slab_steal(slab) == NULL && !slab->unsettled);
    for (size_t i = 0; i < COUNT; i++) {
        CHECK_EQUAL(live_end_remotely(blocks[i]), remote[i]);
    }
    CHECK(!collect_all(slab, true));
    CHECK(slab_empty(slab));
    check_slab(slab);
}

/* The writer and another thread free a block at the same moment: neither finds it dead, but the collection does. */
static void a_slot_freed_twice_at_the_same_moment_is_found_and_stays_out_of_use(void) {
    for (int writer = 0; writer < 2; writer++) {
        struct slab *slab = create(5);
        void *block = take_one(slab);
        take_one(slab);
        free_remotely(block);
        struct live_word *word = live_word_of(block);
        atomic_store(&word->live, atomic_load(&word->live) & ~live_bit_of(block));
        unsigned free_slots = slab_free_slots(slab);
        slab_collect(slab, slab->span.first, writer);
        CHECK(atomic_exchange(&live_suspect_block, NULL) == block);
        CHECK_EQUAL(slab_free_slots(slab), free_slots);
        CHECK(!slab_slot_free(slab, 0) && !live_test(block));
    }
}

/* The same if the slab is given back before anybody collects. */
static void a_slab_given_back_tells_of_a_slot_freed_twice_at_the_same_moment(void) {
    struct slab *slab = create(5);
    void *block = take_one(slab);
    size_t first = slab->span.first;
    free_remotely(block);
    struct live_word *word = live_word_of(block);
    atomic_store(&word->live, atomic_load(&word->live) & ~live_bit_of(block));
    slab_give(slab, &block, 1);
    slab_destroy(slab);
    CHECK(atomic_exchange(&live_suspect_block, NULL) == block);
    CHECK(!any_remote(first, 1));
}

static void a_slab_is_disposable_only_without_links(void) {
    CHECK(root_start());
    unsigned size_class = 0;
    while (size_classes[size_class].units < 2) {
        size_class++;
    }
    struct slab *slab = create(size_class);
    CHECK(slab_disposable(slab));
    for (size_t unit = slab->span.first; unit < slab->span.first + slab->span.units; unit++) {
        atomic_store(&window.inbox_links[unit], 0x80000000u);
        CHECK(!slab_disposable(slab));
        atomic_store(&window.inbox_links[unit], 0);
    }
    void *block = take_one(slab);
    CHECK(!slab_disposable(slab));
    CHECK(live_end(block));
    slab_give(slab, &block, 1);
    CHECK(slab_disposable(slab));
}

/* Remote bits left behind would make the next user's blocks dead. */
static void a_slab_that_is_not_settled_leaves_no_bits_behind(void) {
    struct slab *slab = create(5);
    size_t first = slab->span.first;
    size_t units = slab->span.units;
    free_remotely(take_one(slab));
    CHECK(!collect_all(slab, false));
    CHECK(slab_disposable(slab));
    slab_destroy(slab);
    CHECK(!any_remote(first, units));
    CHECK_EQUAL(live_count(first, units), 0);
    CHECK_VALID();
}

/* --- Pages ------------------------------------------------------------------------------------------------------- */

static bool page_resident(const void *address) {
    unsigned char vector = 0;
    size_t page = os_page_size();
    void *start = (void *)round_down((uintptr_t)address, page);
    return mincore(start, page, &vector) == 0 && (vector & 1) != 0;
}

/* Purges the slab's free pages. Returns how many. */
static unsigned purge(struct slab *slab) {
    struct list aging;
    struct slab_purge purge;
    list_init(&aging);
    slab_age(slab, &aging, 0);
    CHECK(slab_purge_begin(&aging, 0, 0, UINT_MAX, &purge));
    CHECK_EQUAL(slab->purging, purge.pages != 0);
    slab_purge_pages(&purge);
    CHECK(!slab_purge_end(&purge));
    CHECK(list_empty(&slab->age));
    return count_bits(purge.pages);
}

/* The last slots are free, and what follows the slab belongs to another. */
static void a_purge_stays_within_its_slab(void) {
    if (os_page_size() != OS_PAGE) {
        child_cannot();
    }
    CHECK(root_start());
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct slab *slab = create(size_class);
        struct slab *next = create(size_class);
        const size_t size = size_classes[size_class].size;
        static void *blocks[SLOTS_MAX];
        unsigned char *behind = take_one(next);
        memset(behind, 7, size);
        for (unsigned i = 0; i < slab->slots; i++) {
            blocks[i] = take_one(slab);
            CHECK(live_end(blocks[i]));
        }
        CHECK_EQUAL(slab_give(slab, blocks, slab->slots), slab->slots);
        purge(slab);
        for (size_t at = 0; at < size; at++) {
            CHECK_EQUAL(behind[at], 7);
        }
        slab_destroy(slab);
    }
}

/* Counts pages that are handed out again after they went back, and no new ones. */
static void what_went_back_in_vain_is_counted(void) {
    if (!os_purge_zeroes() || os_page_size() != OS_PAGE) {
        child_cannot();
    }
    CHECK(root_start());
    struct slab *slab = create(size_class_of(1024));
    static void *blocks[64];
    const size_t before = slabs_returned();
    for (unsigned i = 0; i < slab->slots; i++) {
        blocks[i] = take_one(slab);
        CHECK(live_end(blocks[i]));
        CHECK_EQUAL(slabs_returned(), before);
    }
    CHECK_EQUAL(slab_give(slab, blocks, slab->slots), slab->slots);
    CHECK_EQUAL(purge(slab), UNIT / OS_PAGE);
    for (unsigned i = 0; i < 9; i++) {
        blocks[i] = take_one(slab);
        CHECK(live_end(blocks[i]));
        CHECK_EQUAL(slabs_returned(), before + i * 1024 / OS_PAGE + 1);
    }
    CHECK_EQUAL(slab_give(slab, blocks, 9), 9);
    slab_destroy(slab);
}

/* Pages with only free slots go, and no others. */
static void a_purge_takes_the_pages_without_blocks(void) {
    if (!os_purge_zeroes() || os_page_size() != OS_PAGE) {
        child_cannot();
    }
    CHECK(root_start());
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class += 7) {
        struct slab *slab = create(size_class);
        const size_t size = size_classes[size_class].size;
        const unsigned count = slab->slots < 500 ? slab->slots : 500;
        static void *blocks[500];
        static bool kept[500];
        for (unsigned i = 0; i < count; i++) {
            blocks[i] = take_one(slab);
            memset(blocks[i], (int)(i % 255) + 1, size);
        }
        for (unsigned i = 0; i < count; i++) {
            kept[i] = random_below(&fresh_random, 3 * (1 + OS_PAGE / size)) == 0;
            if (!kept[i]) {
                CHECK(live_end(blocks[i]));
                slab_give(slab, &blocks[i], 1);
            }
        }
        purge(slab);
        check_slab(slab);
        for (unsigned i = 0; i < count; i++) {
            const unsigned char *bytes = blocks[i];
            for (size_t at = 0; kept[i] && at < size; at++) {
                CHECK_EQUAL(bytes[at], i % 255 + 1);
            }
        }
        for (size_t at = 0; at + OS_PAGE <= count * size; at += OS_PAGE) {
            bool any = false;
            for (size_t slot = at / size; slot * size < at + OS_PAGE && slot < count; slot++) {
                any |= kept[slot];
            }
            CHECK(any || !page_resident(slot_address(slab, 0) + at));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(a_fresh_slab_is_handed_out_in_the_order_of_addresses),
        FRESH(the_bitmap_is_initialised_word_by_word),
        FRESH(random_operations_agree_with_an_array),
        FRESH(a_slab_that_is_destroyed_leaves_nothing_behind),
        FRESH_WITH(a_slab_that_cannot_be_made_leaves_nothing_behind, "window=4m"),
        FRESH(what_others_free_is_collected),
        FRESH(a_slot_that_is_not_settled_is_not_live),
        FRESH(only_slots_that_others_freed_are_stolen),
        FRESH(a_slot_freed_twice_at_the_same_moment_is_found_and_stays_out_of_use),
        FRESH(a_slab_given_back_tells_of_a_slot_freed_twice_at_the_same_moment),
        FRESH(a_slab_is_disposable_only_without_links),
        FRESH(a_slab_that_is_not_settled_leaves_no_bits_behind),
        FRESH(what_went_back_in_vain_is_counted),
        FRESH(a_purge_takes_the_pages_without_blocks),
        FRESH(a_purge_stays_within_its_slab),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
