/* root.h - the exported structure that leads to all of the engine's state. A debugger, or a reader of another process
 * or a core, finds `mems_root` by name or by the ELF note, checks magic and version, and follows it to the window, the
 * free spans, every heap, abandoned slab, huge block and option; rows (layout.c) give offsets. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/layout.h"
#include "engine_options.h"
#include "os/lock.h"
#include "os/os.h"
#include "os/settings.h"

enum root_state { ROOT_ASLEEP, ROOT_READY, ROOT_HARDENED /* ready, with harden=light or full */ };

struct mems_root {
    struct root_head head;
    _Atomic uint32_t state; /* enum root_state: release when the engine has started, acquire by readers */
    uint32_t class_count;
    struct lock lock;         /* of the start and the options */
    struct settings settings; /* how far the options have been read */
    struct options options;   /* under the lock; fixed ones are constant after the start */
    struct window *window;
    struct size_class *size_classes;
    struct spans *spans;
    struct metadata *metadata;
    struct heaps *heaps;
    struct abandoned *abandoned; /* class_count of them */
    struct huge_table *huge_table;
    struct samples *samples;
    struct stack_table *stack_table;
    struct guarded_table *guarded_table;
    struct canaries *canaries;
    uint32_t unwinder;            /* enum os_unwinder; from the start on */
    _Atomic bool no_mapping;      /* huge blocks only if the window has no room (relaxed) */
    _Atomic uint64_t pages_moved; /* blocks whose pages realloc moved (relaxed) */
    _Atomic uint64_t failures;    /* allocations that failed (relaxed) */
    _Atomic uint64_t kept;        /* blocks that realloc left too large, for lack of memory (relaxed) */
};

extern EXPORT struct mems_root mems_root;

extern struct engine_layout engine_layout;

/* Starts the engine if necessary. False if there is no address space. */
bool root_start(void);

static inline bool root_ready(void) {
    return atomic_load_explicit(&mems_root.state, memory_order_acquire) != ROOT_ASLEEP;
}

/* It runs, without harden=light or full. */
static inline bool root_plain(void) {
    return atomic_load_explicit(&mems_root.state, memory_order_acquire) == ROOT_READY;
}

/* Whether malloc makes medium blocks (size_class.h). With several threads it makes large ones, which other threads can
 * take from an idle thread's cache. */
static inline bool root_medium(void) {
    return root_plain() && os_single_threaded();
}
