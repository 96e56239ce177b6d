/*
 * huge_test.c - huge blocks against a list of them: found by any address inside, resized, remembered, never lost.
 */
#include "support/fresh.h"

#include <errno.h>

#include "base/bits.h"
#include "engine/memory/huge.h"
#include "engine/root/root.h"
#include "engine/tables/size_class.h"
#include "os/os.h"
#include "support/engine_heap.h"
#include "support/kernel.h"

static char *alloc(size_t size, size_t alignment) {
    CHECK(root_start());
    char *block = huge_alloc(size, alignment);
    CHECK(block != NULL && (uintptr_t)block % alignment == 0);
    return block;
}

/* In whole units, like the mapping. */
static bool found(const void *address, const char *start, size_t size) {
    uintptr_t found_start = 0;
    size_t found_size = 0;
    return huge_find(address, &found_start, &found_size) && found_start == (uintptr_t)start &&
           round_up(found_size, UNIT) == size && huge_end(start) == found_start + size;
}

static bool found_freed(const void *address, const char *start, size_t size) {
    uintptr_t found_start = 0;
    size_t found_size = 0;
    return huge_find_freed(address, &found_start, &found_size) && found_start == (uintptr_t)start && found_size == size;
}

struct model {
    char *block;
    size_t size; /* in whole units */
};

static void write_ends(const struct model *model, size_t i) {
    model->block[0] = (char)i;
    model->block[model->size - 1] = (char)i;
}

static void check_found(const struct model *model) {
    size_t inside = random_below(&fresh_random, model->size);
    CHECK(found(model->block, model->block, model->size));
    CHECK(found(model->block + inside, model->block, model->size));
    CHECK(found(model->block + model->size - 1, model->block, model->size));
}

static char *resize(void *block, size_t size) {
    void *resized;
    CHECK(huge_resize(block, size, &resized));
    return resized;
}

static void random_operations_agree_with_a_list(void) {
    enum { BLOCKS = 40 };
    static struct model models[BLOCKS];
    size_t bytes = 0;
    size_t count = 0;
    for (int step = 0; step < 4000; step++) {
        size_t i = random_below(&fresh_random, BLOCKS);
        struct model *model = &models[i];
        size_t size = 1 + random_below(&fresh_random, 64 * UNIT);
        if (model->block == NULL) {
            *model = (struct model){alloc(size, UNIT << random_below(&fresh_random, 6)), round_up(size, UNIT)};
            CHECK_EQUAL(model->block[0] | model->block[model->size - 1], 0);
            bytes += model->size;
            count++;
        } else if (random_below(&fresh_random, 2)) {
            char *resized = resize(model->block, size);
            CHECK(resized != NULL && resized[0] == (char)i);
            bytes += round_up(size, UNIT) - model->size;
            *model = (struct model){resized, round_up(size, UNIT)};
        } else {
            CHECK(model->block[0] == (char)i && model->block[model->size - 1] == (char)i);
            CHECK(huge_free(model->block));
            CHECK(found_freed(model->block + model->size - 1, model->block, model->size));
            bytes -= model->size;
            count--;
            model->block = NULL;
        }
        if (model->block != NULL) {
            write_ends(model, i);
            check_found(model);
        }
        CHECK_EQUAL(huge_table.bytes, bytes);
        CHECK_EQUAL(huge_table.live.count, count);
        CHECK_VALID();
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if (models[i].block != NULL) {
            check_found(&models[i]);
        }
    }
}

static void every_alignment_up_to_a_gibibyte_is_kept(void) {
    for (size_t alignment = UNIT; alignment <= 1024 * MIB; alignment *= 2) {
        char *block = alloc(64 * MIB, alignment);
        block[0] = block[64 * MIB - 1] = 1;
        engine_free(block);
        CHECK(!mapped(block));
        block = engine_alloc_aligned(alignment, 65 * MIB);
        CHECK(block != NULL && (uintptr_t)block % alignment == 0);
        CHECK(found(block, block, 65 * MIB));
        engine_free(block);
    }
    CHECK_EQUAL(huge_table.bytes, 0);
    CHECK_VALID();
}

