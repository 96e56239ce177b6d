/*
 * mems_arena.c - a server's requests, each in a separate arena: all memory of a request is freed at once when it is
 * answered, however many blocks it had. At its end it shows batches, and what a block really holds.
 *
 * The exit status is 0 if everything was as expected. Build: cc -std=c17 mems_arena.c -lmems
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mems.h>

#define LINES 1000

struct line {
    struct line *next;
    char *text;
};

static void expect(int right, const char *what) {
    if (!right) {
        fprintf(stderr, "mems_arena: this is not so: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

/* Nothing in here is freed one by one. */
static struct line *answer(struct mems_arena *arena, const char *name) {
    struct line *lines = NULL;
    for (int i = 0; i < LINES; i++) {
        struct line *line = mems_arena_malloc(arena, sizeof *line);
        expect(line != NULL, "there is memory for a line");
        line->text = mems_arena_malloc(arena, 80);
        expect(line->text != NULL, "there is memory for its text");
        snprintf(line->text, 80, "%s, line %d", name, i);
        line->next = lines;
        lines = line;
    }
    return lines;
}

static void serve(int number) {
    char name[32];
    snprintf(name, sizeof name, "request %d", number);
    struct mems_arena *arena = mems_arena_create(name);
    expect(arena != NULL, "there is memory for an arena");
    const struct line *lines = answer(arena, name);
    struct mems_arena_stats stats;
    mems_arena_stats(arena, &stats);
    expect(stats.blocks == 2 * LINES, "each line has two blocks");
    printf("%s: %d lines, %zu blocks, %zu bytes; the last one is \"%s\"\n", stats.name, LINES, stats.blocks,
           stats.bytes, lines->text);
    mems_arena_destroy(arena);
}

static void take_and_give_at_once(void) {
    void *blocks[500];
    expect(mems_alloc_batch(64, 500, blocks) == 500, "there is memory for a batch");
    free(blocks[7]); /* they are blocks like any others */
    blocks[7] = NULL;
    mems_free_batch(blocks, 500);
    size_t usable = 0;
    char *text = mems_alloc_at_least(100, &usable);
    expect(text != NULL && usable >= 100, "a block has at least what was asked for");
    memset(text, 'x', usable);
    printf("100 bytes are a block of %zu\n", usable);
    free(text);
}

int main(void) {
    for (int number = 1; number <= 3; number++) {
        serve(number);
    }
    take_and_give_at_once();
    return EXIT_SUCCESS;
}
