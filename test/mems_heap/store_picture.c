/*
 * store_picture.c - a movable space of two regions, from which two of three blocks have gone, as JSON for
 * tools/draw_mems; with an argument, after a compaction.
 */
#include <stdio.h>

#include <mems.h>

int main(int count, char **words) {
    (void)words;
    struct mems_space *space = mems_space_create(&(struct mems_space_options){.movable = MEMS_MOVABLE});
    void *blocks[18];
    for (size_t i = 0; i < 18; i++) {
        blocks[i] = mems_space_malloc(space, 100000 + i % 5 * 8000);
    }
    for (size_t i = 0; i < 18; i++) {
        if (i % 3 != 1) {
            mems_space_free(space, blocks[i]);
        }
    }
    while (count > 1 && mems_space_compact(space, 0) > 0) {
    }
    mems_space_stats_json(space, stdout);
    return 0;
}
