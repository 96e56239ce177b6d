#include "slab.h"

#include "base/bits.h"
#include "base/compiler.h"
#include "base/fault.h"
#include "engine/memory/harden_guards.h"
#include "engine/tables/canary.h"
#include "engine/tables/live_map.h"
#include "engine/tables/metadata.h"
#include "os/os.h"
#include "slot_record.h"

static size_t descriptor_size(unsigned size_class) {
    return sizeof(struct slab) + bitmap_words(size_classes[size_class].slots) * sizeof(bitmap_word);
}

_Static_assert(sizeof(struct slab) + UNIT / GRANULE / 8 + METADATA_STEP - 1 + sizeof(struct free_span) <=
                   METADATA_OF_UNIT,
               "with a unit comes the metadata for it");

/* The bits of a bitmap word whose slots are all free; the last word of a slab may have fewer than 64 slots. */
static uint64_t all_free(const struct slab *slab, unsigned word) {
    unsigned slots = slab->slots - word * BITMAP_WORD_BITS;
    return slots >= BITMAP_WORD_BITS ? UINT64_MAX : (UINT64_C(1) << slots) - 1;
}

static void set_free_slots(struct slab *slab, unsigned free) {
    slab_count_add(&slab_counts_of(slab)->free, (size_t)free - slab_free_slots(slab));
    atomic_store_explicit(&slab->free, (uint16_t)free, memory_order_relaxed);
}

/* How many slots of a slab were never handed out and hold no data. */
static size_t untouched(const struct slab *slab) {
    return atomic_load_explicit(&slab->fresh, memory_order_relaxed) ? slab->slots - slab_used(slab) : 0;
}

static void set_used(struct slab *slab, unsigned used) {
    size_t before = untouched(slab);
    atomic_store_explicit(&slab->used, (uint16_t)used, memory_order_relaxed);
    if (before != 0) {
        slab_count_add(&slab_counts_of(slab)->untouched, untouched(slab) - before);
    }
}

/* Counts a slab that begins (by = 1) or ends (by = -1). */
static void count_slab(const struct slab *slab, size_t by) {
    struct slab_counts *counts = slab_counts_of(slab);
    slab_count_add(&counts->slabs, by);
    slab_count_add(&counts->free, by * slab->slots);
    slab_count_add(&counts->untouched, by * untouched(slab));
}

struct slab *slab_create(unsigned size_class, uint32_t id) {
    struct slab *slab = metadata_alloc(descriptor_size(size_class));
    if (slab == NULL) {
        return NULL;
    }
    list_init(&slab->link);
    list_init(&slab->age);
    slab->slots = size_classes[size_class].slots;
    slab->hint = 0;
    slab->guards = 0;
    slab->purging = false;
    slab->unsettled = false;
    slab->absent = slab->resting = 0;
    atomic_store_explicit(&slab->advised, false, memory_order_relaxed);
    slab->born_s = (uint32_t)(os_coarse_ms() / 1000);
    atomic_store_explicit(&slab->used, 0, memory_order_relaxed);
    atomic_store_explicit(&slab->free, slab->slots, memory_order_relaxed);
    atomic_store_explicit(&slab->fresh, false, memory_order_relaxed);
    bool zero;
    if (!span_take(&slab->span, size_classes[size_class].units, 1, page_map_tag(id) | size_class, &zero)) {
        metadata_free(slab, descriptor_size(size_class));
        return NULL;
    }
    atomic_store_explicit(&slab->fresh, zero, memory_order_relaxed);
    if (guards.means != GUARDS_NONE) {
        slab->guards = (uint8_t)guard_slab(window_address(slab->span.first), size_class);
    }
    slabs_note_heap(id);
    count_slab(slab, 1);
    slab_pages_begin(slab, zero);
    return slab;
}

