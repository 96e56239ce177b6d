/*
 * slab_test.c - slabs of every class against an array that tells for each slot whether it is held.
 *
 * The slabs are of an owner without a heap, in no list: so slab_valid() applies, and engine_valid() does not.
 */
#include "support/fresh.h"

#include "engine/metadata.h"
#include "engine/root.h"
#include "engine/slab.h"
#include "os/os.h"
#include "support/engine_heap.h"

#define OWNER 7u
#define SLOTS_MAX 4096u /* of a slab of the smallest class */
#define POISON 0xa5

static void check_slab(const struct slab *slab) {
    const char *why = "no reason given";
    CHECK_OR_SAY(slab_valid(slab, &why), why);
}

static struct slab *create(unsigned size_class) {
    CHECK(root_start());
    struct slab *slab = slab_create(size_class, OWNER);
    CHECK(slab != NULL);
    check_slab(slab);
    CHECK(list_empty(&slab->link));
    CHECK_EQUAL(slab_class(slab), size_class);
    CHECK_EQUAL(slab_free_slots(slab), size_classes[size_class].slots);
    CHECK_EQUAL(slab_used(slab), 0);
    CHECK(slab_empty(slab));
    CHECK(slab_of(window_address(slab->span.first)) == slab);
    CHECK(slab_of(window_address(slab->span.first + slab->span.units - 1)) == slab);
    CHECK_EQUAL(entry_owner(page_map_load(slab->span.first)), OWNER);
    return slab;
}

static char *slot_address(const struct slab *slab, size_t slot) {
    return (char *)window_address(slab->span.first) + slot * size_classes[slab_class(slab)].size;
}

/* What malloc does with a block of a slab: here for one that is taken, not put into a magazine. */
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

/* A descriptor of memory that was used before, so that a word which is read too early shows. */
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

/* Blocks of both slabs, in any order: each call takes the run at the front that is of one slab. */
static void models_give(struct model models[2], unsigned count) {
    void *blocks[64];
    bool prove = random_below(&fresh_random, 2);
    unsigned filled = 0;
    for (unsigned i = 0; i < count; i++) {
        struct model *model = &models[random_below(&fresh_random, 4) == 0];
        if (model->count) {
            void *block = blocks[filled++] = model_drop(model);
            if (!prove) {
                live_clear(block);
            }
        }
    }
    for (unsigned i = 0, run; i < filled; i += run) {
        struct slab *slab = slab_of(blocks[i]);
        for (run = 1; i + run < filled && slab_of(blocks[i + run]) == slab; run++) {
            continue;
        }
        unsigned before = slab_free_slots(slab);
        CHECK_EQUAL(slab_give(slab, &blocks[i], filled - i, prove), run);
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

/* As fork finds it when the owner was between two stores. */
static void a_recount_mends_what_was_caught_halfway(void) {
    struct slab *slab = create(20);
    void *blocks[100];
    for (unsigned i = 0; i < 100; i++) {
        blocks[i] = take_one(slab);
    }
    CHECK_EQUAL(slab_give(slab, blocks, 10, true), 10);
    unsigned free_slots = slab_free_slots(slab);
    atomic_store(&slab->free, 0);
    slab->hint = 1;
    slab_recount(slab);
    CHECK_EQUAL(slab_free_slots(slab), free_slots);
    check_slab(slab);
    CHECK(take_one(slab) == blocks[0]);
}

static void a_slab_that_is_destroyed_leaves_nothing_behind(void) {
    CHECK(root_start());
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        slab_destroy(create(size_class)); /* the descriptors of free spans are made, too */
        size_t metadata_held = metadata.used - metadata.spare;
        struct slab *slab = create(size_class);
        size_t units = slab->span.units;
        CHECK_EQUAL(units, size_classes[size_class].units);
        CHECK_EQUAL(spans.live_units, units);
        void *block = take_one(slab);
        CHECK_EQUAL(slab_give(slab, &block, 1, true), 1);
        slab_destroy(slab);
        CHECK_EQUAL(spans.live_units, 0);
        CHECK_EQUAL(metadata.used - metadata.spare, metadata_held);
        CHECK_VALID();
    }
}

static void a_slab_that_cannot_be_made_leaves_nothing_behind(void) {
    CHECK(root_start() && window.units_area.size == 4 * MIB);
    size_t slabs = 0;
    while (slab_create(SIZE_CLASSES - 1, OWNER) != NULL) {
        slabs++;
    }
    CHECK(slabs > 0);
    size_t metadata_held = metadata.used - metadata.spare;
    CHECK_EQUAL(slabs * size_classes[SIZE_CLASSES - 1].units, spans.live_units);
    CHECK(slab_create(SIZE_CLASSES - 1, OWNER) == NULL);
    CHECK_EQUAL(metadata.used - metadata.spare, metadata_held);
}

static void a_slot_given_back_twice_is_a_fault(void) {
    struct slab *slab = create(5);
    void *block = take_one(slab);
    take_one(slab);
    void *const twice[] = {block, block};
    slab_give(slab, twice, 2, true);
}

static void giving_back_a_slot_that_was_never_handed_out_is_a_fault(void) {
    struct slab *slab = create(5);
    void *block = (char *)take_one(slab) + size_classes[5].size;
    slab_give(slab, &block, 1, true);
}

static void giving_back_the_inside_of_a_slot_is_a_fault(void) {
    struct slab *slab = create(5);
    void *block = (char *)take_one(slab) + GRANULE;
    slab_give(slab, &block, 1, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(a_fresh_slab_is_handed_out_in_the_order_of_addresses),
        FRESH(the_bitmap_is_initialised_word_by_word),
        FRESH(random_operations_agree_with_an_array),
        FRESH(a_recount_mends_what_was_caught_halfway),
        FRESH(a_slab_that_is_destroyed_leaves_nothing_behind),
        FRESH_WITH(a_slab_that_cannot_be_made_leaves_nothing_behind, "window=4m"),
        FRESH_FAULT(a_slot_given_back_twice_is_a_fault, "", "free(@): double free: slot 0 of a 96-byte slab, free"),
        FRESH_FAULT(giving_back_a_slot_that_was_never_handed_out_is_a_fault, "",
                    "free(@): double free: slot 1 of a 96-byte slab, free"),
        FRESH_FAULT(giving_back_the_inside_of_a_slot_is_a_fault, "",
                    "free(@): not a block's start: 16 bytes into slot 0 of a 96-byte slab, live"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
