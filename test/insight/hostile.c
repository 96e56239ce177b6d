/*
 * hostile.c - a process that keeps changing its heap's metadata to nonsense: descriptors, tables, the root and its
 * rows. Its argument is the seed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/root/root.h"
#include "engine/samples/sample.h"
#include "engine/tables/window.h"

static uint64_t state;

static uint64_t chance(void) {
    state += 0x9e3779b97f4a7c15;
    uint64_t mixed = (state ^ state >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
}

/* An address in a range; half of the time the word is restored after a moment. */
static void scribble(void *start, size_t size) {
    static const uint64_t limits[] = {0, 1, 255, 65536, UINT32_MAX, (uint64_t)1 << 47, UINT64_MAX};
    uint64_t *word = (uint64_t *)start + chance() % (size / sizeof *word);
    uint64_t before = *word;
    switch (chance() % 3) {
    case 0:
        *(volatile uint64_t *)word = limits[chance() % (sizeof limits / sizeof *limits)];
        break;
    case 1:
        *(volatile uint64_t *)word = before ^ (uint64_t)1 << chance() % 64;
        break;
    default:
        *(volatile uint64_t *)word = ((uint64_t *)start)[chance() % (size / sizeof *word)];
    }
    if (chance() % 8 != 0) {
        usleep(chance() % 200);
        *(volatile uint64_t *)word = before;
    }
}

int main(int count, char **words) {
    state = count > 1 ? strtoull(words[1], NULL, 10) : 1;
    static void *blocks[3000];
    for (size_t i = 0; i < 3000; i++) {
        blocks[i] = malloc(i);
    }
    for (size_t i = 0; i < 3000; i += 2) {
        free(blocks[i]);
    }
    malloc((size_t)1 << 20);
    malloc((size_t)70 << 20);
    char line[64];
    int length = snprintf(line, sizeof line, "live %#lx\nnothing 0x10\n", (unsigned long)blocks[1]);
    if (write(STDOUT_FILENO, line, (size_t)length) != length) {
        return 1;
    }
    struct window window = *mems_root.window;
    const struct {
        void *start;
        size_t size;
    } places[] = {
        {(void *)window.metadata_area.start, 65536},
        {(void *)window.metadata_area.start, 65536},
        {(void *)window.spans, 512},
        {(void *)(uintptr_t)window.page_map, 512},
        {window.live_map, 65536},
        {(void *)window.heaps, 64},
        {mems_root.window, sizeof window},
        {&mems_root, sizeof mems_root},
        {mems_root.samples, sizeof *mems_root.samples},
        {mems_root.stack_table, sizeof *mems_root.stack_table},
        {(void *)(uintptr_t)mems_root.head.rows, 4000},
    };
    for (;;) {
        size_t i = chance() % (sizeof places / sizeof *places);
        scribble(places[i].start, places[i].size);
    }
}
