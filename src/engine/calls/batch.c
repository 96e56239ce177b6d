#include "batch.h"

#include <stdint.h>

#include "base/bits.h"
#include "engine/engine.h"
#include "engine/root/root.h"
#include "fast_path.h"

/* Whether the thread's next block of this class will be medium. */
static bool makes_medium(unsigned size_class) {
    return root_medium() && heap_mine != &heap_none && heap_mine->classes[size_class].share == 0;
}

size_t good_size(size_t size) {
    if (LIKELY(size <= SMALL_MAX && root_ready())) {
        return size_classes[size_class_of(size)].size;
    }
    if (size > PTRDIFF_MAX - UNIT || !root_start()) {
        return size;
    }
    if (size <= SMALL_MAX) {
        return size_classes[size_class_of(size)].size;
    }
    if (size <= MEDIUM_MAX && makes_medium(size_class_of_medium(size))) {
        return size_classes[size_class_of_medium(size)].size;
    }
    return round_up(size, OS_PAGE);
}

void *alloc_at_least(size_t size, size_t *usable) {
    const size_t good = good_size(size);
    void *block = fast_alloc(good);
    if (block != NULL && usable != NULL) {
        *usable = good;
    }
    return block;
}

/* Each block counts as one of malloc. Returns how many. */
static size_t take_cached(struct heap *heap, size_t size, size_t count, void **blocks) {
    const unsigned size_class = size_class_of(size);
    size_t got = 0;
    for (; got < count && (blocks[got] = fast_pop(heap, size_class)) != NULL; got++) {
        if (UNLIKELY(heap_count(heap, size))) {
            blocks[got] = alloc_beat(blocks[got], size, 1);
        }
    }
    return got;
}

size_t batch_alloc(size_t size, size_t count, void **blocks) {
    size_t got = 0;
    while (got < count) {
        if (LIKELY(size <= SMALL_MAX)) {
            got += take_cached(heap_mine, size, count - got, blocks + got);
        }
        if (got < count) {
            blocks[got] = engine_alloc(size); /* refills the magazine */
            if (blocks[got] == NULL) {
                break;
            }
            got++;
        }
    }
    return got;
}

void batch_free(const char *operation, void *const *blocks, size_t count) {
    for (size_t i = 0; i < count; i++) {
        fast_free(operation, blocks[i]);
    }
}
