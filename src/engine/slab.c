#include "slab.h"

#include "base/bits.h"
#include "base/compiler.h"
#include "base/fault.h"
#include "live_map.h"
#include "metadata.h"
#include "os/os.h"

static unsigned smaller(unsigned a, unsigned b) {
    return a < b ? a : b;
}

static size_t descriptor_size(unsigned size_class) {
    return sizeof(struct slab) + bitmap_words(size_classes[size_class].slots) * sizeof(bitmap_word);
}

_Static_assert(sizeof(struct slab) + UNIT / GRANULE / 8 + METADATA_STEP - 1 + sizeof(struct free_span) <=
                   METADATA_OF_UNIT,
               "with a unit comes the metadata for it");

/* The bits of a word of which every slot is free; the last word of a slab may have fewer than 64 slots. */
static uint64_t all_free(const struct slab *slab, unsigned word) {
    unsigned slots = slab->slots - word * BITMAP_WORD_BITS;
    return slots >= BITMAP_WORD_BITS ? UINT64_MAX : (UINT64_C(1) << slots) - 1;
}

struct slab_counts slab_counts[SLAB_COUNT_ROWS][SIZE_CLASSES];

static struct slab_counts *counts_of(const struct slab *slab) {
    uint32_t entry = page_map_load(slab->span.first);
    return &slab_counts[entry_heap(entry) % SLAB_COUNT_ROWS][entry_class(entry)];
}

static void set_free_slots(struct slab *slab, unsigned free) {
    slab_count_add(&counts_of(slab)->free, (size_t)free - slab_free_slots(slab));
    atomic_store_explicit(&slab->free, (uint16_t)free, memory_order_relaxed);
}

/* How many slots of a slab were never handed out, and hold no memory. */
static size_t untouched(const struct slab *slab) {
    return atomic_load_explicit(&slab->fresh, memory_order_relaxed) ? slab->slots - slab_used(slab) : 0;
}

static void set_used(struct slab *slab, unsigned used) {
    size_t before = untouched(slab);
    atomic_store_explicit(&slab->used, (uint16_t)used, memory_order_relaxed);
    if (before != 0) {
        slab_count_add(&counts_of(slab)->untouched, untouched(slab) - before);
    }
}

/* Counts a slab that begins, or ends: by is 1 or -1. */
static void count_slab(const struct slab *slab, size_t by) {
    struct slab_counts *counts = counts_of(slab);
    slab_count_add(&counts->slabs, by);
    slab_count_add(&counts->free, by * slab->slots);
    slab_count_add(&counts->untouched, by * untouched(slab));
}
/* --- Pages -------------------------------------------------------------------------------------------------------- */

/* What `absent` and `resting` count. Larger pages of the system are several of these. */
#define PAGE_SHIFT 12u
#define UNIT_PAGES (UNIT >> PAGE_SHIFT)

_Static_assert(SLAB_UNITS_MAX *UNIT_PAGES <= 64, "a slab has a bit for each page");

static _Atomic size_t present; /* over all slabs; relaxed: a measure, which nothing else depends on */

size_t slabs_present(void) {
    return atomic_load_explicit(&present, memory_order_relaxed);
}

/* The bits of the pages `from` to `to` - 1. */
static uint64_t page_bits(size_t from, size_t to) {
    return (UINT64_MAX >> (64 - (to - from))) << from;
}

static unsigned pages_of(const struct slab *slab) {
    return slab->span.units * (unsigned)UNIT_PAGES;
}

unsigned slab_present(const struct slab *slab) {
    return pages_of(slab) - (unsigned)__builtin_popcountll(slab->absent);
}

/* The pages from one offset to another are about to be used. */
static void touch(struct slab *slab, size_t from, size_t to) {
    if (LIKELY((slab->absent | slab->resting) == 0)) {
        return;
    }
    const size_t page = os_page_size();
    uint64_t pages = page_bits(round_down(from, page) >> PAGE_SHIFT, round_up(to, page) >> PAGE_SHIFT);
    if ((slab->absent & pages) != 0) {
        atomic_fetch_add_explicit(&present, (size_t)__builtin_popcountll(slab->absent & pages), memory_order_relaxed);
    }
    slab->absent &= ~pages;
    slab->resting &= ~pages;
}

/* --- Slabs -------------------------------------------------------------------------------------------------------- */

struct slab *slab_create(unsigned size_class, uint32_t id) {
    struct slab *slab = metadata_alloc(descriptor_size(size_class));
    if (slab == NULL) {
        return NULL;
    }
    list_init(&slab->link);
    list_init(&slab->age);
    slab->slots = size_classes[size_class].slots;
    slab->hint = 0;
    slab->unsettled = false;
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
    count_slab(slab, 1);
    slab->absent = zero ? page_bits(0, pages_of(slab)) : 0;
    slab->resting = 0;
    atomic_fetch_add_explicit(&present, slab_present(slab), memory_order_relaxed);
    return slab;
}

