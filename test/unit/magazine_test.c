/*
 * magazine_test.c - the magazines of one heap, class by class, against what their capacity and number of blocks must
 * be.
 */
#include "support/fresh.h"

#include <errno.h>

#include "engine/block.h"
#include "engine/heap.h"
#include "engine/magazine.h"
#include "engine/metadata.h"
#include "engine/root.h"
#include "engine/slab.h"
#include "engine/span.h"
#include "os/os.h"
#include "support/engine_heap.h"

#define CAPACITY_START 8u

static struct heap *begin(void) {
    CHECK(root_start());
    struct heap *heap = heap_begin();
    CHECK(heap != NULL && heap == heap_mine);
    return heap;
}

static unsigned capacity_of(const struct heap *heap, unsigned size_class) {
    void **bottom = heap->classes[size_class].bottom;
    return bottom != NULL ? magazine_capacity(bottom) : 0;
}

static void the_capacity_is_told_by_the_bottom(void) {
    void **slots = begin() != NULL ? metadata_alloc(MAGAZINE_SIZE) : NULL;
    for (unsigned capacity = 1; capacity <= MAGAZINE_MAX; capacity++) {
        void **bottom = slots + MAGAZINE_MAX - capacity;
        CHECK_EQUAL(magazine_capacity(bottom), capacity);
        for (unsigned count = 0; count <= capacity; count++) {
            CHECK_EQUAL(magazine_ends_at(bottom + count + 1), count == capacity);
        }
    }
}

static void no_magazine_is_both_empty_and_full(void) {
    CHECK(*MAGAZINE_NONE == NULL);
    CHECK(magazine_ends_at(MAGAZINE_NONE + 1));
    CHECK(heap_mine == &heap_none);
    struct heap *heap = begin();
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        CHECK(heap_none.tops[size_class] == MAGAZINE_NONE && heap_none.tops[DEFERRED + size_class] == MAGAZINE_NONE);
        CHECK(heap->tops[size_class] == MAGAZINE_NONE && heap->tops[DEFERRED + size_class] == MAGAZINE_NONE);
        CHECK_EQUAL(magazine_count(heap, size_class), 0);
    }
    CHECK_VALID();
}

/* What a magazine must be after each call. */
struct model {
    unsigned size_class;
    unsigned capacity;
    unsigned count;
    unsigned stock; /* bundles */
    uint64_t refills;
    uint64_t flushes;
};

static unsigned grown(const struct model *model) {
    unsigned most = size_classes[model->size_class].magazine;
    unsigned larger = model->capacity ? 2 * model->capacity : CAPACITY_START;
    return larger < most ? larger : most;
}

static void check_model(const struct heap *heap, const struct model *model) {
    CHECK_EQUAL(capacity_of(heap, model->size_class), model->capacity);
    CHECK_EQUAL(magazine_count(heap, model->size_class), model->count);
    CHECK_EQUAL(heap->classes[model->size_class].stock.count, model->stock);
    CHECK_EQUAL(magazine_cached(heap, model->size_class), model->stock * bundle_size(model->size_class) + model->count);
    CHECK_EQUAL(heap->counters.refills, model->refills);
    CHECK_EQUAL(heap->counters.flushes, model->flushes);
}

/* Into an empty magazine a bundle comes back; if there is none, it grows, and is filled by half. */
static void model_alloc(struct model *model) {
    if (model->count == 0 && model->stock > 0) {
        model->stock--;
        model->count = bundle_size(model->size_class);
    } else if (model->count == 0) {
        model->capacity = grown(model);
        model->count = (model->capacity + 1) / 2;
        model->refills++;
    }
    model->count--;
}

/* A full magazine grows, or, as large as it may be, half of it is put by, or flushed when there is enough of that. */
static void model_free(struct model *model) {
    if (model->count == model->capacity) {
        size_t bundle_bytes = bundle_size(model->size_class) * (size_t)size_classes[model->size_class].size;
        if (model->capacity < grown(model)) {
            model->capacity = grown(model);
        } else if ((model->stock + 1) * bundle_bytes <= 4 * MIB) {
            model->count -= bundle_size(model->size_class);
            model->stock++;
        } else {
            model->count -= (model->capacity + 1) / 2;
            model->flushes++;
        }
    }
    model->count++;
}

/* The blocks held stay: the magazine that is made for them grows as they are freed. */
static void dispose_all(struct heap *heap, struct model *model) {
    model->flushes += model->stock + (model->count > 0);
    magazine_flush_all(heap, true);
    model->capacity = model->count = model->stock = 0;
}

static void magazines_grow_and_are_put_by_in_halves(void) {
    enum { BLOCKS = 400 };
    struct heap *heap = begin();
    void *blocks[BLOCKS];
    struct model model = {0};
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        size_t size = size_classes[size_class].size;
        model.size_class = size_class;
        for (unsigned held = 0, step = 0; step < 2000; step++) {
            if (step == 100) {
                dispose_all(heap, &model);
            }
            /* runs of calls of one kind, or the magazine would never be empty or full */
            bool grows = step / 100 % 2 == 0;
            if (held < BLOCKS && (held == 0 || random_below(&fresh_random, 10) < (grows ? 9 : 1))) {
                blocks[held] = engine_alloc(size);
                CHECK(blocks[held] != NULL);
                held++;
                model_alloc(&model);
            } else {
                engine_free(blocks[--held]);
                model_free(&model);
            }
            check_model(heap, &model);
            if (step % 50 == 0) {
                CHECK_VALID();
            }
            while (step == 1999 && held) {
                engine_free(blocks[--held]);
                model_free(&model);
            }
        }
        check_model(heap, &model);
        dispose_all(heap, &model);
        check_model(heap, &model);
    }
    CHECK_VALID();
}

