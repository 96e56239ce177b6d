/* This file is compiled without -fsanitize=thread. */
#include "cache_lines.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "os/lock.h"

/* --- The counts of each thread -------------------------------------------------------------------------------------
 */

#define THREADS 511 /* numbers of threads fit into WRITER */
#define PLACES 256

struct place {
    uintptr_t address;
    uint64_t writes, locked;
};

static struct thread {
    struct line_counts counts[2];    /* [1]: in upkeep */
    struct place places[PLACES + 1]; /* an open hash table; the last place takes what finds no room */
    bool counting, upkeep;
} threads[THREADS + 1];

static _Atomic unsigned numbers;
static _Thread_local unsigned self; /* from 1 */

static struct thread *mine(void) {
    if (self == 0) {
        self = atomic_fetch_add(&numbers, 1) + 1;
        if (self > THREADS) {
            fprintf(stderr, "cache_lines: more than %d threads\n", THREADS);
            abort();
        }
    }
    return &threads[self];
}

void lines_begin(void) {
    mine()->counting = true;
}

void lines_end(void) {
    mine()->counting = false;
}

static void sum(uint64_t *to, const uint64_t *from, size_t count) {
    for (size_t i = 0; i < count; i++) {
        to[i] += from[i];
    }
}

struct line_counts lines_total(bool upkeep) {
    struct line_counts total = {0};
    for (size_t i = 1; i <= THREADS; i++) {
        sum((uint64_t *)&total, (const uint64_t *)&threads[i].counts[upkeep], sizeof total / sizeof(uint64_t));
    }
    return total;
}

static struct place *place_of(struct place *places, uintptr_t address) {
    size_t at = address / 2 % PLACES;
    for (size_t probe = 0; probe < PLACES; probe++, at = (at + 1) % PLACES) {
        if (places[at].address == 0 || places[at].address == address) {
            places[at].address = address;
            return &places[at];
        }
    }
    return &places[PLACES];
}

void lines_places(FILE *stream) {
    static struct place all[PLACES + 1];
    for (size_t i = 1; i <= THREADS; i++) {
        for (const struct place *place = threads[i].places; place <= &threads[i].places[PLACES]; place++) {
            struct place *sum_of = place_of(all, place->address);
            sum_of->writes += place->writes;
            sum_of->locked += place->locked;
        }
    }
    for (const struct place *place = all; place <= &all[PLACES]; place++) {
        if (place->writes + place->locked != 0) {
            fprintf(stream, "where %#lx %lu %lu\n", (unsigned long)place->address, (unsigned long)place->writes,
                    (unsigned long)place->locked);
        }
    }
}

/* The count that the calling thread adds to; NULL: none. */
static struct line_counts *counted(void) {
    struct thread *thread = mine();
    return thread->counting ? &thread->counts[thread->upkeep] : NULL;
}

/* Counts at a place in the code. */
static void count_at(uintptr_t address, uint64_t writes, uint64_t locked) {
    struct line_counts *counts = counted();
    if (counts != NULL) {
        counts->writes += writes;
        counts->locked += locked;
        if (!mine()->upkeep) {
            struct place *place = place_of(mine()->places, address);
            place->writes += writes;
            place->locked += locked;
        }
    }
}

/* --- The lines -----------------------------------------------------------------------------------------------------
 */

/* In the low bits, the thread that wrote the line last, or 0; in the others, who has a copy. Threads share bits from
 * the 56th on, so with more than 55 some shared accesses may be missed. */
#define WRITER 0x1ffu
#define SHARERS 55u
#define LINE_SHIFT 6
#define LINES ((size_t)1 << 23)

static struct line {
    _Atomic uintptr_t number; /* address >> LINE_SHIFT; 0: unused */
    _Atomic uint64_t state;
} lines[LINES];

static struct line *line_of(uintptr_t number) {
    size_t at = (size_t)((uint64_t)number * UINT64_C(0x9e3779b97f4a7c15) >> 41);
    for (size_t probe = 0; probe < LINES; probe++, at = (at + 1) % LINES) {
        uintptr_t found = atomic_load_explicit(&lines[at].number, memory_order_relaxed);
        if (found == 0 && atomic_compare_exchange_strong(&lines[at].number, &found, number)) {
            return &lines[at];
        }
        if (found == number) {
            return &lines[at];
        }
    }
    fprintf(stderr, "cache_lines: too many lines\n");
    abort();
}

static uint64_t sharer(unsigned thread) {
    return UINT64_C(1) << (9 + thread % SHARERS);
}

static void line_read(uintptr_t number) {
    struct line_counts *counts = counted();
    struct line *line = line_of(number);
    uint64_t state = atomic_load_explicit(&line->state, memory_order_relaxed);
    while ((state & sharer(self)) == 0) {
        if (atomic_compare_exchange_weak(&line->state, &state, state | sharer(self))) {
            if (counts != NULL && (state & WRITER) != 0) {
                counts->reads++;
            }
            return;
        }
    }
}

static void line_write(uintptr_t number, uintptr_t place) {
    mine();
    struct line *line = line_of(number);
    uint64_t exclusive = sharer(self) | self;
    if (atomic_load_explicit(&line->state, memory_order_relaxed) != exclusive) {
        uint64_t before = atomic_exchange(&line->state, exclusive);
        if ((before & ~exclusive) != 0) {
            count_at(place, 1, 0);
        }
    }
}

static void read_bytes(const volatile void *address, size_t size) {
    uintptr_t last = ((uintptr_t)address + size - 1) >> LINE_SHIFT;
    for (uintptr_t number = (uintptr_t)address >> LINE_SHIFT; number <= last; number++) {
        line_read(number);
    }
}