static void addresses_around_a_block_are_not_found(void) {
    char *block = alloc(3 * UNIT, 2 * MIB);
    uintptr_t start;
    size_t size;
    int here;
    CHECK(found(block + 3 * UNIT - 1, block, 3 * UNIT));
    CHECK(!huge_find(block - 1, &start, &size));
    CHECK(!huge_find(block + 3 * UNIT, &start, &size));
    CHECK(!huge_find(NULL, &start, &size));
    CHECK(!huge_find((void *)UINTPTR_MAX, &start, &size));
    CHECK(!huge_find(&here, &start, &size));
    CHECK(!huge_find_freed(block, &start, &size));
    CHECK(!huge_find_freed(NULL, &start, &size));
}

static void a_resize_keeps_contents(void) {
    char *block = alloc(64 * MIB, OS_PAGE);
    for (size_t at = 0; at < 64 * MIB; at += MIB) {
        block[at] = (char)(at / MIB + 1);
    }
    block = resize(block, 200 * MIB);
    CHECK(block != NULL);
    for (size_t at = 0; at < 200 * MIB; at += MIB) {
        CHECK_EQUAL(block[at], at < 64 * MIB ? at / MIB + 1 : 0);
    }
    char *shorter = resize(block, 20 * MIB);
    CHECK(shorter != NULL);
    for (size_t at = 0; at < 20 * MIB; at += MIB) {
        CHECK_EQUAL(shorter[at], at / MIB + 1);
    }
    CHECK(!mapped(shorter + 20 * MIB));
    CHECK(found(shorter, shorter, 20 * MIB));
    CHECK_EQUAL(huge_table.bytes, 20 * MIB);
    CHECK_VALID();
}

static void a_refused_resize_changes_nothing(void) {
    char *block = alloc(64 * MIB, OS_PAGE);
    block[0] = block[64 * MIB - 1] = 7;
    os_inject(OS_CALL_MREMAP, 0, UINT64_MAX, ENOMEM);
    CHECK(resize(block, 100 * MIB) == NULL);
    CHECK(found(block, block, 64 * MIB));
    CHECK_EQUAL(huge_table.bytes, 64 * MIB);
    CHECK(block[0] == 7 && block[64 * MIB - 1] == 7);
    CHECK_VALID();
    char *copied = engine_realloc("realloc", block, 100 * MIB); /* it falls back */
    CHECK(copied != NULL && copied[0] == 7 && copied[64 * MIB - 1] == 7);
    os_inject(OS_CALL_MMAP, 0, UINT64_MAX, ENOMEM);
    CHECK(engine_realloc("realloc", copied, (size_t)1 << 41) == NULL);
    CHECK(found(copied, copied, 100 * MIB));
    CHECK(copied[0] == 7 && copied[64 * MIB - 1] == 7);
    CHECK_VALID();
}

static void the_last_blocks_freed_are_remembered(void) {
    struct model models[HUGE_REMEMBERED + 1];
    for (size_t i = 0; i <= HUGE_REMEMBERED; i++) {
        models[i] = (struct model){alloc((i + 1) * UNIT, OS_PAGE), (i + 1) * UNIT};
    }
    for (size_t i = 0; i <= HUGE_REMEMBERED; i++) {
        CHECK(huge_free(models[i].block));
        for (size_t j = 0; j <= HUGE_REMEMBERED; j++) {
            bool remembered = j <= i && i - j < HUGE_REMEMBERED;
            CHECK_EQUAL(found_freed(models[j].block + j, models[j].block, models[j].size), remembered);
        }
    }
}

