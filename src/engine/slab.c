#include "slab.h"

#include "base/compiler.h"
#include "block.h"
#include "metadata.h"

static size_t descriptor_size(unsigned size_class) {
    return sizeof(struct slab) + bitmap_words(size_classes[size_class].slots) * sizeof(bitmap_word);
}

/* The bits of a word of which every slot is free; the last word of a slab may have fewer than 64 slots. */
static uint64_t all_free(const struct slab *slab, unsigned word) {
    unsigned slots = slab->slots - word * BITMAP_WORD_BITS;
    return slots >= BITMAP_WORD_BITS ? UINT64_MAX : (UINT64_C(1) << slots) - 1;
}

static void set_free_slots(struct slab *slab, unsigned free) {
    atomic_store_explicit(&slab->free, (uint16_t)free, memory_order_relaxed);
}

struct slab *slab_create(unsigned size_class, uint32_t owner) {
    struct slab *slab = metadata_alloc(descriptor_size(size_class));
    if (slab == NULL) {
        return NULL;
    }
    list_init(&slab->link);
    slab->slots = size_classes[size_class].slots;
    slab->hint = 0;
    atomic_store_explicit(&slab->used, 0, memory_order_relaxed);
    set_free_slots(slab, slab->slots);
    atomic_store_explicit(&slab->fresh, false, memory_order_relaxed);
    bool zero;
    if (!span_take(&slab->span, size_classes[size_class].units, 1, page_map_tag(owner) | size_class, &zero)) {
        metadata_free(slab, descriptor_size(size_class));
        return NULL;
    }
    atomic_store_explicit(&slab->fresh, zero, memory_order_relaxed);
    return slab;
}

void slab_destroy(struct slab *slab) {
    size_t size = descriptor_size(slab_class(slab));
    span_give(&slab->span);
    metadata_free(slab, size);
}

/* A word at or after the hint with a free slot; the slab has one. */
static unsigned word_with_free(struct slab *slab) {
    unsigned words = (unsigned)bitmap_words(slab_used(slab));
    for (unsigned word = slab->hint; word < words; word++) {
        if (bitmap_load(slab->bitmap, word)) {
            return word;
        }
    }
    bitmap_store(slab->bitmap, words, all_free(slab, words));
    return words;
}

unsigned slab_take(struct slab *slab, void **top, unsigned count) {
    const size_t size = size_classes[slab_class(slab)].size;
    char *start = window_address(slab->span.first);
    if (count > slab_free_slots(slab)) {
        count = slab_free_slots(slab);
    }
    for (unsigned taken = 0; taken < count;) {
        unsigned word = word_with_free(slab);
        unsigned slot = 0;
        uint64_t bits = bitmap_load(slab->bitmap, word);
        for (; bits && taken < count; taken++, bits &= bits - 1) {
            slot = word * BITMAP_WORD_BITS + lowest_bit(bits);
            *top-- = start + slot * size;
        }
        if (slot >= slab_used(slab)) {
            atomic_store_explicit(&slab->used, (uint16_t)(slot + 1), memory_order_relaxed);
        }
        bitmap_store(slab->bitmap, word, bits);
        slab->hint = (uint16_t)word;
    }
    set_free_slots(slab, slab_free_slots(slab) - count);
    return count;
}

size_t slab_give(struct slab *slab, void *const *blocks, size_t count, bool prove) {
    const unsigned size_class = slab_class(slab);
    const uintptr_t start = (uintptr_t)window_address(slab->span.first);
    const size_t bytes = (size_t)slab->span.units << UNIT_SHIFT;
    size_t given = 0;
    for (; given < count; given++) {
        void *block = blocks[given];
        size_t offset = (uintptr_t)block - start;
        if (offset >= bytes) {
            break;
        }
        if (prove) {
            if (UNLIKELY(!live_test(block))) {
                block_fault("free", block);
            }
            live_clear(block);
        }
        unsigned slot = size_class_slot(size_class, offset);
        bitmap_set(slab->bitmap, slot);
        if (slot / BITMAP_WORD_BITS < slab->hint) {
            slab->hint = (uint16_t)(slot / BITMAP_WORD_BITS);
        }
    }
    set_free_slots(slab, slab_free_slots(slab) + (unsigned)given);
    return given;
}

static size_t count_free(const struct slab *slab) {
    unsigned covered = slab_covered(slab);
    return bitmap_count_range(slab->bitmap, 0, covered) + (slab->slots - covered);
}

void slab_recount(struct slab *slab) {
    set_free_slots(slab, (unsigned)count_free(slab));
    slab->hint = 0;
}

/* The bits of the slab's stretch of the live map are set at slots' starts alone, so that counting them counts slots. */
size_t slab_count_live(const struct slab *slab) {
    size_t per_unit = UNIT / GRANULE;
    return bitmap_count_range(window.live_map, slab->span.first * per_unit, slab->span.units * per_unit);
}

static bool no_slot_is_free_and_live(const struct slab *slab, unsigned size_class) {
    const char *start = window_address(slab->span.first);
    for (unsigned slot = 0; slot < slab->slots; slot++) {
        if (slab_slot_free(slab, slot) && live_test(start + (size_t)slot * size_classes[size_class].size)) {
            return false;
        }
    }
    return true;
}

bool slab_valid(const struct slab *slab, const char **why) {
    uint32_t entry = page_map_load(slab->span.first);
    const char *broken = NULL;
    if (!entry_is_slab(entry) || entry_class(entry) >= SIZE_CLASSES) {
        broken = "a slab's page map entry is no slab's";
    } else if (slab->slots != size_classes[entry_class(entry)].slots) {
        broken = "a slab's slots are not those of its class";
    } else if (page_map_count(slab->span.first, slab->span.units, entry) != slab->span.units) {
        broken = "the units of a slab have different page map entries";
    } else if (slab_used(slab) > slab->slots) {
        broken = "a slab has more used slots than slots";
    } else if (slab_free_slots(slab) != count_free(slab)) {
        broken = "a slab's count of free slots is not that of its bitmap";
    } else if (bitmap_count_range(slab->bitmap, 0, slab->hint * (size_t)BITMAP_WORD_BITS)) {
        broken = "a slab has a free slot below its hint";
    } else if (slab_count_live(slab) + slab_free_slots(slab) > slab->slots) {
        broken = "a slab has more live and free slots than slots";
    } else if (!no_slot_is_free_and_live(slab, entry_class(entry))) {
        broken = "a slot is both free and live";
    }
    if (broken != NULL) {
        *why = broken;
    }
    return broken == NULL;
}