bool slab_disposable(const struct slab *slab) {
    if (!slab_empty(slab) || slab->purging) {
        return false;
    }
    for (size_t unit = slab->span.first; unit < slab->span.first + slab->span.units; unit++) {
        if (atomic_load_explicit(&window.inbox_links[unit], memory_order_relaxed) != 0) {
            return false;
        }
    }
    return true;
}

struct slab *slabs_first_with_room(const struct list *slabs) {
    struct slab *first = NULL;
    for (struct list *link = slabs->next; first == NULL && link != slabs; link = link->next) {
        struct slab *slab = CONTAINER_OF(link, struct slab, link);
        if (slab_free_slots(slab) == 0) {
            break;
        }
        first = slab->purging ? NULL : slab;
    }
    return first;
}

void slab_destroy(struct slab *slab) {
    size_t size = descriptor_size(slab_class(slab));
    ASSERT(slab_empty(slab) && !slab->purging);
    list_remove(&slab->age);
    /* Always, because a remote bit left here, by a block freed twice at the same moment, would hit the next slab. */
    slab_settle(slab);
    count_slab(slab, (size_t)-1);
    slab_pages_end(slab);
    if (UNLIKELY(!guard_clear_slab(window_address(slab->span.first), slab_class(slab), slab->guards))) {
        span_lose(&slab->span);
    } else if (UNLIKELY(atomic_load_explicit(&slab->advised, memory_order_relaxed))) {
        span_give_advised(&slab->span);
    } else {
        span_give(&slab->span);
    }
    metadata_free(slab, size);
}

void slab_wipe(struct slab *slab) {
    for (size_t unit = slab->span.first; unit < slab->span.first + slab->span.units; unit++) {
        struct live_word *words = live_words_of_unit(unit);
        for (unsigned i = 0; i < UNIT / LIVE_WORD_BYTES; i++) {
            live_settle(&words[i], UINT64_MAX);
        }
    }
    slab_count_add(&slab_counts_of(slab)->untouched, -untouched(slab));
    atomic_store_explicit(&slab->fresh, false, memory_order_relaxed);
    set_used(slab, 0);
    set_free_slots(slab, slab->slots);
    slab->hint = 0;
    slab->unsettled = false;
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
    ASSERT(!slab->purging);
    if (slab->unsettled) {
        slab_settle(slab);
    }
    if (count > slab_free_slots(slab)) {
        count = slab_free_slots(slab);
    }
    for (unsigned taken = 0; taken < count;) {
        unsigned word = word_with_free(slab);
        uint64_t bits = bitmap_load(slab->bitmap, word);
        const unsigned first = word * BITMAP_WORD_BITS + lowest_bit(bits);
        unsigned slot = first;
        for (; bits && taken < count; taken++, bits &= bits - 1) {
            slot = word * BITMAP_WORD_BITS + lowest_bit(bits);
            *top-- = start + slot * size;
        }
        slab_touch(slab, first * size, (slot + 1) * size);
        if (slot >= slab_used(slab)) {
            set_used(slab, slot + 1);
            size_class_note_use(slab_class(slab), slot + 1);
        }
        bitmap_store(slab->bitmap, word, bits);
        slab->hint = (uint8_t)word;
    }
    set_free_slots(slab, slab_free_slots(slab) - count);
    return count;
}

static void free_slots(struct slab *slab, unsigned word, uint64_t bits, unsigned count) {
    bitmap_store(slab->bitmap, word, bitmap_load(slab->bitmap, word) | bits);
    if (word < slab->hint) {
        slab->hint = (uint8_t)word;
    }
    set_free_slots(slab, slab_free_slots(slab) + count);
}

void slab_count_free(uint32_t id, unsigned size_class, size_t count) {
    slab_count_add(&slab_counts_of_heap(id, size_class)->free, count);
}

size_t slab_give(struct slab *slab, void *const *blocks, size_t count) {
    const size_t given = slab_give_counted(slab, slab_class(slab), blocks, count);
    slab_count_add(&slab_counts_of(slab)->free, given);
    return given;
}

