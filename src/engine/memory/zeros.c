#include "zeros.h"

#include <string.h>

#include "base/bits.h"
#include "engine/tables/page_map.h"
#include "engine/tables/window.h"
#include "os/futex.h"
#include "os/os.h"

/* Once HABIT blocks in a row were used, and at each further one, the next AHEAD blocks are made present; from STEADY
 * on, the next AHEAD_STEADY. If used and unused blocks come at random, at most a fifth more is present than is used. */
#define HABIT 4u
#define AHEAD 3u
#define STEADY 16u
#define AHEAD_STEADY 15u

/* A block counts as used if at least USED_QUARTERS / 4 of the sampled pages were. */
#define USED_QUARTERS 3u

/* How many pages of a block are sampled; and how many unused ones decide if the first ones are unused: of a freed
 * block, and of a live one, which is looked at again. */
#define SAMPLES ((size_t)16)
#define UNUSED_AT_ONCE ((size_t)3)
#define UNUSED_LIVE ((size_t)1)

/* Used memory of up to this many bytes is always cleared: purging, a system call and page faults, takes as long. */
#define CLEARED_MAX ((size_t)128 << 10)

/* How often a live block is looked at before it counts as unused. */
#define LOOKS 8u

static struct zeros_habit habits[ZEROS_SIZES];

static unsigned doubling_of(size_t bytes) {
    return floor_log2(bytes) - ZEROS_SHIFT;
}

/* Whether a page of a block holds data. */
typedef bool page_reader(const void *page);

static bool is_used(const void *page) {
    uint64_t word;
    memcpy(&word, page, sizeof word);
    return word != 0;
}

/* The same for a live block, whose user may do anything with it meanwhile. */
static bool is_used_by_others(const void *page) {
    return futex_word_is_not(page, 0);
}

/* Whether most of a block's pages hold data. Reading an untouched page costs a fault, so the search stops once too many
 * are unused. A used page that begins with a zero counts as unused, which is the cheaper mistake. */
static bool seems_used(const void *block, size_t bytes, page_reader *reads, size_t unused_at_once) {
    const size_t page = os_page_size();
    const size_t pages = (bytes + page - 1) / page;
    const size_t samples = pages < SAMPLES ? pages : SAMPLES;
    const size_t apart = pages / samples;
    const size_t unused_most = samples / 4 * (4 - USED_QUARTERS);
    size_t used = 0;
    size_t unused = 0;
    while (used + unused < samples && unused <= unused_most && (used != 0 || unused < unused_at_once)) {
        /* Unevenly spaced, so that a program that uses every other page does not appear to use all. */
        size_t i = samples - 1 - used - unused;
        size_t at = apart * i + 5 * i % apart;
        const bool holds = reads((const char *)block + at * page);
        used += holds;
        unused += !holds;
    }
    return used + unused == samples && unused <= unused_most;
}

/* Notes whether a block was used. */
static void count(struct zeros_habit *habit, bool used, size_t bytes) {
    const uint32_t streak = used ? atomic_load_explicit(&habit->streak, memory_order_relaxed) + 1 : 0;
    const uint32_t ahead = streak >= STEADY ? AHEAD_STEADY : AHEAD;
    atomic_store_explicit(&habit->streak, streak < STEADY ? streak : STEADY, memory_order_relaxed);
    if (streak >= HABIT || !used) {
        atomic_store_explicit(&habit->credit, used ? ahead * (uint32_t)bytes : 0, memory_order_relaxed);
    }
}

/* Looks at the watched block when `block` is allocated. If it is unused yet, the program may fill it later. */
static void look_at_live(struct zeros_watch *watch, struct zeros_habit *habit, const void *block) {
    const void *live = (const void *)(watch->live - watch->live % UNIT);
    const size_t bytes = watch->live % UNIT * OS_PAGE;
    /* It was resized and then freed, or freed by another thread, so it tells nothing. */
    if (watch->live == 0 || live == block || !page_map_holds(live) || page_map_load(window_unit(live)) != UNIT_LARGE) {
        watch->live = 0;
        return;
    }
    const bool used = seems_used(live, bytes, is_used_by_others, UNUSED_LIVE);
    watch->looks--;
    if (used || watch->looks == 0) {
        watch->live = 0;
        count(habit, used, bytes);
    }
}

static void watch_from_now_on(struct zeros_watch *watch, const void *block, size_t bytes) {
    if (watch->live == 0 && page_map_holds(block)) {
        watch->live = (uintptr_t)block | bytes / OS_PAGE;
        watch->looks = LOOKS;
    }
}

/* Makes a block that reads as zero present if the program is expected to use it. True if it stays untouched, and tells
 * later whether it was used. */
static bool leave_untouched(void *block, size_t bytes, struct zeros_watch *watches) {
    if (bytes >= ZEROS_SPARSE_MIN) {
        return false;
    }
    struct zeros_habit *habit = &habits[doubling_of(bytes)];
    if (watches != NULL) {
        look_at_live(&watches[doubling_of(bytes)], habit, block);
    }
    const uint32_t credit = atomic_load_explicit(&habit->credit, memory_order_relaxed);
    if (credit >= bytes) {
        atomic_store_explicit(&habit->credit, credit - (uint32_t)bytes, memory_order_relaxed);
        os_populate(block, bytes);
        return false;
    }
    if (watches != NULL) {
        watch_from_now_on(&watches[doubling_of(bytes)], block, bytes);
    }
    return true;
}

/* Whether a used block is cleared in place, not purged. */
static bool is_to_be_cleared(const void *block, size_t bytes) {
    return bytes <= CLEARED_MAX || seems_used(block, bytes, is_used, UNUSED_AT_ONCE);
}

bool zeros_make(void *block, size_t bytes, enum zeros_memory memory, struct zeros_watch *watches) {
    if (memory != ZEROS_FRESH && ((memory == ZEROS_USED && is_to_be_cleared(block, bytes)) || !os_purge_zeroes() ||
                                  os_purge(block, bytes) != 0)) {
        memset(block, 0, bytes);
        return false;
    }
    return leave_untouched(block, bytes, watches);
}

void zeros_learn(const void *block, size_t bytes, struct zeros_watch *watches) {
    const unsigned doubling = doubling_of(bytes);
    if (watches != NULL && watches[doubling].live == ((uintptr_t)block | bytes / OS_PAGE)) {
        watches[doubling].live = 0;
    }
    count(&habits[doubling], seems_used(block, bytes, is_used, UNUSED_AT_ONCE), bytes);
}
