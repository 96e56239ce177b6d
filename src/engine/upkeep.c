#include "upkeep.h"

#include <limits.h>

#include "abandoned.h"
#include "heap.h"
#include "holding.h"
#include "magazine.h"
#include "metadata.h"
#include "os/os.h"
#include "remote.h"
#include "slab.h"
#include "span.h"
#include "transfer.h"

/* A heap looks for what has lain unused on one in this many slow calls, and at each beat; but not twice at the same
 * time by the coarse clock. */
#define CALLS_PER_PASS 16u

/* How often a heap collects units of classes that it does not need. */
#define COLLECT_MS 10u

/* Pages of slabs that one pass gives back, some 100 microseconds, and slabs that it looks at for them. */
#define PASS_PAGES 384u
#define PASS_SLABS 256u

/* Before slabs hold more memory than ever, free pages go back. The next time is when they hold so much more, and this
 * share; or, if much was given back, a share of that more. */
#define WAY_MIN_PAGES ((size_t)128)
#define WAY_SHARE 64u
#define WAY_RISE 8u

/* The budget of all magazines: this share of what slabs hold, and so much for each heap in use; and no more than this
 * part of the memory that the process may have, if that is known. */
#define MAGAZINES_SHARE 8u
#define MAGAZINES_HEAP ((size_t)32 << 10)
#define MAGAZINES_LIMIT_SHARE 32u

/* Percent of the last seconds in which some thread of the machine waited for memory: that is short then. */
#define PRESSURE_HIGH 10u

/* A heap is idle when its thread has taken no slow path for this long. */
#define IDLE_MS 10u

/* How often a thread looks for idle heaps. */
#define LOOK_MS 5u

/* Other heaps that one pass, or one attempt to steal, looks at. */
#define LOOKS 8u

/* Units that are collected in an idle heap at a time. */
#define COLLECTED_UNITS 64u

/* Slabs of an idle heap that are searched for a block to steal, and that are passed by on the way. */
#define SEARCHED_SLABS 4u
#define PASSED_SLABS 64u

/* Cached large blocks that one call gives back: some 20 microseconds. It looks whether they suffice after each step. */
#define UNLOADED_LARGES 64u
#define LARGES_STEP 8u

/* A heap is swept when its slabs have grown by this much, and by this share. */
#define SWEEP_MIN ((size_t)1 << 20)
#define SWEEP_SHARE 8u

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* The next of all heaps in turn, over all threads that ask. */
static struct heap *next_heap(void) {
    static _Atomic uint32_t turn;
    uint32_t made = heaps_made();
    /* Relaxed: any order of turns does. */
    return heap_of(atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed) % made + 1);
}

static unsigned looks(void) {
    uint32_t made = heaps_made();
    return made < LOOKS ? made : LOOKS;
}

static bool has_others(const struct heap *mine) {
    return atomic_load_explicit(&heaps.in_use, memory_order_relaxed) > (mine != NULL);
}

/* --- Free pages of slabs ------------------------------------------------------------------------------------------ */

/* What slabs may hold before way is made for more (relaxed: it errs by little). */
static _Atomic size_t way_level;

/* Purges aging slabs of a heap until `most` pages have gone back, or `slabs` were looked at. The lock is given back
 * after each, and nobody waits for it. */
static unsigned purge_heap(struct heap *heap, uint64_t now_ms, uint64_t age_ms, unsigned slabs, unsigned most) {
    unsigned purged = 0;
    bool more = true;
    for (; more && slabs != 0 && purged < most && lock_try(&heap->lock); slabs--) {
        more = heap_purge_oldest(heap, now_ms, age_ms, most - purged, &purged);
        lock_give(&heap->lock);
    }
    return purged;
}

/* The same of abandoned slabs, from one class on. */
static unsigned purge_abandoned(unsigned size_class, uint64_t now_ms, uint64_t age_ms, unsigned most) {
    unsigned purged = 0;
    while (purged < most && abandoned_purge_oldest(size_class, now_ms, age_ms, most - purged, &purged)) {
        continue;
    }
    return purged;
}

