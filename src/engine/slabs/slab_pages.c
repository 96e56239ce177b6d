/* slab_pages.c - which pages of slabs hold memory, and purging free ones. */
#include "base/bits.h"
#include "base/fault.h"
#include "engine/probe.h"
#include "engine/tables/size_class.h"
#include "os/lock.h"
#include "os/os.h"
#include "slab.h"

/* The unit of `absent` and `resting`. A larger system page is several of these. */
#define PAGE_SHIFT 12u
#define SLAB_PAGE ((size_t)1 << PAGE_SHIFT)
#define UNIT_PAGES (UNIT >> PAGE_SHIFT)

/* If a class grows, one call makes pages that were never used present: up to AHEAD_MOST, and up to 1/AHEAD_SHARE of
 * what the heap has in slabs of the class. For fewer than AHEAD_LEAST, the call would cost more than the page faults.
 */
#define AHEAD_MOST 16u
#define AHEAD_LEAST 4u
#define AHEAD_SHARE 64u

_Static_assert(SLAB_UNITS_MAX *UNIT_PAGES <= 64, "a slab has a bit for each page");

/* Over all slabs; relaxed: only measures. */
static _Atomic size_t all_pages;
static _Atomic size_t present;
static _Atomic size_t returned;

size_t slabs_returned(void) {
    return atomic_load_explicit(&returned, memory_order_relaxed);
}

size_t slabs_present(void) {
    return atomic_load_explicit(&present, memory_order_relaxed);
}

size_t slabs_absent(void) {
    const size_t here = slabs_present();
    const size_t all = atomic_load_explicit(&all_pages, memory_order_relaxed);
    return all > here ? all - here : 0;
}

/* Bits from, .., to - 1; there is at least one. */
static uint64_t page_bits(size_t from, size_t to) {
    return (UINT64_MAX >> (64 - (to - from))) << from;
}

static unsigned pages_of(const struct slab *slab) {
    return slab->span.units * (unsigned)UNIT_PAGES;
}

void slab_pages_begin(struct slab *slab, bool zero) {
    slab->absent = zero ? page_bits(0, pages_of(slab)) : 0;
    slab->resting = 0;
    atomic_fetch_add_explicit(&all_pages, pages_of(slab), memory_order_relaxed);
    atomic_fetch_add_explicit(&present, slab_present(slab), memory_order_relaxed);
}

void slab_pages_end(const struct slab *slab) {
    atomic_fetch_sub_explicit(&all_pages, pages_of(slab), memory_order_relaxed);
    atomic_fetch_sub_explicit(&present, slab_present(slab), memory_order_relaxed);
}

unsigned slab_present(const struct slab *slab) {
    return pages_of(slab) - count_bits(slab->absent);
}

bool slab_absent(const struct slab *slab, size_t from, size_t to) {
    return (slab->absent &
            page_bits(round_down(from, SLAB_PAGE) >> PAGE_SHIFT, round_up(to, SLAB_PAGE) >> PAGE_SHIFT)) != 0;
}

static uint64_t first_run(uint64_t pages) {
    const unsigned from = lowest_bit(pages);
    const uint64_t behind = ~(pages >> from);
    return page_bits(from, from + (behind != 0 ? lowest_bit(behind) : 64));
}

/* How many pages of a slab may be made present before they are used. None if slots are larger than a page, because a
 * page on which no block starts may never be written. Nor in the class for zero-size blocks: its slabs are guards. */
static unsigned pages_ahead(const struct slab *slab) {
    const unsigned size_class = slab_class(slab);
    if (size_classes[size_class].size > SLAB_PAGE || size_class == EMPTY_CLASS || os_page_size() != SLAB_PAGE) {
        return 0;
    }
    const size_t pages = slabs_of_heap(slab) * pages_of(slab) / AHEAD_SHARE;
    return pages >= AHEAD_LEAST ? (unsigned)min_size(pages, AHEAD_MOST) : 0;
}

/* The pages with slots. There may be a guard behind them. */
static unsigned pages_of_slots(const struct slab *slab) {
    const size_t bytes = slab->slots * (size_t)size_classes[slab_class(slab)].size;
    return (unsigned)(round_up(bytes, SLAB_PAGE) >> PAGE_SHIFT);
}