bool slab_disposable(const struct slab *slab) {
    if (!slab_empty(slab)) {
        return false;
    }
    for (size_t unit = slab->span.first; unit < slab->span.first + slab->span.units; unit++) {
        if (atomic_load_explicit(&window.inbox_links[unit], memory_order_relaxed) != 0) {
            return false;
        }
    }
    return true;
}

void slab_destroy(struct slab *slab) {
    size_t size = descriptor_size(slab_class(slab));
    ASSERT(slab_empty(slab));
    list_remove(&slab->age);
    /* Always: a remote bit that is left here, by a block freed twice at the same moment, would fall to the next slab.
     */
    slab_settle(slab);
    count_slab(slab, (size_t)-1);
    atomic_fetch_sub_explicit(&present, slab_present(slab), memory_order_relaxed);
    if (UNLIKELY(atomic_load_explicit(&slab->advised, memory_order_relaxed))) {
        span_give_advised(&slab->span);
    } else {
        span_give(&slab->span);
    }
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
        if (slot >= slab_used(slab)) {
            set_used(slab, slot + 1);
        }
        touch(slab, first * size, (slot + 1) * size);
        bitmap_store(slab->bitmap, word, bits);
        slab->hint = (uint16_t)word;
    }
    set_free_slots(slab, slab_free_slots(slab) - count);
    return count;
}

/* Makes slots of one word of the bitmap free. */
static void free_slots(struct slab *slab, unsigned word, uint64_t bits, unsigned count) {
    bitmap_store(slab->bitmap, word, bitmap_load(slab->bitmap, word) | bits);
    if (word < slab->hint) {
        slab->hint = (uint16_t)word;
    }
    set_free_slots(slab, slab_free_slots(slab) + count);
}

size_t slab_give(struct slab *slab, void *const *blocks, size_t count) {
    const unsigned size_class = slab_class(slab);
    const uintptr_t start = (uintptr_t)window_address(slab->span.first);
    const size_t bytes = (size_t)slab->span.units << UNIT_SHIFT;
    unsigned hint = slab->hint;
    size_t given = 0;
    for (; given < count; given++) {
        size_t offset = (uintptr_t)blocks[given] - start;
        if (offset >= bytes) {
            break;
        }
        unsigned slot = size_class_slot(size_class, offset);
        ASSERT(!slab_slot_free(slab, slot) && !live_test(blocks[given]));
        bitmap_set(slab->bitmap, slot);
        hint = smaller(hint, slot / BITMAP_WORD_BITS);
    }
    slab->hint = (uint16_t)hint;
    set_free_slots(slab, slab_free_slots(slab) + (unsigned)given);
    return given;
}

/* A run of slots that become free together, in one word of the bitmap. */
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

/* Collects one word of the live map, which begins at an offset of the slab. */
static void collect_word(struct slab *slab, struct run *run, size_t offset, bool writer) {
    char *start = window_address(slab->span.first);
    struct live_word *word = live_word_of(start + offset);
    /* seq_cst, after the clearing of the unit's link: partner of live_end_remotely, which sets a bit and then reads the
     * link. Acquire: what the block's user did to it comes before its next user. */
    uint64_t remote = atomic_load_explicit(&word->remote, memory_order_seq_cst);
    if (remote == 0) {
        return;
    }
    uint64_t wrong = remote & ~atomic_load_explicit(&word->live, memory_order_relaxed);
    if (UNLIKELY(wrong != 0)) {
        live_suspect(start + offset + lowest_bit(wrong) * GRANULE);
    }
    for (uint64_t bits = remote & ~wrong; bits != 0; bits &= bits - 1) {
        unsigned slot = size_class_slot(slab_class(slab), offset + lowest_bit(bits) * GRANULE);
        if (!slab_slot_free(slab, slot)) {
            run_add(slab, run, slot);
        }
    }
    if (writer) {
        live_settle(word, remote);
    } else {
        slab->unsettled = true;
    }
}

/* Neighbouring blocks mostly share a word of the slab's bitmap, which is written once for all of them. Of slots larger
 * than a word of the live map only the words in which one starts are looked at. */
void slab_collect(struct slab *slab, size_t unit, bool writer) {
    const size_t size = size_classes[slab_class(slab)].size;
    const size_t first = (unit - slab->span.first) << UNIT_SHIFT;
    const size_t step = size <= LIVE_WORD_BYTES ? LIVE_WORD_BYTES : size;
    const size_t free_before = slab_free_slots(slab);
    struct run run = {0};
    for (size_t at = (first + step - 1) / step * step; at < first + UNIT; at += step) {
        collect_word(slab, &run, round_down(at, LIVE_WORD_BYTES), writer);
    }
    free_slots(slab, run.word, run.bits, run.count);
    slab_count_add(&counts_of(slab)->remote, free_before - slab_free_slots(slab));
}

void slab_settle(struct slab *slab) {
    for (size_t unit = slab->span.first; unit < slab->span.first + slab->span.units; unit++) {
        slab_collect(slab, unit, true);
    }
    slab->unsettled = false;
}