static void a_refill_pops_from_the_lowest_address_up(void) {
    struct heap *heap = begin();
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        CHECK(magazine_refill(heap, size_class));
        void **bottom = heap->classes[size_class].bottom;
        unsigned count = magazine_count(heap, size_class);
        const char *start = bottom[count];
        CHECK(*bottom == NULL);
        CHECK(start == window_address(window_unit(start)));
        for (unsigned i = 0; i < count; i++) {
            CHECK((const char *)bottom[count - i] == start + (size_t)i * size_classes[size_class].size);
            CHECK_EQUAL(live_test(bottom[count - i]), !heap->proves);
        }
    }
    CHECK_VALID();
}

/* Making a thread's heap may itself allocate, and so fill the magazine that is about to be refilled. */
static void a_refill_leaves_what_is_there(void) {
    struct heap *heap = begin();
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        CHECK(magazine_refill(heap, size_class));
        unsigned count = magazine_count(heap, size_class);
        void *top = heap->classes[size_class].bottom[count];
        CHECK(magazine_refill(heap, size_class));
        CHECK_EQUAL(magazine_count(heap, size_class), count);
        CHECK(heap->classes[size_class].bottom[count] == top);
    }
    CHECK_VALID();
}

/* A refill that needs more than one slab, or gets less than it wants, has no gap. */
static void a_refill_is_gathered_from_several_slabs(void) {
    enum { BLOCKS = 160 };
    struct heap *heap = begin();
    unsigned size_class = size_class_of(8192); /* eight slots to a slab */
    size_t size = size_classes[size_class].size;
    void *blocks[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = engine_alloc(size);
    }
    magazine_flush_all(heap, false);
    for (unsigned i = 0; i < BLOCKS; i += slab_of(blocks[i])->slots) {
        engine_free(blocks[i]);
        magazine_flush_all(heap, false);
    }
    CHECK_VALID();
    CHECK(magazine_refill(heap, size_class));
    unsigned count = magazine_count(heap, size_class);
    CHECK_EQUAL(count, (capacity_of(heap, size_class) + 1) / 2);
    CHECK(slab_of(heap->classes[size_class].bottom[1]) != slab_of(heap->classes[size_class].bottom[count]));
    CHECK_VALID();
}

static void the_last_block_freed_is_the_first_allocated(void) {
    begin();
    void *a = engine_alloc(100);
    void *b = engine_alloc(100);
    engine_free(a);
    engine_free(b);
    CHECK(engine_alloc(100) == b);
    CHECK(engine_alloc(100) == a);
}

static void disposal_leaves_nothing(void) {
    struct heap *heap = begin();
    size_t metadata_held = metadata.used - metadata.spare;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        engine_free(engine_alloc(size_classes[size_class].size));
    }
    magazine_flush_all(heap, true);
    CHECK_VALID();
    heap_trim(heap);
    CHECK_EQUAL(spans.live_units, 0);
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        CHECK(heap->tops[heap->first + size_class] == MAGAZINE_NONE);
        CHECK(heap->classes[size_class].bottom == NULL);
    }
    /* but for the descriptors of free spans */
    CHECK_EQUAL(metadata.used - metadata.spare - metadata_held,
                spans.descriptors * round_up(sizeof(struct free_span), METADATA_STEP));
    void *block = engine_alloc(10);
    CHECK(block != NULL);
    CHECK_VALID();
}

static void without_memory_for_a_magazine_allocation_fails(void) {
    struct heap *heap = begin();
    void *held = engine_alloc(500);
    os_inject(OS_CALL_MPROTECT, 0, UINT64_MAX, ENOMEM);
    for (size_t size = MAGAZINE_SIZE; size >= METADATA_STEP; size -= METADATA_STEP) {
        while (metadata_alloc(size) != NULL) {
            continue;
        }
    }
    errno = 0;
    CHECK(engine_alloc(50) == NULL && errno == ENOMEM);
    CHECK_EQUAL(capacity_of(heap, size_class_of(50)), 0);
    CHECK_VALID();
    engine_free(held);
    CHECK(engine_alloc(500) == held);
    os_inject_clear();
    CHECK(engine_alloc(50) != NULL);
    CHECK_VALID();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(the_capacity_is_told_by_the_bottom),
        IN_BOTH_MODES(no_magazine_is_both_empty_and_full),
        IN_BOTH_MODES(magazines_grow_and_are_put_by_in_halves),
        IN_BOTH_MODES(a_refill_pops_from_the_lowest_address_up),
        IN_BOTH_MODES(a_refill_leaves_what_is_there),
        IN_BOTH_MODES(a_refill_is_gathered_from_several_slabs),
        IN_BOTH_MODES(the_last_block_freed_is_the_first_allocated),
        IN_BOTH_MODES(disposal_leaves_nothing),
        IN_BOTH_MODES(without_memory_for_a_magazine_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