/* Several blocks had the same addresses: the last of them is meant. */
static void the_latest_of_freed_blocks_is_found(void) {
    char *block = alloc(8 * UNIT, OS_PAGE);
    CHECK(huge_free(block));
    char *again = alloc(4 * UNIT, OS_PAGE);
    uintptr_t start;
    size_t size;
    if (again + 4 * UNIT <= block || again >= block + 8 * UNIT) { /* the kernel has chosen others */
        child_cannot();
    }
    CHECK(huge_free(again));
    CHECK(huge_find_freed(again, &start, &size));
    CHECK(start == (uintptr_t)again && size == 4 * UNIT);
}

static void what_cannot_be_unmapped_is_unmapped_later(void) {
    char *blocks[3];
    for (int i = 0; i < 3; i++) {
        blocks[i] = alloc(4 * MIB, OS_PAGE);
        memset(blocks[i], 1, 4 * MIB);
    }
    os_purge_zeroes(); /* its trial is over */
    os_inject(OS_CALL_MUNMAP, 0, UINT64_MAX, ENOMEM);
    errno = EDOM;
    for (int i = 0; i < 3; i++) {
        engine_free(blocks[i]);
        CHECK(mapped(blocks[i]));
        CHECK(found_freed(blocks[i], blocks[i], 4 * MIB));
        CHECK(!os_purge_zeroes() || blocks[i][MIB] == 0); /* its memory is gone all the same */
    }
    CHECK_EQUAL(errno, EDOM);
    CHECK_EQUAL(huge_table.bytes, 0);
    CHECK_VALID();
    engine_free(engine_alloc(65 * MIB)); /* in vain */
    os_inject_clear();
    CHECK(huge_table.stuck != NULL);
    char *block = alloc(UNIT, OS_PAGE);
    CHECK(huge_table.stuck == NULL);
    for (int i = 0; i < 3; i++) {
        CHECK(!mapped(blocks[i]));
    }
    CHECK(found(block, block, UNIT));
    CHECK_VALID();
}

static void without_memory_there_is_no_block(void) {
    CHECK(root_start());
    os_inject(OS_CALL_MMAP, 0, UINT64_MAX, ENOMEM);
    CHECK(huge_alloc(64 * MIB, UNIT) == NULL);
    CHECK(huge_alloc(64 * MIB, 64 * MIB) == NULL);
    os_inject_clear();
    CHECK(huge_alloc((size_t)1 << 50, UNIT) == NULL);
    CHECK(huge_alloc(SIZE_MAX / 2, UNIT) == NULL);
    CHECK_EQUAL(huge_table.bytes, 0);
    CHECK_EQUAL(huge_table.live.count, 0);
    CHECK_VALID();
}

static void a_huge_block_freed_twice_is_a_fault(void) {
    char *block = alloc(64 * MIB, OS_PAGE);
    CHECK(huge_free(block));
    CHECK(!huge_free(block));
    engine_free(block);
}

static void freeing_the_inside_of_a_huge_block_is_a_fault(void) {
    char *inside = alloc(64 * MIB, OS_PAGE) + UNIT;
    CHECK(!huge_free(inside));
    engine_free(inside);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FRESH(random_operations_agree_with_a_list),
        FRESH(every_alignment_up_to_a_gibibyte_is_kept),
        FRESH(addresses_around_a_block_are_not_found),
        FRESH(a_resize_keeps_contents),
        FRESH(a_refused_resize_changes_nothing),
        FRESH(the_last_blocks_freed_are_remembered),
        FRESH(the_latest_of_freed_blocks_is_found),
        FRESH(what_cannot_be_unmapped_is_unmapped_later),
        FRESH(without_memory_there_is_no_block),
        FRESH_FAULT(a_huge_block_freed_twice_is_a_fault, "",
                    "free(@): double free: a huge block of 67108864 bytes, free"),
        FRESH_FAULT(freeing_the_inside_of_a_huge_block_is_a_fault, "",
                    "free(@): not a block's start: 65536 bytes into a huge block of 67108864 bytes, live"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
