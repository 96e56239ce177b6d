#include "batch.h"

#include "engine/engine.h"
#include "fast_path.h"

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