/* A run of slots in one word of the bitmap, to be freed together. */
struct run {
    unsigned word;
    uint64_t bits;
    unsigned count;
};

static void run_add(struct slab *slab, struct run *run, unsigned slot) {
    if (slot / BITMAP_WORD_BITS != run->word) {
        free_slots(slab, run->word, run->bits, run->count);
        *run = (struct run){.word = slot / BITMAP_WORD_BITS};
    }
    run->bits |= UINT64_C(1) << slot % BITMAP_WORD_BITS;
    run->count++;
}

/* Collects the remote bits of one word of the live map, at an offset of the slab. Slots that are free already have
 * remote bits only in an unsettled slab. All of these slots were handed out, so their words of the bitmap are
 * initialised. */
static void collect_word(struct slab *slab, unsigned size_class, struct run *run, size_t offset, uint64_t remote,
                         bool writer) {
    const bool settled = !slab->unsettled;
    char *start = window_address(slab->span.first);
    struct live_word *word = live_word_of(start + offset);
    uint64_t wrong = remote & ~atomic_load_explicit(&word->live, memory_order_relaxed);
    if (UNLIKELY(wrong != 0)) {
        live_suspect(start + offset + lowest_bit(wrong) * GRANULE);
    }
    for (uint64_t bits = remote & ~wrong; bits != 0; bits &= bits - 1) {
        unsigned slot = size_class_slot(size_class, offset + lowest_bit(bits) * GRANULE);
        if (settled || !bitmap_test(slab->bitmap, slot)) {
            run_add(slab, run, slot);
        }
    }
    if (writer) {
        live_settle(word, remote);
    } else {
        slab->unsettled = true;
    }
}

/* The first offset of at, at + step, ... in the unit of these words whose word has a remote bit; UNIT or more: none.
 * seq_cst, after the unit's link is cleared: partner of live_end_remotely, which sets a bit and then reads the link.
 * Acquire: what the block's user did comes before what its next user does. */
static size_t next_remote(const struct live_word *words, size_t at, size_t step) {
    while (at < UNIT && atomic_load_explicit(&words[at / LIVE_WORD_BYTES].remote, memory_order_seq_cst) == 0) {
        at += step;
    }
    return at;
}

/* Neighbouring blocks mostly share a word of the bitmap, which is written once for all of them. If slots are larger
 * than a word of the live map covers, only the words in which a slot starts are read. */
void slab_collect(struct slab *slab, size_t unit, bool writer) {
    const unsigned size_class = slab_class(slab);
    const size_t size = size_classes[size_class].size;
    const size_t first = (unit - slab->span.first) << UNIT_SHIFT;
    const size_t step = size <= LIVE_WORD_BYTES ? LIVE_WORD_BYTES : size;
    const size_t free_before = slab_free_slots(slab);
    const struct live_word *words = live_words_of_unit(unit);
    struct run run = {0};
    size_t at = next_remote(words, (first + step - 1) / step * step - first, step);
    while (at < UNIT) {
        uint64_t remote = atomic_load_explicit(&words[at / LIVE_WORD_BYTES].remote, memory_order_acquire);
        collect_word(slab, size_class, &run, first + round_down(at, LIVE_WORD_BYTES), remote, writer);
        at = next_remote(words, at + step, step);
    }
    free_slots(slab, run.word, run.bits, run.count);
    slab_count_add(&slab_counts_of(slab)->remote, free_before - slab_free_slots(slab));
}

/* With slots of this size or more, slab_collect reads so few words that it is faster than a search of the unit. */
#define COLLECT_SIZE (8 * LIVE_WORD_BYTES)

/* Few units have remote bits, and a search sees sooner than slab_collect that one has none. */
void slab_settle(struct slab *slab) {
    const bool collects = size_classes[slab_class(slab)].size >= COLLECT_SIZE;
    for (size_t unit = slab->span.first; unit < slab->span.first + slab->span.units; unit++) {
        if (collects || live_find_remote(unit) != NULL) {
            slab_collect(slab, unit, true);
        }
    }
    slab->unsettled = false;
}

