/*
 * herd.h - blocks of a movable space: each is looked up again at every use, unless it is pinned.
 */
#pragma once

#include <errno.h>
#include <string.h>

#include "mems_heap/complaint.h"
#include "support/marked.h"
#include "support/random.h"
#include "support/space_heap.h"

#define HERD_MAX 1024

struct animal {
    void *handle;
    size_t size;
    uint64_t mark;
    unsigned pins;
    unsigned char *pinned_at; /* of a block with pins */
};

struct herd {
    struct mems_space *space;
    struct animal animals[HERD_MAX];
    size_t count;
    uint64_t next_mark;
    bool refusals; /* system calls may fail, and operations with them, which then change nothing */
};

/* Keeps errors off standard error. */
static inline void herd_hear(const struct mems_error *error, void *context) {
    (void)error;
    (void)context;
}

static inline void herd_begin(struct herd *herd, const struct mems_space_options *options) {
    memset(herd, 0, sizeof *herd);
    complaint_set_handler(herd_hear, NULL);
    herd->space = space_create(options);
    CHECK(herd->space != NULL);
}

static inline struct marked herd_block(const struct herd *herd, const struct animal *animal) {
    unsigned char *memory = space_get("get", herd->space, animal->handle);
    CHECK(memory != NULL);
    CHECK(animal->pins == 0 || memory == animal->pinned_at);
    return (struct marked){.memory = memory, .size = animal->size, .mark = animal->mark};
}

static inline void herd_fill(struct herd *herd, struct animal *animal) {
    animal->mark = ++herd->next_mark * UINT64_C(0x9e3779b97f4a7c15);
    struct marked block = herd_block(herd, animal);
    marked_fill(&block);
}

static inline bool herd_intact(const struct herd *herd, const struct animal *animal, size_t size) {
    struct marked block = herd_block(herd, animal);
    return marked_intact(&block, size);
}

static inline void herd_alloc(struct herd *herd, size_t size, bool zeroed) {
    void *handle =
        zeroed ? space_alloc_zeroed("calloc", herd->space, 1, size) : space_alloc("malloc", herd->space, size);
    if (handle == NULL) {
        CHECK(herd->refusals);
        return;
    }
    CHECK(herd->count < HERD_MAX);
    struct animal *animal = &herd->animals[herd->count++];
    *animal = (struct animal){.handle = handle, .size = size};
    struct marked block = herd_block(herd, animal);
    CHECK(!zeroed || marked_zero(&block));
    herd_fill(herd, animal);
}

static inline void herd_free(struct herd *herd, size_t index) {
    struct animal *animal = &herd->animals[index];
    CHECK(herd_intact(herd, animal, animal->size));
    errno = 0;
    space_free("free", herd->space, animal->handle);
    CHECK(errno == (animal->pins > 0 ? EBUSY : 0));
    if (animal->pins > 0) {
        return;
    }
    CHECK(herd->space->number == 0 || space_get("get", herd->space, animal->handle) == NULL);
    *animal = herd->animals[--herd->count];
}

static inline void herd_resize(struct herd *herd, size_t index, size_t size) {
    struct animal *animal = &herd->animals[index];
    void *handle = space_realloc("realloc", herd->space, animal->handle, size);
    if (handle == NULL) {
        CHECK(herd->refusals || animal->pins > 0);
        CHECK(herd_intact(herd, animal, animal->size));
        return;
    }
    size_t kept = size < animal->size ? size : animal->size;
    CHECK(herd->space->number == 0 || handle == animal->handle ||
          space_get("get", herd->space, animal->handle) == NULL);
    animal->handle = handle;
    CHECK(herd_intact(herd, animal, kept));
    animal->size = size;
    herd_fill(herd, animal);
}

static inline void herd_pin(struct herd *herd, size_t index) {
    struct animal *animal = &herd->animals[index];
    animal->pinned_at = space_pin("pin", herd->space, animal->handle);
    CHECK(animal->pinned_at != NULL);
    animal->pins++;
}

static inline void herd_unpin(struct herd *herd, size_t index) {
    struct animal *animal = &herd->animals[index];
    errno = 0;
    space_unpin("unpin", herd->space, animal->handle);
    CHECK(errno == (animal->pins == 0 ? EINVAL : 0));
    animal->pins -= animal->pins > 0;
}

static inline void herd_copy(struct herd *herd, size_t index, size_t offset) {
    struct animal *animal = &herd->animals[index];
    char bytes[100];
    offset %= animal->size;
    size_t size = animal->size - offset < sizeof bytes ? animal->size - offset : sizeof bytes;
    char *v_ptr = (char *)animal->handle + offset;
    CHECK(space_read("read", herd->space, v_ptr, bytes, size) == 0);
    CHECK(memcmp(bytes, space_get("get", herd->space, v_ptr), size) == 0);
    CHECK(space_write("write", herd->space, v_ptr, bytes, size) == 0);
    CHECK(herd_intact(herd, animal, animal->size));
}

static inline void herd_check(const struct herd *herd) {
    for (size_t i = 0; i < herd->count; i++) {
        CHECK(herd_intact(herd, &herd->animals[i], herd->animals[i].size));
    }
    CHECK_VALID_SPACE(herd->space);
}

/* A random operation. Most blocks are small; one in 64 is larger than a region. */
static inline void herd_act(struct herd *herd, struct random *random, bool growing) {
    size_t what = random_below(random, 100);
    size_t size = 1 + (size_t)random_magnitude(random, random_below(random, 64) == 0 ? 21 : 12);
    size_t index = herd->count > 0 ? random_below(random, herd->count) : 0;
    if ((what < (growing ? 45 : 25) && herd->count < HERD_MAX) || herd->count == 0) {
        herd_alloc(herd, size, what % 4 == 0);
    } else if (what < 60) {
        herd_free(herd, index);
    } else if (what < 72) {
        herd_resize(herd, index, size);
    } else if (what < 76) {
        herd_pin(herd, index);
    } else if (what < 86) {
        herd_unpin(herd, index);
    } else if (what < 94) {
        herd_copy(herd, index, random_below(random, 4096));
    } else if (what < 99) {
        space_compact("compact", herd->space, 1 + random_below(random, 100000));
    } else {
        space_trim("trim", herd->space);
    }
}

static inline void herd_end(struct herd *herd) {
    herd_check(herd);
    while (herd->count > 0) {
        while (herd->animals[0].pins > 0) {
            herd_unpin(herd, 0);
        }
        herd_free(herd, 0);
    }
    struct mems_stats stats;
    space_trim("trim", herd->space);
    CHECK(space_stats("stats", herd->space, &stats) == 0);
    CHECK(stats.processes == 0 && stats.process_bytes == 0 && stats.pinned == 0);
    CHECK(herd->space->store.live_bytes == 0 && stats.regions <= 1);
    CHECK_VALID_SPACE(herd->space);
    space_destroy("destroy", herd->space);
}