/* A page goes back when it is found free twice, half the time apart that dirty memory is kept. */
static uint64_t aging_ms(void) {
    return atomic_load_explicit(&spans.decay_ms, memory_order_relaxed) / 2;
}

/* Own slabs, and the abandoned ones of a class. */
static void purge_aged(struct heap *heap, uint64_t now_ms) {
    unsigned purged = purge_heap(heap, now_ms, aging_ms(), PASS_SLABS, PASS_PAGES);
    heap->purged_class = (uint8_t)((heap->purged_class + 1) % SIZE_CLASSES);
    if (purged < PASS_PAGES) {
        purge_abandoned(heap->purged_class, now_ms, aging_ms(), PASS_PAGES - purged);
    }
}

void upkeep_make_way(struct heap *heap) {
    const size_t level = atomic_load_explicit(&way_level, memory_order_relaxed);
    const size_t present = slabs_present();
    if (present < level) {
        return;
    }
    const size_t step = smaller(larger(present / WAY_SHARE, WAY_MIN_PAGES), PASS_PAGES / 2);
    const unsigned most = (unsigned)(2 * step);
    unsigned purged = purge_heap(heap, heap->passed_ms, 0, PASS_SLABS, most);
    for (unsigned i = looks(); i != 0 && purged < most && has_others(heap); i--) {
        struct heap *other = next_heap();
        purged += other != heap ? purge_heap(other, heap->passed_ms, 0, PASS_SLABS, most - purged) : 0;
    }
    const size_t next = purged >= step ? level + purged / WAY_RISE : present - smaller(purged, present) + step;
    atomic_store_explicit(&way_level, next, memory_order_relaxed);
}

/* --- Idle heaps --------------------------------------------------------------------------------------------------- */

/* Whether the heap's thread has been away from slow paths for a while. All threads that look share what they see. */
static bool is_idle(struct heap *heap, uint64_t now_ms) {
    uint32_t calls = atomic_load_explicit(&heap->slow_calls, memory_order_relaxed);
    if (calls != atomic_load_explicit(&heap->seen_calls, memory_order_relaxed)) {
        atomic_store_explicit(&heap->seen_ms, now_ms, memory_order_relaxed);
        atomic_store_explicit(&heap->seen_calls, calls, memory_order_relaxed);
        return false;
    }
    return now_ms - atomic_load_explicit(&heap->seen_ms, memory_order_relaxed) >= IDLE_MS;
}

/* Whether an idle heap has not been reclaimed since its thread was last seen, or was sent something since. */
static bool has_more(const struct heap *heap) {
    return inbox_has_units(heap) || atomic_load_explicit(&heap->reclaimed, memory_order_relaxed) !=
                                        atomic_load_explicit(&heap->slow_calls, memory_order_relaxed) + 1;
}

/* Collects up to `units` units of another thread's heap, and gives its depot, as many large blocks and its empty slabs
 * back. What its
 * magazines hold stays: only its thread may touch them. Under its lock. */
static void reclaim(struct heap *heap, size_t units) {
    bool more = inbox_collect(heap, units, false);
    depot_unload(heap);
    large_cache_unload(&heap->larges, units);
    more = more || large_cache_count(&heap->larges) != 0;
    heap_drop_empty(heap);
    if (!more) {
        atomic_store_explicit(&heap->reclaimed, atomic_load_explicit(&heap->slow_calls, memory_order_relaxed) + 1,
                              memory_order_relaxed);
    }
}

/* Whether it was, and had something. */
static bool reclaim_if_idle(struct heap *heap, uint64_t now_ms) {
    if (!is_idle(heap, now_ms) || !lock_try(&heap->lock)) {
        return false;
    }
    const bool more = has_more(heap);
    if (more) {
        reclaim(heap, COLLECTED_UNITS);
    }
    lock_give(&heap->lock);
    return purge_heap(heap, now_ms, aging_ms(), PASS_SLABS, PASS_PAGES) != 0 || more;
}

