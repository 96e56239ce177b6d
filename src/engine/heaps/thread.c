#include "thread.h"

#include <dlfcn.h>
#include <pthread.h>

#include "cached_blocks.h"
#include "engine/slabs/abandoned.h"
#include "engine/slabs/slab.h"
#include "hardened_heap.h"
#include "hardened_larges.h"
#include "magazine.h"
#include "magazine_budget.h"
#include "remote.h"
#include "sample_points.h"
#include "unused_heaps.h"

/* With several threads, a thread's first SHARE blocks of each class up to SHARED_SIZE_MAX come from the shared slab (of
 * a joined family, as many as of all its classes), unless the magazine of the heap's last thread had doubled
 * GROWN_UNSHARED times. */
#define SHARE 4u
#define SHARED_SIZE_MAX 2048u
#define GROWN_UNSHARED 2u

/* Before a medium class has slabs, this many of its requests are served by cached large blocks. So a program that frees
 * none gets no such slabs, which need more metadata than large blocks that it does not write. */
#define MEDIUM_SHARE 32u

/* The thread's heap is gone, and the thread must not get another, which nobody would take back. */
static TLS bool thread_is_ending;

static pthread_key_t end_of_thread;
static bool has_end_of_thread;
static void (*when_ending)(struct heap *heap);
static void (*when_ended)(void);

/* Ends the use of a heap: its blocks are flushed, its slabs are abandoned, and only then is its inbox closed,
 * so whoever finds it closed also sees the slabs' new state. */
static void give_up(struct heap *heap) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        if (!list_empty(&heap->classes[size_class].slabs)) {
            abandoned_leave(size_class, &heap->classes[size_class].slabs);
        }
    }
    heap->slab_bytes = 0;
    inbox_close(heap);
}

/* Most classes have no magazine: a short-lived thread uses few. */
static void end_magazines(struct heap *heap) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        if (heap->bottoms[size_class] != NULL) {
            magazine_note_grown(heap, size_class);
            magazine_dispose(heap, size_class);
        } else {
            heap->classes[size_class].grown = 0;
        }
    }
}

/* The key's value is not used, because the C library of another namespace may have overwritten it (create_key). */
static void thread_end(void *unused) {
    (void)unused;
    struct heap *heap = heap_mine;
    if (heap != &heap_none) {
        when_ending(heap);
    }
    thread_is_ending = true;
    if (heap == &heap_none) {
        return;
    }
    heap_mine = &heap_none;
    lock_take(&heap->lock);
    cached_flush(heap);
    if (heap->hardened != NULL) {
        hardened_leave_larges(heap);
    }
    inbox_collect(heap, SIZE_MAX, true);
    end_magazines(heap);
    magazine_budget_return(heap);
    give_up(heap);
    heap_reset(heap);
    lock_give(&heap->lock);
    heap_retire(heap);
    when_ended();
}

/* Not in every C library. */
#ifdef LM_ID_NEWLM

/* The last of the keys whose values need no memory in glibc. */
#define HIGH_KEY 31u

/* The C libraries of all namespaces (dlmopen) keep the values of their keys in the same place, and each counts from 0.
 * So our key is a high one: with a low one, a plug-in would find our value under its own key. */
static bool create_key(void) {
    pthread_key_t lower[HIGH_KEY];
    unsigned count = 0;
    bool made = pthread_key_create(&end_of_thread, thread_end) == 0;
    while (made && end_of_thread < HIGH_KEY && count < HIGH_KEY) {
        lower[count++] = end_of_thread;
        made = pthread_key_create(&end_of_thread, thread_end) == 0;
    }
    if (!made && count > 0) {
        end_of_thread = lower[--count];
        made = true;
    }
    while (count > 0) {
        pthread_key_delete(lower[--count]);
    }
    return made;
}

#else

/* With musl, each key that is deleted costs two system calls. */
static bool create_key(void) {
    return pthread_key_create(&end_of_thread, thread_end) == 0;
}

#endif

void threads_start(void (*ending)(struct heap *heap), void (*ended)(void)) {
    when_ending = ending;
    when_ended = ended;
    has_end_of_thread = create_key();
}

/* Sets how many blocks of each class first come from elsewhere. */
static void set_shares(struct heap *heap, bool alone) {
    const bool shares = !alone && heaps.harden == HARDEN_OFF;
    const unsigned end = shares ? size_class_of(SHARED_SIZE_MAX) + 1 : 0;
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct heap_class *of = &heap->classes[size_class];
        of->share =
            size_class < end && of->grown < GROWN_UNSHARED ? (uint8_t)(SHARE * size_class_joined_count(size_class)) : 0;
        of->bounces = 0;
    }
    for (unsigned size_class = MEDIUM_CLASS; size_class < EMPTY_CLASS; size_class++) {
        heap->classes[size_class].share = MEDIUM_SHARE;
    }
}

struct heap *thread_begin(void) {
    if (thread_is_ending || !has_end_of_thread) {
        return NULL;
    }
    bool alone = true;
    struct heap *heap = heap_obtain((uintptr_t)__builtin_thread_pointer(), &alone);
    if (heap == NULL) {
        return NULL;
    }
    if (heaps.harden != HARDEN_OFF && !hardened_create(heap)) {
        heap_retire(heap);
        return NULL;
    }
    heap->early_frees = heaps.harden == HARDEN_LIGHT ? EARLY_FREES : 0;
    heap_catch_up(heap);
    sample_points_begin(heap);
    inbox_open(heap);
    set_shares(heap, alone);
    /* The heap is in place before this call, which may itself allocate. */
    heap_mine = heap;
    pthread_setspecific(end_of_thread, heap);
    return heap;
}

bool thread_take_share(struct heap *heap, unsigned size_class) {
    struct heap_class *of = &heap->classes[size_class];
    if (LIKELY(of->share == 0 || heap->bottoms[size_class] != NULL)) {
        return false;
    }
    of->share--;
    return true;
}

/* Everything guarded by locks is consistent: slabs, depots, inboxes, and all of the arenas' heaps, which stay. Other
 * threads' magazines may be half changed, so their blocks are lost. */
void threads_recover(void) {
    struct heap *mine = heap_or_null();
    unused_heaps_start();
    inboxes_clear(); /* first: a set link keeps an empty slab from going back */
    heaps_purge_recover();
    uint32_t made = heaps_made();
    size_t drawn = 0;
    for (uint32_t id = 1; id <= made; id++) {
        struct heap *heap = heap_of(id);
        drawn += heap == mine || heap->arena != NULL ? heap->magazine_drawn : 0;
        if (heap->arena != NULL) {
            lock_take(&heap->lock);
            heap_let_ended_go(heap);
            lock_give(&heap->lock);
        } else if (heap != mine && heap_is_bare(heap)) {
            unused_heap_put(heap);
        } else if (heap != mine) {
            lock_take(&heap->lock);
            depot_flush(heap);
            large_cache_flush(&heap->larges, SIZE_MAX);
            give_up(heap);
            heap_reset(heap);
            hardened_give_larges(heap);
            if (heap->hardened != NULL) {
                hardened_forget(heap);
            }
            lock_give(&heap->lock);
            unused_heap_put(heap);
        }
    }
    atomic_store_explicit(&heaps.in_use, (mine != NULL) + atomic_load_explicit(&heaps.arenas, memory_order_relaxed),
                          memory_order_relaxed);
    atomic_store_explicit(&heaps.magazine_drawn, drawn, memory_order_relaxed);
    inboxes_refill();
}