/* Absent pages are about to be used, the first of them for the first time. Makes them and some that follow present;
 * returns all of these. */
static uint64_t populate_ahead(const struct slab *slab, uint64_t pages) {
    const unsigned from = lowest_bit(pages);
    const unsigned ahead = pages_ahead(slab);
    if (ahead == 0) {
        return pages;
    }
    const unsigned end = (unsigned)min_size(from + ahead, pages_of_slots(slab));
    const uint64_t run = first_run(slab->absent & page_bits(from, end));
    char *start = (char *)window_address(slab->span.first) + ((size_t)from << PAGE_SHIFT);
    os_populate(start, (size_t)count_bits(run) << PAGE_SHIFT);
    return pages | run;
}

/* Some absent pages are about to be used. Those of slots that were handed out before had been purged. */
static void bring_back(struct slab *slab, uint64_t pages) {
    const size_t used = slab_used(slab) * (size_t)size_classes[slab_class(slab)].size;
    const uint64_t purged = used != 0 ? pages & page_bits(0, round_up(used, SLAB_PAGE) >> PAGE_SHIFT) : 0;
    if (purged == 0) {
        pages = populate_ahead(slab, pages);
    }
    atomic_fetch_add_explicit(&present, count_bits(pages), memory_order_relaxed);
    if (purged != 0) {
        atomic_fetch_add_explicit(&returned, count_bits(purged), memory_order_relaxed);
    }
    slab->absent &= ~pages;
}

void slab_pages_touch(struct slab *slab, size_t from, size_t to) {
    const size_t page = os_page_size();
    uint64_t pages = page_bits(round_down(from, page) >> PAGE_SHIFT, round_up(to, page) >> PAGE_SHIFT);
    if ((slab->absent & pages) != 0) {
        bring_back(slab, slab->absent & pages);
    }
    slab->resting &= ~pages;
}

static bool slots_free(const struct slab *slab, unsigned first, unsigned last) {
    const unsigned end = (unsigned)min_size(last + 1, slab_covered(slab));
    return first >= end || bitmap_find_clear(slab->bitmap, first, end) == BITMAP_NONE;
}

/* Of these pages, those with only free slots. Looks at the slots of each. */
static uint64_t free_of(const struct slab *slab, uint64_t pages) {
    const unsigned size_class = slab_class(slab);
    uint64_t free = 0;
    for (uint64_t left = pages; left != 0; left &= left - 1) {
        const size_t start = (size_t)lowest_bit(left) << PAGE_SHIFT;
        const unsigned first = size_class_slot(size_class, start);
        const unsigned last = size_class_slot(size_class, start + (SLAB_PAGE)-1);
        if (slots_free(slab, first, (unsigned)min_size(last, slab->slots - 1u))) {
            free |= left & -left;
        }
    }
    return free;
}

/* The same for a slab whose bitmap is one word: looks at each run of slots that are not free. */
static uint64_t free_of_few(const struct slab *slab, uint64_t pages) {
    const size_t size = size_classes[slab_class(slab)].size;
    uint64_t taken = slab_covered(slab) != 0 ? ~bitmap_load(slab->bitmap, 0) & page_bits(0, slab_covered(slab)) : 0;
    while (taken != 0) {
        const uint64_t run = first_run(taken);
        const size_t from = lowest_bit(run) * size;
        const size_t to = from + count_bits(run) * size;
        pages &= ~page_bits(from >> PAGE_SHIFT, round_up(to, SLAB_PAGE) >> PAGE_SHIFT);
        taken &= ~run;
    }
    return pages;
}

/* The pages with only free slots; absent ones are among them. */
static uint64_t free_pages(const struct slab *slab) {
    const uint64_t here = page_bits(0, pages_of(slab)) & ~slab->absent;
    return slab->absent | (slab->slots <= BITMAP_WORD_BITS ? free_of_few(slab, here) : free_of(slab, here));
}