/* Looks at some other heaps, and reclaims those that are idle. */
static void reclaim_idle(const struct heap *mine, uint64_t now_ms) {
    for (unsigned i = looks(); i != 0 && has_others(mine); i--) {
        struct heap *heap = next_heap();
        if (heap != mine) {
            reclaim_if_idle(heap, now_ms);
        }
    }
}

/* --- Stealing ----------------------------------------------------------------------------------------------------- */

/*
 * A block of the heap's that another thread has freed, and its own thread has not taken back: from the first `most`
 * slabs that may have one, passing by up to `passing` whose free slots are all settled. Under the heap's lock.
 */
static void *steal_from(struct heap *heap, unsigned size_class, unsigned most, unsigned passing) {
    struct list *slabs = &heap->classes[size_class].slabs;
    unsigned passed = 0;
    for (struct list *link = slabs->next; link != slabs && most != 0 && passed <= passing; link = link->next) {
        struct slab *slab = CONTAINER_OF(link, struct slab, link);
        if (slab_free_slots(slab) == 0) {
            break; /* so are those behind it */
        }
        most -= slab->unsettled;
        passed += !slab->unsettled;
        void *block = slab_steal(slab);
        if (block != NULL) {
            if (slab_free_slots(slab) == 0) {
                heap_slab_full(heap, size_class, slab);
            }
            counter_add(&heap->counters.stolen, 1);
            return block;
        }
    }
    return NULL;
}

/* Takes what an idle heap has for the class. *more: there is more to be had from it, if only its empty slabs. */
static void *steal_if_idle(struct heap *victim, const struct heap *mine, unsigned size_class, uint64_t now_ms,
                           bool *more) {
    *more = false;
    if (victim == mine || !is_idle(victim, now_ms) || !lock_try(&victim->lock)) {
        return NULL;
    }
    if (has_more(victim)) {
        reclaim(victim, COLLECTED_UNITS);
    }
    void *block = steal_from(victim, size_class, SEARCHED_SLABS, PASSED_SLABS);
    *more = block != NULL || has_more(victim);
    lock_give(&victim->lock);
    return block;
}

void *upkeep_steal(struct heap *heap, unsigned size_class) {
    if (!has_others(heap)) {
        return NULL;
    }
    const uint64_t now_ms = os_coarse_ms();
    void *block = NULL;
    bool more = false;
    if (heap->victim != 0) {
        block = steal_if_idle(heap_of(heap->victim), heap, size_class, now_ms, &more);
        heap->victim = more ? heap->victim : 0;
    }
    /* A search in vain is not repeated before the clock has moved on: no heap has become idle since. */
    if (heap->victim == 0 && now_ms != heap->searched_ms) {
        heap->searched_ms = now_ms;
        for (unsigned i = looks(); heap->victim == 0 && i != 0; i--) {
            struct heap *victim = next_heap();
            block = steal_if_idle(victim, heap, size_class, now_ms, &more);
            heap->victim = more ? victim->id : 0;
        }
    }
    return block;
}

void *upkeep_steal_anywhere(struct heap *heap, unsigned size_class) {
    void *block = NULL;
    uint32_t made = heaps_made();
    for (uint32_t id = 1; block == NULL && id <= made; id++) {
        struct heap *victim = heap_of(id);
        if (victim != heap) {
            lock_take(&victim->lock);
            block = steal_from(victim, size_class, UINT_MAX, UINT_MAX);
            lock_give(&victim->lock);
        }
    }
    return block;
}

/* --- Decay and sweep ---------------------------------------------------------------------------------------------- */

void upkeep_decay(void) {
    if (spans_age()) {
        span_decay(os_coarse_ms());
    }
}

/* Classes that needed neither a refill nor room for as long as dirty memory is kept give up what they have cached;
 * those that needed room alone cache less from now on. */
