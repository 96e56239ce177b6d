#include "quarantine.h"

#include <stdatomic.h>

#include "base/compiler.h"
#include "engine/tables/metadata.h"
#include "heap.h"

/* The capacity of the quarantines of all heaps (relaxed: only a bound). */
static _Atomic size_t drawn;

static uint32_t places_for(size_t size) {
    uint32_t places = QUARANTINE_MOST;
    while (places > 1 && places * size > QUARANTINE_BYTES) {
        places /= 2;
    }
    return places;
}

static size_t bytes_of(size_t places) {
    return sizeof(struct quarantine) + 2 * places * sizeof(void *);
}

static bool draw(size_t bytes) {
    const size_t limit = atomic_load_explicit(&heaps.magazine_limit, memory_order_relaxed);
    const size_t most = limit < QUARANTINES_MOST ? limit : QUARANTINES_MOST;
    if (atomic_fetch_add_explicit(&drawn, bytes, memory_order_relaxed) + bytes <= most) {
        return true;
    }
    atomic_fetch_sub_explicit(&drawn, bytes, memory_order_relaxed);
    return false;
}

struct quarantine *quarantine_create(size_t size) {
    const size_t places = places_for(size);
    if (!draw(2 * places * size)) {
        return NULL;
    }
    struct quarantine *quarantine = metadata_alloc(bytes_of(places));
    if (quarantine == NULL) {
        atomic_fetch_sub_explicit(&drawn, 2 * places * size, memory_order_relaxed);
        return NULL;
    }
    quarantine->places = (uint32_t)places;
    quarantine->next = 0;
    for (size_t i = 0; i < 2 * places; i++) {
        quarantine->blocks[i] = NULL;
    }
    return quarantine;
}

void quarantine_dispose(struct quarantine *quarantine, size_t size) {
    atomic_fetch_sub_explicit(&drawn, size * 2 * quarantine->places, memory_order_relaxed);
    metadata_free(quarantine, bytes_of(quarantine->places));
}

size_t quarantine_gather(struct quarantine *quarantine) {
    size_t count = 0;
    for (uint32_t i = 0; i < 2 * quarantine->places; i++) {
        void *block = quarantine->blocks[i];
        quarantine->blocks[count] = block;
        count += block != NULL;
    }
    return count;
}

RACY_READER bool quarantine_holds(const struct quarantine *quarantine, const void *block) {
    for (uint32_t i = 0; i < 2 * quarantine->places; i++) {
        if (quarantine->blocks[i] == block) {
            return true;
        }
    }
    return false;
}