/* Of these pages, those that form whole system pages. */
static uint64_t whole_pages(uint64_t pages) {
    const unsigned step = (unsigned)(os_page_size() >> PAGE_SHIFT);
    if (step == 1) {
        return pages;
    }
    uint64_t whole = 0;
    for (unsigned page = 0; page < 64; page += step) {
        uint64_t bits = page_bits(page, page + step);
        whole |= (pages & bits) == bits ? bits : 0;
    }
    return whole;
}

/* The pages to be purged, at most `most`, of a slab that was found old enough. All free pages are then resting, until
 * they are purged. */
static uint64_t pages_due(struct slab *slab, bool resting, unsigned most) {
    if (slab_free_slots(slab) * (size_t)size_classes[slab_class(slab)].size < SLAB_PAGE) {
        slab->resting = 0;
        return 0;
    }
    const uint64_t free = free_pages(slab);
    const unsigned step = (unsigned)(os_page_size() >> PAGE_SHIFT);
    uint64_t due = whole_pages((resting ? free & slab->resting : free) & ~slab->absent);
    while (count_bits(due) > most) {
        due &= ~page_bits(lowest_bit(due), lowest_bit(due) + step);
    }
    slab->resting = free & ~slab->absent;
    return due;
}

bool slab_purge_begin(struct list *aging, uint64_t now_ms, uint64_t age_ms, unsigned most, struct slab_purge *purge) {
    struct slab *slab = list_empty(aging) ? NULL : CONTAINER_OF(aging->next, struct slab, age);
    if (slab == NULL || now_ms - slab->aged_ms < age_ms) {
        return false;
    }
    list_remove(&slab->age);
    const uint64_t due = pages_due(slab, age_ms != 0, most);
    *purge = (struct slab_purge){
        .slab = slab, .pages = due, .now_ms = now_ms, .free = slab_free_slots(slab), .insists = age_ms == 0};
    slab->purging = due != 0;
    if (due == 0 && slab->resting != 0 && age_ms != 0) {
        slab_age(slab, aging, now_ms);
    }
    return true;
}

void slab_purge_pages(struct slab_purge *purge) {
    char *start = window_address(purge->slab->span.first);
    ASSERT(lock_none_held());
    for (uint64_t due = purge->pages; due != 0;) {
        const uint64_t run = first_run(due);
        char *first = start + ((size_t)lowest_bit(run) << PAGE_SHIFT);
        const size_t bytes = (size_t)count_bits(run) << PAGE_SHIFT;
        PROBE_2(purge, first, bytes);
        if (os_purge(first, bytes) != 0) {
            purge->pages &= ~run;
        }
        due &= ~run;
    }
}

bool slab_purge_end(const struct slab_purge *purge) {
    struct slab *slab = purge->slab;
    slab->absent |= purge->pages;
    slab->resting &= ~purge->pages;
    slab->purging = false;
    atomic_fetch_sub_explicit(&present, count_bits(purge->pages), memory_order_relaxed);
    return slab_free_slots(slab) != purge->free || (slab->resting != 0 && (purge->pages != 0 || !purge->insists));
}

size_t slabs_age(struct list *slabs, struct list *aging, uint64_t now_ms) {
    for (struct list *link = slabs->next; link != slabs; link = link->next) {
        struct slab *slab = CONTAINER_OF(link, struct slab, link);
        if (slab_free_slots(slab) == 0) {
            break; /* so are those behind it */
        }
        slab_age(slab, aging, now_ms);
    }
    return list_length(aging);
}

const char *slab_pages_broken(const struct slab *slab) {
    const uint64_t free = free_of(slab, page_bits(0, pages_of(slab)));
    if ((slab->absent & ~free) != 0) {
        return "a page of a slab is absent, and has a slot that is not free";
    }
    if (free_pages(slab) != free) {
        return "pages of a slab are found free, and have a slot that is not, or the reverse";
    }
    if ((slab->resting & (slab->absent | ~free)) != 0) {
        return "a page of a slab rests that is absent, or has a slot that is not free";
    }
    if (slab->purging && !list_empty(&slab->age)) {
        return "a slab that is purging ages";
    }
    return NULL;
}
