#include "magazine.h"

#include <string.h>

#include "base/compiler.h"
#include "heap.h"
#include "live_map.h"
#include "metadata.h"

/* What a magazine holds at first. It doubles each time it proves too small, so that a thread that does little keeps
 * little. */
#define CAPACITY_START 8u

static unsigned smaller(unsigned a, unsigned b) {
    return a < b ? a : b;
}

/*
 * Statistics ask it of other threads' heaps too, whose plain words may change meanwhile (as atomics they would cost
 * each malloc and free an instruction or two): each word is read whole, and an impossible count is taken for none.
 */
RACY_READER unsigned magazine_count(const struct heap *heap, unsigned size_class) {
    void **bottom = heap->classes[size_class].bottom;
    ptrdiff_t count = bottom != NULL ? heap->tops[heap->mode_offset + size_class] - bottom : 0;
    return count >= 0 && count <= (ptrdiff_t)MAGAZINE_MAX ? (unsigned)count : 0;
}

void magazine_install(struct heap *heap, unsigned size_class, void **bottom, unsigned count) {
    *bottom = NULL;
    heap->classes[size_class].bottom = bottom;
    heap->tops[heap->mode_offset + size_class] = bottom + count;
}

bool magazine_grow(struct heap *heap, unsigned size_class) {
    void **bottom = heap->classes[size_class].bottom;
    unsigned most = size_classes[size_class].magazine;
    if (bottom == NULL) {
        void **slots = metadata_alloc(MAGAZINE_SIZE);
        if (slots != NULL) {
            magazine_install(heap, size_class, slots + MAGAZINE_MAX - smaller(CAPACITY_START, most), 0);
        }
        return slots != NULL;
    }
    unsigned capacity = magazine_capacity(bottom);
    unsigned by = smaller(capacity, most - capacity);
    if (by == 0) {
        return false;
    }
    unsigned count = magazine_count(heap, size_class);
    memmove(bottom + 1 - by, bottom + 1, count * sizeof *bottom);
    magazine_install(heap, size_class, bottom - by, count);
    return true;
}

unsigned magazine_prove(void *const *blocks, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        if (UNLIKELY(!live_end(blocks[i]))) {
            live_suspect(blocks[i]);
            return i;
        }
    }
    return count;
}

void magazine_dispose(struct heap *heap, unsigned size_class) {
    void **bottom = heap->classes[size_class].bottom;
    if (bottom != NULL) {
        metadata_free(magazine_start(bottom), MAGAZINE_SIZE);
        heap->classes[size_class].bottom = NULL;
        heap->tops[heap->mode_offset + size_class] = MAGAZINE_NONE;
    }
}
