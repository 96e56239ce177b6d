/*
 * space_crowd.h - a few spaces, including the default one, for a crowd of threads, and what others do beside it.
 */
#pragma once

#include <string.h>

#include "mems_heap/space_report.h"
#include "support/crowd.h"
#include "support/space_heap.h"

#define SPACES 3

/* The last one is the default space. */
static struct mems_space *spaces[SPACES + 1];

/* A movable one; the crowd keeps physical addresses, so it does not use this. */
static struct mems_space *movable;

static inline void check_spaces(void) {
    for (size_t i = 0; i <= SPACES; i++) {
        CHECK_VALID_SPACE(spaces[i]);
    }
    CHECK_VALID_SPACE(movable);
}

/* Blocks come, move and go. */
static inline void use_movable(struct random *random) {
    void *blocks[8];
    uint64_t mark = random_next(random), found;
    for (size_t i = 0; i < 8; i++) {
        blocks[i] = space_alloc_zeroed("calloc", movable, 1, 8 + random_below(random, 20000));
        CHECK(blocks[i] != NULL && space_write("write", movable, blocks[i], &mark, 8) == 0);
    }
    space_free("free", movable, blocks[0]);
    (void)space_compact("compact", movable, random_below(random, 100000));
    for (size_t i = 1; i < 8; i++) {
        blocks[i] = space_realloc("realloc", movable, blocks[i], 8 + random_below(random, 20000));
        CHECK(space_read("read", movable, blocks[i], &found, 8) == 0 && found == mark);
        space_free("free", movable, blocks[i]);
    }
}

/* Through mems_read and mems_write, and inside the block. */
static inline void copy(struct crowd_entry *entry, struct random *random) {
    unsigned char bytes[64];
    size_t offset = random_below(random, entry->block.size);
    size_t left = entry->block.size - offset;
    size_t size = left < sizeof bytes ? left : sizeof bytes;
    void *v_ptr = (char *)entry->handle + offset;
    CHECK(space_read("read", entry->heap, v_ptr, bytes, size) == 0);
    CHECK(memcmp(bytes, entry->block.memory + offset, size) == 0);
    CHECK(space_write("write", entry->heap, v_ptr, bytes, size) == 0);
}

/* --- Looking on -------------------------------------------------------------------------------------------------- */

/* The progress of a walk over a space, whose segments are adjacent. */
struct sight {
    uintptr_t next;
    size_t segments;
};

static inline int look(const struct mems_segment *segment, void *context) {
    struct sight *sight = context;
    CHECK(segment->start == sight->next && segment->last > segment->start);
    CHECK(segment->main_start <= segment->start && segment->last <= segment->main_last);
    sight->next = segment->last + 1;
    sight->segments++;
    return 0;
}

/* Everything that can be seen of a space; printed output is complete. */
static inline void inspect(struct mems_space *space) {
    struct sight sight = {.next = 1000};
    struct mems_stats stats;
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    CHECK(stream != NULL);
    CHECK(space_report_walk("walk", space, look, &sight) == 0);
    space_stats("stats", space, &stats);
    CHECK(stats.process_bytes + stats.hole_bytes == stats.pages * stats.page_size + stats.reserved_bytes);
    space_report_print("print", space, stream);
    space_report_json("json", space, stream);
    CHECK(fclose(stream) == 0);
    CHECK(strncmp(text, "----- MeMS SYSTEM STATS -----\n", 30) == 0);
    CHECK(strcmp(text + length - 3, "]}\n") == 0);
    free(text);
}

static inline void *look_on(void *count) {
    struct random random = {.state = (uintptr_t)count};
    for (uintptr_t i = 0; i < (uintptr_t)count; i++) {
        inspect(spaces[random_below(&random, SPACES + 1)]);
        use_movable(&random);
        if (i % 8 == 0) {
            space_trim("trim", spaces[random_below(&random, SPACES + 1)]);
            check_spaces();
        }
    }
    return NULL;
}

/* Spaces come and go beside the others. */
static inline void *create_and_destroy(void *count) {
    for (uintptr_t i = 0; i < (uintptr_t)count; i++) {
        struct mems_space *space = space_create(NULL);
        CHECK(space != NULL);
        CHECK(handle_address((uintptr_t)space_alloc("malloc", space, 5000)) == 1000);
        CHECK(handle_address((uintptr_t)space_alloc("malloc", space, 5000)) == 9192);
        space_destroy("destroy", space);
    }
    return NULL;
}

/* --- All together ------------------------------------------------------------------------------------------------ */

static inline void spaces_begin(void) {
    static const struct mems_space_options options[SPACES] = {{4096, 8, -1, 0}, {8192, 16, 1, 0}, {4096, 16, 0, 0}};
    for (size_t i = 0; i < SPACES; i++) {
        spaces[i] = space_create(&options[i]);
        CHECK(spaces[i] != NULL);
    }
    spaces[SPACES] = &space_default;
    movable = space_create(&(struct mems_space_options){.movable = MEMS_MOVABLE});
    CHECK(movable != NULL);
    crowd.allocator = &allocator;
    crowd.entries = 256;
    crowd.size_bits = 13;
    crowd.use = copy;
    crowd.heap_count = SPACES + 1;
    for (size_t i = 0; i <= SPACES; i++) {
        crowd.heaps[i] = spaces[i];
    }
    CHECK_EQUAL(space_start("mems_init"), 0);
}

/* Once all blocks are freed, only HOLEs are left, and after a trim no memory. */
static inline void spaces_end(void) {
    crowd_clear(1);
    check_spaces();
    for (size_t i = 0; i <= SPACES; i++) {
        struct mems_stats stats;
        space_trim("trim", spaces[i]);
        space_stats("stats", spaces[i], &stats);
        CHECK(stats.processes == 0 && stats.pages == 0 && stats.failures == 0 && stats.main_nodes <= 1);
    }
    for (size_t i = 0; i < SPACES; i++) {
        space_destroy("destroy", spaces[i]);
    }
    CHECK(movable->processes == 0 && movable->copying == 0);
    space_destroy("destroy", movable);
    space_finish("mems_finish");
}
