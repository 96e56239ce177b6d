/*
 * magazine_test.c - the magazines of a heap, class by class, against the required capacity and number of blocks.
 */
#include "support/fresh.h"

#include <errno.h>

#include "engine/heaps/heap.h"
#include "engine/memory/span.h"
#include "engine/root/root.h"
#include "engine/slabs/lookup.h"
#include "engine/slabs/slab.h"
#include "engine/tables/metadata.h"
#include "os/os.h"
#include "support/clock.h"
#include "support/engine_heap.h"
#include "support/engine_locked.h"
#include "support/thread.h"

#define CAPACITY_START 8u

/* The ends of small magazines are the multiples of MAGAZINE_SLOTS at which a push looks for the end. */
static void the_capacity_is_told_by_the_bottom(void) {
    struct heap *heap = begin_heap();
    for (unsigned capacity = 1; capacity <= MAGAZINE_MAX; capacity++) {
        const unsigned slots = magazine_slots(capacity);
        CHECK(slots > capacity && (slots == MAGAZINE_SLOTS || slots / 2 <= capacity));
        void **start = metadata_alloc(slots * sizeof *start);
        void **bottom = start + slots - 1 - capacity;
        CHECK(magazine_start(bottom, slots) == start && magazine_end(bottom, slots) == start + slots);
        for (unsigned count = 0; count <= capacity; count++) {
            magazine_install(heap, 0, bottom, slots, count);
            CHECK_EQUAL(magazine_capacity(heap, 0), capacity);
            CHECK_EQUAL(magazine_has_room(heap, 0), count < capacity);
            CHECK_EQUAL(magazine_ends_at(bottom + count + 1), (capacity - count) % MAGAZINE_SLOTS == 0);
        }
        metadata_free(start, slots * sizeof *start);
    }
    heap->bottoms[0] = NULL;
    heap->tops[heap->mode_offset] = MAGAZINE_NONE;
    CHECK_EQUAL(magazine_capacity(heap, 0), 0);
    CHECK(!magazine_has_room(heap, 0));
}

static void no_magazine_is_both_empty_and_full(void) {
    CHECK(*MAGAZINE_NONE == NULL);
    CHECK(magazine_ends_at(MAGAZINE_NONE + 1));
    CHECK(heap_mine == &heap_none);
    struct heap *heap = begin_heap();
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        CHECK(heap_none.tops[size_class] == MAGAZINE_NONE && heap_none.tops[DEFERRED + size_class] == MAGAZINE_NONE);
        CHECK(heap->tops[size_class] == MAGAZINE_NONE && heap->tops[DEFERRED + size_class] == MAGAZINE_NONE);
        CHECK_EQUAL(magazine_count(heap, size_class), 0);
    }
    CHECK_VALID();
}

/* Checked after each call. */
struct model {
    unsigned size_class;
    unsigned capacity;
    unsigned count;
    unsigned stock; /* stored magazines */
    uint64_t refills;
    uint64_t class_refills;
    uint64_t flushes;
};

/* More than 64 KiB only for a class that has been refilled often. */
static unsigned most_in(const struct model *model) {
    const struct size_class *of = &size_classes[model->size_class];
    const unsigned bounded = (unsigned)(64 * KIB / of->size);
    return bounded < of->magazine && model->class_refills < REFILLS_BEFORE_BUSY ? bounded : of->magazine;
}

static unsigned grown(const struct model *model) {
    const unsigned most = most_in(model);
    const unsigned capacity = model->capacity;
    const unsigned next = capacity == 0   ? CAPACITY_START
                          : capacity < 63 ? (2 * capacity < 63 ? 2 * capacity : 63)
                                          : 2 * capacity + 1;
    return next < most ? next : most;
}

/* A refill makes a wide magazine only for a class that has been refilled often. */
static unsigned grown_for_refill(const struct model *model) {
    const bool stays = model->capacity >= MAGAZINE_SLOTS - 1 && model->class_refills < REFILLS_BEFORE_BUSY;
    return stays ? model->capacity : grown(model);
}

static void check_model(const struct heap *heap, const struct model *model) {
    CHECK_EQUAL(magazine_capacity(heap, model->size_class), model->capacity);
    CHECK_EQUAL(magazine_count(heap, model->size_class), model->count);
    CHECK_EQUAL(heap->classes[model->size_class].stock.count, model->stock);
    CHECK_EQUAL(cached_count(heap, model->size_class), model->stock * stored_size(model->size_class) + model->count);
    CHECK_EQUAL(heap->counters.refills, model->refills);
    CHECK_EQUAL(heap->counters.flushes, model->flushes);
}

/* Slots that can fill a magazine: the free ones of the heap's slabs or, if there are none, of a fresh slab. */
static unsigned free_slots(const struct heap *heap, unsigned size_class) {
    const struct list *slabs = &heap->classes[size_class].slabs;
    unsigned count = 0;
    for (const struct list *link = slabs->next; link != slabs; link = link->next) {
        count += slab_free_slots(CONTAINER_OF(link, struct slab, link));
    }
    return count != 0 ? count : size_classes[size_class].slots;
}