void *slab_steal(struct slab *slab) {
    const size_t size = size_classes[slab_class(slab)].size;
    char *start = window_address(slab->span.first);
    for (unsigned word = slab->hint; slab->unsettled && word < bitmap_words(slab_used(slab)); word++) {
        for (uint64_t bits = bitmap_load(slab->bitmap, word); bits != 0; bits &= bits - 1) {
            void *block = start + (word * BITMAP_WORD_BITS + lowest_bit(bits)) * size;
            if (live_take_over(block)) {
                size_t offset = (size_t)((char *)block - start);
                touch(slab, offset, offset + size);
                bitmap_clear(slab->bitmap, word * BITMAP_WORD_BITS + lowest_bit(bits));
                set_free_slots(slab, slab_free_slots(slab) - 1);
                return block;
            }
        }
    }
    slab->unsettled = false;
    return NULL;
}

/* Whether all slots from `first` to `last` are free. */
static bool slots_free(const struct slab *slab, unsigned first, unsigned last) {
    const unsigned end = smaller(last + 1, slab_covered(slab));
    return first >= end || bitmap_find_clear(slab->bitmap, first, end) == BITMAP_NONE;
}

/* The pages of which every slot is free. */
static uint64_t free_pages(const struct slab *slab) {
    const unsigned size_class = slab_class(slab);
    uint64_t pages = 0;
    for (unsigned page = 0; page < pages_of(slab); page++) {
        size_t start = (size_t)page << PAGE_SHIFT;
        unsigned first = size_class_slot(size_class, start);
        unsigned last = size_class_slot(size_class, start + ((size_t)1 << PAGE_SHIFT) - 1);
        if (slots_free(slab, first, smaller(last, slab->slots - 1u))) {
            pages |= UINT64_C(1) << page;
        }
    }
    return pages;
}

/* Of some pages those that are whole pages of the system. */
static uint64_t whole_pages(uint64_t pages) {
    const unsigned step = (unsigned)(os_page_size() >> PAGE_SHIFT);
    uint64_t whole = 0;
    for (unsigned page = 0; page < 64; page += step) {
        uint64_t bits = page_bits(page, page + step);
        whole |= (pages & bits) == bits ? bits : 0;
    }
    return whole;
}

/* The lowest run of pages, and no more than `most`. */
static uint64_t first_run(uint64_t pages, unsigned most) {
    const unsigned from = lowest_bit(pages);
    const uint64_t behind = ~(pages >> from);
    const unsigned length = behind != 0 ? lowest_bit(behind) : 64;
    return page_bits(from, from + smaller(length, most));
}

unsigned slab_purge(struct slab *slab, bool resting, unsigned most) {
    if (slab_free_slots(slab) * (size_t)size_classes[slab_class(slab)].size < (size_t)1 << PAGE_SHIFT) {
        slab->resting = 0;
        return 0;
    }
    const uint64_t free = free_pages(slab);
    const unsigned step = (unsigned)(os_page_size() >> PAGE_SHIFT);
    uint64_t due = whole_pages((resting ? free & slab->resting : free) & ~slab->absent);
    unsigned purged = 0;
    while (due != 0 && purged + step <= most) {
        const uint64_t run = first_run(due, (most - purged) / step * step);
        const unsigned count = (unsigned)__builtin_popcountll(run);
        char *start = window_address(slab->span.first);
        if (os_purge(start + ((size_t)lowest_bit(run) << PAGE_SHIFT), (size_t)count << PAGE_SHIFT) == 0) {
            slab->absent |= run;
            purged += count;
        }
        due &= ~run;
    }
    slab->resting = free & ~slab->absent;
    atomic_fetch_sub_explicit(&present, purged, memory_order_relaxed);
    return purged;
}

bool slabs_purge_oldest(struct list *aging, uint64_t now_ms, uint64_t age_ms, unsigned most, unsigned *purged) {
    struct slab *slab = list_empty(aging) ? NULL : CONTAINER_OF(aging->next, struct slab, age);
    if (slab == NULL || now_ms - slab->aged_ms < age_ms) {
        return false;
    }
    list_remove(&slab->age);
    const unsigned pages = slab_purge(slab, age_ms != 0, most);
    *purged += pages;
    /* What the system refused is not tried again before something has changed. */
    if (slab->resting != 0 && (pages != 0 || age_ms != 0)) {
        slab_age(slab, aging, now_ms);
    }
    return true;
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

/* A slot against the table in slab.h; NULL: it is as it should be. */
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
    } else if ((slab->absent & ~free_pages(slab)) != 0) {
        broken = "a page of a slab is absent, and has a slot that is not free";
    } else if ((slab->resting & (slab->absent | ~free_pages(slab))) != 0) {
        broken = "a page of a slab rests that is absent, or has a slot that is not free";
    } else {
        broken = slots_broken(slab, entry_class(entry));
    }
    if (broken != NULL) {
        *why = broken;
    }
    return broken == NULL;
}