static void rest_classes(struct heap *heap, uint64_t now_ms) {
    if (now_ms - heap->rested_ms < atomic_load_explicit(&spans.decay_ms, memory_order_relaxed)) {
        return;
    }
    heap->rested_ms = now_ms;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct heap_class *of = &heap->classes[size_class];
        if (of->idle && of->bottom != NULL) {
            transfer_flush_class(heap, size_class);
            magazine_dispose(heap, size_class);
        } else if (!of->refilled && of->stock.count == 0) {
            magazine_shrink(heap, size_class);
        }
        of->idle = true;
        of->refilled = false;
    }
    magazines_return(heap);
}

static void set_budget(void) {
    size_t most = larger(MAGAZINES_HEAP * atomic_load_explicit(&heaps.in_use, memory_order_relaxed),
                         slabs_present() * OS_PAGE / MAGAZINES_SHARE);
    const size_t limit = atomic_load_explicit(&heaps.magazine_limit, memory_order_relaxed);
    atomic_store_explicit(&heaps.magazine_most, smaller(larger(most, MAGAZINES_MIN), limit), memory_order_relaxed);
}

static void ask_limit(void) {
    atomic_store_explicit(&heaps.magazine_limit, os_memory_allowed() / MAGAZINES_LIMIT_SHARE, memory_order_relaxed);
    set_budget();
}

static void pass(struct heap *heap, uint64_t now_ms) {
    lock_take(&heap->lock);
    heap->passed_ms = now_ms;
    if (now_ms - heap->collected_ms >= COLLECT_MS && !inbox_collect(heap, COLLECTED_UNITS, true)) {
        heap->collected_ms = now_ms;
    }
    size_t units = depot_decay(heap, now_ms);
    large_cache_decay(&heap->larges, now_ms, UNLOADED_LARGES);
    rest_classes(heap, now_ms);
    lock_give(&heap->lock);
    span_purge(units);
    span_decay(now_ms);
    purge_aged(heap, now_ms);
    set_budget();
    if (now_ms - heap->looked_ms >= LOOK_MS) {
        heap->looked_ms = now_ms;
        reclaim_idle(heap, now_ms);
    }
}

void upkeep_of_others(void) {
    static _Atomic uint64_t passed_ms; /* relaxed: two passes at once do no harm */
    const uint64_t now_ms = os_coarse_ms();
    if (now_ms - atomic_load_explicit(&passed_ms, memory_order_relaxed) >= LOOK_MS) {
        atomic_store_explicit(&passed_ms, now_ms, memory_order_relaxed);
        span_decay(now_ms);
        reclaim_idle(NULL, now_ms);
    }
}

void upkeep_pass(struct heap *heap) {
    pass(heap, os_coarse_ms());
}

static void pass_if_due(struct heap *heap) {
    const uint64_t now_ms = os_coarse_ms();
    if (now_ms != heap->passed_ms) {
        pass(heap, now_ms);
    }
}

/* Returns how many there were before. */
static uint32_t count_call(struct heap *heap) {
    uint32_t calls = atomic_load_explicit(&heap->slow_calls, memory_order_relaxed);
    atomic_store_explicit(&heap->slow_calls, calls + 1, memory_order_relaxed);
    return calls;
}

void upkeep(struct heap *heap) {
    if (count_call(heap) % CALLS_PER_PASS == 0) {
        pass_if_due(heap);
    }
    upkeep_decay(); /* each call does its share of what is due */
}

void upkeep_beat(struct heap *heap) {
    count_call(heap);
    heap->until_beat = HEAP_BEAT;
    pass_if_due(heap);
}

static void sweep_later(struct heap *heap) {
    size_t share = heap->slab_bytes / SWEEP_SHARE;
    heap->sweep_at = heap->slab_bytes + (share > SWEEP_MIN ? share : SWEEP_MIN);
}

/*
 * Classes whose magazines had no refill since the last sweep give back what they have cached: a block in a magazine may
 * be the last that keeps a slab from being empty. The last slab of a class stays: what comes and goes in turn needs no
 * refill either.
 */
