/*
 * bench_blocks.c - bench_blocks WAY SIZE COUNT takes COUNT blocks of SIZE bytes, 1000 at a time, and gives them back:
 *
 *   single       malloc and free
 *   batch        mems_alloc_batch and mems_free_batch, 100 at a time
 *   arena        mems_arena_malloc and mems_arena_free
 *   reset        mems_arena_malloc, and mems_arena_reset after each 1000
 *   at_least     mems_alloc_at_least and free
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mems.h>

#define ROUND 1000u
#define BATCH 100u

static void *blocks[ROUND];
static struct mems_arena *arena;

static void single(size_t size) {
    for (unsigned i = 0; i < ROUND; i++) {
        blocks[i] = malloc(size);
    }
    for (unsigned i = 0; i < ROUND; i++) {
        free(blocks[i]);
    }
}

static void batch(size_t size) {
    for (unsigned i = 0; i < ROUND; i += BATCH) {
        (void)mems_alloc_batch(size, BATCH, blocks + i);
    }
    for (unsigned i = 0; i < ROUND; i += BATCH) {
        mems_free_batch(blocks + i, BATCH);
    }
}

static void in_arena(size_t size) {
    for (unsigned i = 0; i < ROUND; i++) {
        blocks[i] = mems_arena_malloc(arena, size);
    }
    for (unsigned i = 0; i < ROUND; i++) {
        mems_arena_free(arena, blocks[i]);
    }
}

static void reset(size_t size) {
    for (unsigned i = 0; i < ROUND; i++) {
        blocks[i] = mems_arena_malloc(arena, size);
    }
    mems_arena_reset(arena);
}

static void at_least(size_t size) {
    size_t usable;
    for (unsigned i = 0; i < ROUND; i++) {
        blocks[i] = mems_alloc_at_least(size, &usable);
    }
    for (unsigned i = 0; i < ROUND; i++) {
        free(blocks[i]);
    }
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(size_t size);
    } ways[] = {{"single", single}, {"batch", batch}, {"arena", in_arena}, {"reset", reset}, {"at_least", at_least}};
    if (argc != 4) {
        fprintf(stderr, "usage: bench_blocks WAY SIZE COUNT\n");
        return 2;
    }
    const size_t size = strtoul(argv[2], NULL, 10);
    const size_t count = strtoul(argv[3], NULL, 10);
    arena = mems_arena_create("bench");
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (strcmp(argv[1], ways[i].name) == 0) {
            for (size_t done = 0; done < count; done += ROUND) {
                ways[i].run(size);
            }
            return 0;
        }
    }
    fprintf(stderr, "bench_blocks: %s: no such way\n", argv[1]);
    return 2;
}
