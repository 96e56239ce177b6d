/*
 * mems_store.c - a store of objects with handles, which stays small however they come and go.
 *
 * usage: mems_store                  the story
 *        mems_store json             a small store with gaps, as JSON: tools/draw_mems draws it
 *        mems_store json compacted   the same when its blocks have moved together
 *
 * The objects' sizes change from phase to phase, and some objects of each phase stay. With malloc they stay where they
 * are, and hold whole pages; in a movable space they move together whenever there is nothing else to do. The exit
 * status is 0 if everything was as expected. Build: cc -std=c17 mems_store.c -lmems
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mems.h>

#define OBJECTS 40000
#define PHASES 16

static void expect(bool right, const char *what) {
    if (!right) {
        fprintf(stderr, "mems_store: this is not so: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

/* --- The store --------------------------------------------------------------------------------------------------- */

/* NULL: the objects are malloc's, and their handles are pointers. */
static struct mems_space *space;

static void *store_put(const void *bytes, size_t size) {
    void *handle = space != NULL ? mems_space_malloc(space, size) : malloc(size);
    expect(handle != NULL, "there is memory for an object");
    if (space != NULL) {
        expect(mems_space_write(space, handle, bytes, size) == 0, "an object takes its bytes");
        return handle;
    }
    return memcpy(handle, bytes, size);
}

/* Looks at an object where it is: it must not move meanwhile. */
static bool store_holds(void *handle, const void *bytes, size_t size) {
    const void *object = space != NULL ? mems_space_pin(space, handle) : handle;
    bool same = memcmp(object, bytes, size) == 0;
    if (space != NULL) {
        mems_space_unpin(space, handle);
    }
    return same;
}

static void store_drop(void *handle) {
    if (space != NULL) {
        mems_space_free(space, handle);
    } else {
        free(handle);
    }
}

/* Called when there is nothing else to do; takes half a millisecond at most. */
static void store_tick(void) {
    if (space != NULL) {
        (void)mems_space_compact_for(space, 500);
    }
}

/* --- Its users --------------------------------------------------------------------------------------------------- */

static void *objects[OBJECTS];
static size_t sizes[OBJECTS];
static char patterns[256][1024];

/* Of the objects of each phase one in 16 stays. The next ones are half as large again, up to 1,000 bytes. */
static size_t run_phases(void) {
    size_t live = 0;
    for (unsigned phase = 0; phase < PHASES; phase++) {
        size_t size = 24 + 61 * phase;
        for (size_t i = 0; i < OBJECTS; i++) {
            if (objects[i] == NULL) {
                objects[i] = store_put(patterns[i % 256], size);
                sizes[i] = size;
                live += size;
            }
        }
        for (size_t i = 0; i < OBJECTS; i++) {
            if (i * 7919 % 16 != phase) { /* these stay, and those of earlier phases */
                expect(store_holds(objects[i], patterns[i % 256], sizes[i]), "an object is what was put there");
                if (sizes[i] == size) {
                    store_drop(objects[i]);
                    objects[i] = NULL;
                    live -= size;
                }
            }
            if (i % 16 == 0) {
                store_tick();
            }
        }
    }
    return live;
}

static size_t resident_bytes(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    expect(file != NULL && fscanf(file, "%*u %lu", &pages) == 1, "the system says what is resident");
    fclose(file);
    return pages * 4096;
}

/* Runs all phases and says what is resident for what is live. */
static size_t report(const char *name) {
    size_t before = resident_bytes();
    size_t live = run_phases();
    size_t resident = resident_bytes() - before;
    printf("%-16s %5.1f MiB of objects, %5.1f MiB resident\n", name, (double)live / 1048576,
           (double)resident / 1048576);
    for (size_t i = 0; i < OBJECTS; i++) {
        if (objects[i] != NULL) {
            store_drop(objects[i]);
            objects[i] = NULL;
        }
    }
    return resident;
}

/* A store of two regions, from which two of three objects have gone. */
static void draw(bool compacted) {
    for (size_t i = 0; i < 18; i++) {
        objects[i] = mems_space_malloc(space, 100000 + i % 5 * 8000);
    }
    for (size_t i = 0; i < 18; i++) {
        if (i % 3 != 1) {
            store_drop(objects[i]);
        }
    }
    while (compacted && mems_space_compact(space, 0) > 0) {
    }
    mems_space_stats_json(space, stdout);
}

int main(int argc, char **argv) {
    for (size_t i = 0; i < 256; i++) {
        memset(patterns[i], (int)i, sizeof patterns[i]);
    }
    memset(objects, 0, sizeof objects);
    memset(sizes, 1, sizeof sizes);
    space = mems_space_create(&(struct mems_space_options){.movable = MEMS_MOVABLE});
    expect(space != NULL, "there is memory for a space");
    if (argc > 1 && strcmp(argv[1], "json") == 0) {
        draw(argc > 2);
        return EXIT_SUCCESS;
    }
    size_t movable = report("movable space:");
    mems_space_destroy(space);
    space = NULL;
    size_t plain = report("malloc:");
    expect(movable < plain, "a movable space stays smaller than malloc's heap");
    return EXIT_SUCCESS;
}