static bool sweep(struct heap *heap) {
    if (heap->slab_bytes < heap->sweep_at) {
        return false;
    }
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct heap_class *of = &heap->classes[size_class];
        if (of->idle) {
            transfer_flush_class(heap, size_class);
        }
        of->idle = true;
    }
    sweep_later(heap);
    return true;
}

bool upkeep_before_growth(struct heap *heap) {
    inbox_collect(heap, COLLECTED_UNITS, true);
    return depot_unload_much(heap) || sweep(heap);
}

bool upkeep_of_all(void) {
    const uint64_t now_ms = os_coarse_ms();
    const size_t before = slabs_present();
    bool busy = spans_age();
    upkeep_decay();
    const uint32_t made = heaps_made();
    for (uint32_t id = 1; id <= made; id++) {
        busy |= reclaim_if_idle(heap_of(id), now_ms);
    }
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        purge_abandoned(size_class, now_ms, aging_ms(), UINT_MAX);
    }
    set_budget();
    return busy || slabs_present() != before;
}

/* Gives up cached blocks of a heap, under its lock, up to *left; true when there is a dirty span as is wanted. */
static bool unload_larges(struct heap *heap, size_t units, size_t most, size_t least, size_t *left) {
    bool fits = span_dirty_fits(units, most);
    while (!fits && *left != 0 && large_cache_count(&heap->larges) != 0 &&
           large_cache_units(&heap->larges) << UNIT_SHIFT >= least) {
        large_cache_unload(&heap->larges, LARGES_STEP);
        *left -= LARGES_STEP;
        fits = span_dirty_fits(units, most);
    }
    return fits;
}

void upkeep_unload_larges(struct heap *mine, size_t units, size_t most, size_t least) {
    size_t left = UNLOADED_LARGES;
    bool fits = false;
    if (mine != NULL && large_cache_count(&mine->larges) != 0) {
        lock_take(&mine->lock);
        fits = unload_larges(mine, units, most, least, &left);
        lock_give(&mine->lock);
    }
    for (unsigned i = looks(); i != 0 && !fits && left != 0 && has_others(mine); i--) {
        struct heap *heap = next_heap();
        if (heap != mine && large_cache_count(&heap->larges) != 0 && lock_try(&heap->lock)) {
            fits = unload_larges(heap, units, most, least, &left);
            lock_give(&heap->lock);
        }
    }
}

/* --- All heaps ---------------------------------------------------------------------------------------------------- */

static void give_up_own(struct heap *heap) {
    lock_take(&heap->lock);
    transfer_flush(heap);
    inbox_collect(heap, SIZE_MAX, true);
    heap_drop_empty(heap);
    sweep_later(heap);
    lock_give(&heap->lock);
}

/* Other heaps' threads wait for their locks meanwhile, if they take a slow path at all. */
static void gather(struct heap *mine) {
    if (mine != NULL) {
        give_up_own(mine);
    }
    uint32_t made = heaps_made();
    for (uint32_t id = 1; id <= made; id++) {
        struct heap *heap = heap_of(id);
        if (heap != mine) {
            lock_take(&heap->lock);
            reclaim(heap, SIZE_MAX);
            lock_give(&heap->lock);
        }
    }
}

/* Where memory or addresses are limited, dirty ones may be what is missing. */
void upkeep_gather(struct heap *mine) {
    gather(mine);
    if (holding_limited() || window_is_claimed()) {
        (void)span_purge_all();
    }
}

size_t upkeep_trim(struct heap *mine) {
    ask_limit();
    gather(mine);
    size_t pages = abandoned_purge_all();
    uint32_t made = heaps_made();
    for (uint32_t id = 1; id <= made; id++) {
        struct heap *heap = heap_of(id);
        lock_take(&heap->lock);
        pages += heap_purge_all(heap);
        lock_give(&heap->lock);
    }
    size_t given = pages * OS_PAGE + span_purge_all();
    spans_trim_descriptors();
    return given + metadata_trim();
}

void upkeep_ask(void) {
    ask_limit();
    if (os_memory_pressure() >= PRESSURE_HIGH) {
        upkeep_trim(NULL);
    }
}