/* A stored magazine replaces an empty one; if there is none, that one grows and is half filled, or as far as possible.
 */
static void model_alloc(const struct heap *heap, struct model *model) {
    if (model->count == 0 && model->stock > 0) {
        model->stock--;
        model->count = stored_size(model->size_class);
    } else if (model->count == 0) {
        model->capacity = grown_for_refill(model);
        unsigned available = free_slots(heap, model->size_class);
        model->count = (model->capacity + 1) / 2;
        model->count = model->count < available ? model->count : available;
        model->refills++;
        model->class_refills++;
    }
    model->count--;
}

/* A full magazine grows or, at its maximum, is stored except for a quarter; or half of it is flushed if enough is
 * stored. */
static void model_free(struct model *model) {
    if (model->count == model->capacity) {
        size_t bytes = stored_size(model->size_class) * (size_t)size_classes[model->size_class].size;
        if (model->capacity < grown(model)) {
            model->capacity = grown(model);
        } else if (model->capacity == size_classes[model->size_class].magazine &&
                   (model->stock + 1) * bytes <= 4 * MIB) {
            model->count -= stored_size(model->size_class);
            model->stock++;
        } else {
            model->count -= (model->capacity + 1) / 2;
            model->flushes++;
        }
    }
    model->count++;
}

/* The blocks held stay: their magazine grows as they are freed. */
static void dispose_all(struct model *model) {
    model->flushes += model->stock + (model->count > 0);
    dispose_mine();
    model->capacity = model->count = model->stock = 0;
}

static void magazines_grow_and_are_stored(void) {
    enum { BLOCKS = 1200 };
    struct heap *heap = begin_heap();
    void *blocks[BLOCKS];
    struct model model = {0};
    const unsigned classes = root_medium() ? EMPTY_CLASS : MEDIUM_CLASS;
    for (unsigned size_class = 0; size_class < classes; size_class += UNDER_TSAN ? 3 : 1) {
        size_t size = size_classes[size_class].size;
        model.size_class = size_class;
        model.class_refills = 0;
        heap->classes[size_class].share = 0;
        const bool wide = size_classes[size_class].magazine >= MAGAZINE_SLOTS;
        const unsigned most = wide ? BLOCKS : BLOCKS / 3;
        const unsigned run = wide ? 300 : 100;
        const unsigned steps = 20 * run;
        for (unsigned held = 0, step = 0; step < steps; step++) {
            if (step == run) {
                dispose_all(&model);
            }
            /* runs of calls of one kind, otherwise the magazine would never be empty or full */
            bool grows = step / run % 2 == 0;
            if (held < most && (held == 0 || random_below(&fresh_random, 10) < (grows ? 9 : 1))) {
                model_alloc(heap, &model);
                blocks[held] = engine_alloc(size);
                CHECK(blocks[held] != NULL);
                held++;
            } else {
                engine_free(blocks[--held]);
                model_free(&model);
            }
            check_model(heap, &model);
            if (step % 250 == 0) {
                CHECK_VALID();
            }
            while (step == steps - 1 && held) {
                engine_free(blocks[--held]);
                model_free(&model);
            }
        }
        check_model(heap, &model);
        dispose_all(&model);
        check_model(heap, &model);
    }
    CHECK_VALID();
}

static void the_last_block_freed_is_the_first_allocated(void) {
    begin_heap();
    void *a = engine_alloc(100);
    void *b = engine_alloc(100);
    engine_free(a);
    engine_free(b);
    CHECK(engine_alloc(100) == b);
    CHECK(engine_alloc(100) == a);
}

static void disposal_leaves_nothing(void) {
    struct heap *heap = begin_heap();
    size_t metadata_held = metadata.used - metadata.spare;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        engine_free(engine_alloc(size_classes[size_class].size));
    }
    dispose_mine();
    CHECK_VALID();
    engine_trim();
    CHECK_EQUAL(spans.live_units, 0);
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        CHECK(heap->tops[heap->mode_offset + size_class] == MAGAZINE_NONE);
        CHECK(heap->bottoms[size_class] == NULL);
    }
    /* except the descriptors of free spans */
    CHECK_EQUAL(metadata.used - metadata.spare - metadata.returned - metadata_held,
                spans.descriptors * round_up(sizeof(struct free_span), METADATA_STEP));
    void *block = engine_alloc(10);
    CHECK(block != NULL);
    CHECK_VALID();
}