void *slab_steal(struct slab *slab) {
    const size_t size = size_classes[slab_class(slab)].size;
    char *start = window_address(slab->span.first);
    ASSERT(!slab->purging);
    for (unsigned word = slab->hint; slab->unsettled && word < bitmap_words(slab_used(slab)); word++) {
        for (uint64_t bits = bitmap_load(slab->bitmap, word); bits != 0; bits &= bits - 1) {
            void *block = start + (word * BITMAP_WORD_BITS + lowest_bit(bits)) * size;
            if (live_take_over(block)) {
                size_t offset = (size_t)((char *)block - start);
                slab_touch(slab, offset, offset + size);
                bitmap_clear(slab->bitmap, word * BITMAP_WORD_BITS + lowest_bit(bits));
                set_free_slots(slab, slab_free_slots(slab) - 1);
                return block;
            }
        }
    }
    slab->unsettled = false;
    return NULL;
}

void slab_clear(struct slab *slab) {
    const unsigned size_class = slab_class(slab);
    char *start = window_address(slab->span.first);
    for (unsigned number = 0; number < slab_used(slab); number++) {
        const size_t offset = number * (size_t)size_classes[size_class].size;
        char *slot = start + offset;
        if (size_class != EMPTY_CLASS && !slab_absent(slab, offset, offset + size_class_room(size_class))) {
            zero_write(slot, size_class_room(size_class));
        }
        if (window.records != NULL) {
            const struct slot of = slot_of(slot, size_class);
            record_store(&of, 0);
        }
    }
}

static size_t count_free(const struct slab *slab) {
    unsigned covered = slab_covered(slab);
    return bitmap_count_range(slab->bitmap, 0, covered) + (slab->slots - covered);
}

size_t slab_count_live(const struct slab *slab) {
    return live_count(slab->span.first, slab->span.units);
}

size_t slab_count_cached(const struct slab *slab) {
    const size_t size = size_classes[slab_class(slab)].size;
    const char *start = window_address(slab->span.first);
    size_t count = 0;
    for (unsigned slot = 0; slot < slab_used(slab); slot++) {
        count += !slab_slot_free(slab, slot) && !live_bit_is_set(start + slot * size);
    }
    return count;
}

/* A slot whose bits contradict the table in slab.h, or NULL. */
static const char *slot_broken(const struct slab *slab, unsigned slot, const void *start) {
    const bool is_free = slab_slot_free(slab, slot);
    const bool remote = live_freed_remotely(start);
    if (remote && !live_bit_is_set(start)) {
        return "a slot is freed remotely and not live";
    }
    if (is_free && live_test(start)) {
        return "a slot is both free and live";
    }
    if (is_free && remote && !slab->unsettled) {
        return "a free slot is to be settled, in a slab that has none";
    }
    if (!is_free && remote &&
        atomic_load_explicit(&window.inbox_links[window_unit(start)], memory_order_relaxed) == 0) {
        return "a slot is freed remotely, and its unit is not announced";
    }
    return NULL;
}

static const char *slots_broken(const struct slab *slab, unsigned size_class) {
    const char *start = window_address(slab->span.first);
    const char *broken = NULL;
    size_t bits = 0;
    for (unsigned slot = 0; slot < slab->slots && broken == NULL; slot++, start += size_classes[size_class].size) {
        broken = slot_broken(slab, slot, start);
        bits += (size_t)live_bit_is_set(start) + live_freed_remotely(start);
    }
    if (broken == NULL && bits != live_count_bits(slab->span.first, slab->span.units)) {
        broken = "a bit of the live map is set that is no slot's";
    }
    return broken;
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
    } else {
        broken = slab_pages_broken(slab);
        broken = broken != NULL ? broken : slots_broken(slab, entry_class(entry));
    }
    if (broken != NULL) {
        *why = broken;
    }
    return broken == NULL;
}