static void write_bytes(const volatile void *address, size_t size, void *place) {
    uintptr_t last = ((uintptr_t)address + size - 1) >> LINE_SHIFT;
    for (uintptr_t number = (uintptr_t)address >> LINE_SHIFT; number <= last; number++) {
        line_write(number, (uintptr_t)place);
    }
}

/* --- What the compiler calls ----------------------------------------------------------------------------------------
 */

#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#define PLACE __builtin_return_address(0)

void __tsan_init(void) {}
void __tsan_func_entry(void *caller) {
    (void)caller;
}
void __tsan_func_exit(void) {}

#define PLAIN(size)                                    \
    void __tsan_read##size(void *address) {            \
        read_bytes(address, size);                     \
    }                                                  \
    void __tsan_write##size(void *address) {           \
        write_bytes(address, size, PLACE);             \
    }                                                  \
    void __tsan_unaligned_read##size(void *address) {  \
        read_bytes(address, size);                     \
    }                                                  \
    void __tsan_unaligned_write##size(void *address) { \
        write_bytes(address, size, PLACE);             \
    }
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_read_range(void *address, size_t size) {
    read_bytes(address, size);
}
void __tsan_write_range(void *address, size_t size) {
    write_bytes(address, size, PLACE);
}

/* All are sequentially consistent, which is stronger than asked for. */
#define MODIFY(bits, name, operation)                                                                            \
    uint##bits##_t __tsan_atomic##bits##_##name(_Atomic uint##bits##_t *word, uint##bits##_t value, int order) { \
        (void)order;                                                                                             \
        count_at((uintptr_t)PLACE, 0, 1);                                                                        \
        write_bytes(word, sizeof *word, PLACE);                                                                  \
        return operation(word, value);                                                                           \
    }
#define COMPARE(bits, name)                                                                                   \
    int __tsan_atomic##bits##_compare_exchange_##name(_Atomic uint##bits##_t *word, uint##bits##_t *expected, \
                                                      uint##bits##_t value, int success, int failure) {       \
        (void)success;                                                                                        \
        (void)failure;                                                                                        \
        count_at((uintptr_t)PLACE, 0, 1);                                                                     \
        write_bytes(word, sizeof *word, PLACE);                                                               \
        return atomic_compare_exchange_strong(word, expected, value);                                         \
    }
#define ATOMIC(bits)                                                                                  \
    uint##bits##_t __tsan_atomic##bits##_load(const _Atomic uint##bits##_t *word, int order) {        \
        (void)order;                                                                                  \
        read_bytes(word, sizeof *word);                                                               \
        return atomic_load(word);                                                                     \
    }                                                                                                 \
    void __tsan_atomic##bits##_store(_Atomic uint##bits##_t *word, uint##bits##_t value, int order) { \
        if (order == memory_order_seq_cst) {                                                          \
            count_at((uintptr_t)PLACE, 0, 1);                                                         \
        }                                                                                             \
        write_bytes(word, sizeof *word, PLACE);                                                       \
        atomic_store(word, value);                                                                    \
    }                                                                                                 \
    MODIFY(bits, exchange, atomic_exchange)                                                           \
    MODIFY(bits, fetch_add, atomic_fetch_add)                                                         \
    MODIFY(bits, fetch_sub, atomic_fetch_sub)                                                         \
    MODIFY(bits, fetch_and, atomic_fetch_and)                                                         \
    MODIFY(bits, fetch_or, atomic_fetch_or)                                                           \
    MODIFY(bits, fetch_xor, atomic_fetch_xor)                                                         \
    COMPARE(bits, strong)                                                                             \
    COMPARE(bits, weak)
ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

void __tsan_atomic_thread_fence(int order) {
    if (order == memory_order_seq_cst) {
        count_at((uintptr_t)PLACE, 0, 1);
    }
    atomic_thread_fence(memory_order_seq_cst);
}
void __tsan_atomic_signal_fence(int order) {
    (void)order;
    atomic_signal_fence(memory_order_seq_cst);
}

/* --- Locks ----------------------------------------------------------------------------------------------------------
 */

void __real_lock_take_shared(struct lock *lock);
bool __real_lock_try(struct lock *lock);

/* Counts a lock that is taken, or that another thread holds. */
static void count_lock(const struct lock *lock, bool contended) {
    struct line_counts *counts = counted();
    if (counts != NULL) {
        counts->taken[lock->rank]++;
        counts->contended[lock->rank] += contended;
    }
}

void __wrap_lock_take_shared(struct lock *lock) {
    bool taken = __real_lock_try(lock);
    count_lock(lock, !taken);
    if (!taken) {
        __real_lock_take_shared(lock);
    }
}

bool __wrap_lock_try(struct lock *lock) {
    bool taken = __real_lock_try(lock);
    count_lock(lock, !taken);
    return taken;
}

/* --- Upkeep ---------------------------------------------------------------------------------------------------------
 */

struct heap;
void __real_upkeep(struct heap *heap);
void __real_upkeep_beat(struct heap *heap);

void __wrap_upkeep(struct heap *heap) {
    mine()->upkeep = true;
    __real_upkeep(heap);
    mine()->upkeep = false;
}

void __wrap_upkeep_beat(struct heap *heap) {
    mine()->upkeep = true;
    __real_upkeep_beat(heap);
    mine()->upkeep = false;
}

/* --- The clock -----------------------------------------------------------------------------------------------------
 */

_Atomic uint64_t lines_ms = 1000;

uint64_t __wrap_os_coarse_ms(void) {
    return atomic_load(&lines_ms);
}