static void without_memory_for_a_magazine_allocation_fails(void) {
    struct heap *heap = begin_heap();
    void *held = engine_alloc(500);
    os_inject(OS_CALL_MPROTECT, 0, UINT64_MAX, ENOMEM);
    for (size_t size = MAGAZINE_SIZE; size >= METADATA_STEP; size -= METADATA_STEP) {
        while (metadata_alloc(size) != NULL) {
            continue;
        }
    }
    errno = 0;
    CHECK(engine_alloc(50) == NULL && errno == ENOMEM);
    CHECK_EQUAL(magazine_capacity(heap, size_class_of(50)), 0);
    CHECK_VALID();
    engine_free(held);
    CHECK(engine_alloc(500) == held);
    os_inject_clear();
    CHECK(engine_alloc(50) != NULL);
    CHECK_VALID();
}

/* The unreserved part of the budget is less than a heap draws at a time. */
static void without_budget_a_class_caches_the_blocks_of_a_page(void) {
    enum { BLOCKS = 1024 };
    static void *blocks[BLOCKS];
    struct heap *heap = begin_heap();
    const unsigned size_class = size_class_of(512);
    const unsigned page = (unsigned)OS_PAGE / 512;
    heaps.magazine_limit = heaps.magazine_most = (size_t)16 << 10;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = engine_alloc(512);
    }
    CHECK_AT_MOST(heap->counters.class_refills[size_class], BLOCKS / page);
    CHECK_AT_MOST(page, magazine_capacity(heap, size_class));
    CHECK_AT_MOST(magazine_capacity(heap, size_class), 2 * page);
    for (size_t i = 0; i < BLOCKS; i++) {
        engine_free(blocks[i]);
    }
    CHECK_AT_MOST(heap->counters.class_flushes[size_class], BLOCKS / page);
    CHECK_VALID();
}

/* What threads allocate. */
static size_t threads_size = 64;

/* What a thread finds at its first block of the class: 0 if that comes from the shared slab. */
static void *first_capacity(void *capacity) {
    void *block = engine_alloc(threads_size);
    *(unsigned *)capacity = magazine_capacity(heap_mine, size_class_of(threads_size));
    engine_free(block);
    return NULL;
}

static void *fill_magazine(void *capacity) {
    enum { BLOCKS = 100 };
    void *held[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++) {
        held[i] = engine_alloc(threads_size);
    }
    CHECK_AT_MOST(MAGAZINE_SLOTS - 1, magazine_capacity(heap_mine, size_class_of(threads_size)));
    for (unsigned i = 0; i < BLOCKS; i++) {
        engine_free(held[i]);
    }
    return first_capacity(capacity);
}

static unsigned found_by(void *(*function)(void *)) {
    unsigned capacity = 0;
    thread_run(function, &capacity);
    return capacity;
}

static void a_magazine_begins_with_half_of_what_the_last_thread_s_grew_to(void) {
    (void)begin_heap();
    CHECK_EQUAL(found_by(first_capacity), 0);
    for (int lives = 0; lives < 3; lives++) {
        (void)found_by(fill_magazine);
        CHECK_EQUAL(found_by(first_capacity), 4 * CAPACITY_START);
        CHECK_EQUAL(found_by(first_capacity), 2 * CAPACITY_START);
        CHECK_EQUAL(found_by(first_capacity), 0);
    }
    threads_size = 512;
    (void)found_by(fill_magazine);
    CHECK_EQUAL(found_by(first_capacity), 2 * OS_PAGE / 512);
    threads_size = 1024;
    (void)found_by(fill_magazine);
    CHECK_EQUAL(found_by(first_capacity), 0);
    CHECK_VALID();
}

/* What the class's refills in earlier threads were does not count. */
static void *is_busy(void *unused) {
    (void)unused;
    engine_free(engine_alloc(threads_size));
    CHECK(!magazine_busy(heap_mine, size_class_of(threads_size)));
    enum { BLOCKS = 63 * (REFILLS_BEFORE_BUSY + 1) };
    static void *held[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++) {
        held[i] = engine_alloc(threads_size);
    }
    CHECK(magazine_busy(heap_mine, size_class_of(threads_size)));
    for (unsigned i = 0; i < BLOCKS; i++) {
        engine_free(held[i]);
    }
    return NULL;
}

static void a_thread_s_own_refills_make_a_class_busy(void) {
    (void)begin_heap();
    for (int lives = 0; lives < 3; lives++) {
        thread_run(is_busy, NULL);
    }
    CHECK_VALID();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(the_capacity_is_told_by_the_bottom),
        IN_BOTH_MODES(no_magazine_is_both_empty_and_full),
        IN_BOTH_MODES(magazines_grow_and_are_stored),
        IN_BOTH_MODES(the_last_block_freed_is_the_first_allocated),
        IN_BOTH_MODES(disposal_leaves_nothing),
        IN_BOTH_MODES(without_memory_for_a_magazine_allocation_fails),
        IN_BOTH_MODES(without_budget_a_class_caches_the_blocks_of_a_page),
        IN_BOTH_MODES(a_magazine_begins_with_half_of_what_the_last_thread_s_grew_to),
        IN_BOTH_MODES(a_thread_s_own_refills_make_a_class_busy),
    };
    clock_stop(); /* each test's process inherits it */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
