/*
 * mems_store.c - a store of objects with handles, which stays small whatever happens to them.
 *
 * The objects' sizes change from phase to phase, and some of each phase stay: with malloc where they are, where they
 * hold whole pages; in a movable space they move together. Build: cc -std=c17 mems_store.c -lmems
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mems.h>

#define OBJECTS 40000

static void expect(bool right, const char *what) {
    if (!right) {
        fprintf(stderr, "mems_store: this is not so: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

/* The store is in this space; or, without one, in malloc's heap, and its handles are pointers. */
static struct mems_space *space;

static struct object {
    void *handle; /* NULL: none */
    size_t size;
} objects[OBJECTS];
static char patterns[256][1024];

static void put(struct object *object, const void *bytes, size_t size) {
    object->size = size;
    object->handle = space != NULL ? mems_space_malloc(space, size) : malloc(size);
    expect(object->handle != NULL, "there is memory for an object");
    memcpy(space != NULL ? mems_space_get(space, object->handle) : object->handle, bytes, size);
}

/* Reads an object in place; it must not move meanwhile. */
static bool holds(const struct object *object, const void *bytes) {
    void *place = space != NULL ? mems_space_pin(space, object->handle) : object->handle;
    bool same = memcmp(place, bytes, object->size) == 0;
    if (space != NULL) {
        mems_space_unpin(space, object->handle);
    }
    return same;
}

static void drop(struct object *object) {
    space != NULL ? mems_space_free(space, object->handle) : free(object->handle);
    object->handle = NULL;
}

/* One in 16 objects of each phase stays; those of the next phase are 61 bytes larger. */
static void run_phase(unsigned phase) {
    for (size_t i = 0; i < OBJECTS; i++) {
        if (objects[i].handle == NULL) {
            put(&objects[i], patterns[i % 256], 24 + 61 * phase);
        }
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        expect(holds(&objects[i], patterns[i % 256]), "an object is what was put there");
        if (i * 7919 % 16 > phase) {
            drop(&objects[i]);
        }
        if (space != NULL && i % 16 == 0) {
            mems_space_compact_for(space, 500); /* whenever there is nothing else to do: at most half a millisecond */
        }
    }
}

/* Runs all phases, and prints and returns how much memory the process has then. */
static unsigned long run(const char *name) {
    size_t live = 0;
    unsigned long pages = 0;
    for (unsigned phase = 0; phase < 16; phase++) {
        run_phase(phase);
    }
    FILE *file = fopen("/proc/self/statm", "r");
    expect(file != NULL && fscanf(file, "%*u %lu", &pages) == 1, "the system says what is resident");
    fclose(file);
    for (struct object *object = objects; object < objects + OBJECTS; object++) {
        live += object->handle != NULL ? object->size : 0;
        drop(object);
    }
    printf("%-14s %5.1f MiB of objects, %5.1f MiB resident\n", name, (double)live / 1048576, (double)pages / 256);
    return pages;
}

int main(void) {
    for (size_t i = 0; i < 256; i++) {
        memset(patterns[i], (int)i, sizeof patterns[i]);
    }
    space = mems_space_create(&(struct mems_space_options){.movable = MEMS_MOVABLE});
    expect(space != NULL, "there is memory for a space");
    unsigned long movable = run("movable space:");
    mems_space_destroy(space);
    space = NULL;
    expect(movable < run("malloc:"), "a movable space stays smaller than malloc's heap");
}
