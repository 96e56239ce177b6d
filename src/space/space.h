/*
 * space.h - a MeMS heap: what the functions of mems.h do on the default space, and on those that are made.
 *
 * Each function takes the name of the public one that was called, for what is said about errors: every mistake of a
 * caller and every failure of the system sets errno and is told to the error handler (complaint.h), after the space's
 * lock has been given back, and leaves the space as it was. Arguments, results and errors are those of mems.h.
 */
#ifndef MEMS_SPACE_SPACE_H
#define MEMS_SPACE_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dict.h"
#include "free_list.h"
#include "handle.h"
#include "main_chain.h"
#include "mems.h"
#include "node.h"
#include "os/lock.h"
#include "store.h"

enum space_state { SPACE_UNUSED, SPACE_READY, SPACE_FINISHED };

/* All members but the first two are guarded by the lock; the dictionary is read without it. */
struct mems_space {
    struct lock lock;
    struct list link; /* in the list of spaces (spaces.h); the default one is in none */
    enum space_state state;
    bool movable;    /* blocks have their bytes in the store */
    bool restless;   /* and are moved as often as they may be */
    uint32_t number; /* that its handles have; 0: it has no generations */
    uint32_t newest; /* no block has had a newer generation */
    size_t page_size;
    size_t alignment;
    struct main_chain chain;
    struct free_list holes;    /* those that have memory, and all of a movable space */
    struct free_list reserved; /* those of main nodes without memory */
    struct nodes nodes;
    struct dict dict;
    struct store store;
    size_t processes; /* number of PROCESS segments */
    size_t process_bytes;
    size_t pinned;  /* number of blocks that are pinned */
    size_t copying; /* number of copies that are being made without the lock */
    uint64_t failures;
};

/* The space of those functions that name none. */
extern struct mems_space space_default;

/* For the default space: what mems_init, mems_set_page_size, mems_set_options and mems_finish do. */
int space_start(const char *function);
void space_set_page_size(size_t page_size);
int space_set_options(const char *function, const struct mems_space_options *options);
void space_finish(const char *function);

struct mems_space *space_create(const struct mems_space_options *options);
void space_destroy(const char *function, struct mems_space *space);

/* In block.c: the blocks of a space come, change and go. */
void *space_alloc(const char *function, struct mems_space *space, size_t size);
void *space_alloc_zeroed(const char *function, struct mems_space *space, size_t count, size_t size);
void *space_realloc(const char *function, struct mems_space *space, void *v_ptr, size_t size);
void space_free(const char *function, struct mems_space *space, void *v_ptr);
size_t space_usable_size(const char *function, struct mems_space *space, void *v_ptr);

/* In access.c: their bytes. */
void *space_get(const char *function, struct mems_space *space, void *v_ptr);
void *space_pin(const char *function, struct mems_space *space, void *v_ptr);
void space_unpin(const char *function, struct mems_space *space, void *v_ptr);
int space_read(const char *function, struct mems_space *space, void *v_ptr, void *to, size_t size);
int space_write(const char *function, struct mems_space *space, void *v_ptr, const void *from, size_t size);

size_t space_trim(const char *function, struct mems_space *space);
size_t space_compact(const char *function, struct mems_space *space, size_t budget);
size_t space_compact_for(const char *function, struct mems_space *space, unsigned microseconds);
int space_stats(const char *function, struct mems_space *space, struct mems_stats *stats);

/* With the space locked: its numbers; the bytes of its nodes and tables; what space_trim does. */
void space_collect(const struct mems_space *space, struct mems_stats *stats);
size_t space_metadata_bytes(const struct mems_space *space);
size_t space_trim_locked(struct mems_space *space);

/*
 * Takes the space's lock. False, without the lock, when the space is NULL or finished, which is told, with the virtual
 * address that the function was given (NULL: none). An unused space can be entered: it is empty.
 */
bool space_enter(const char *function, struct mems_space *space, const void *v_ptr);
void space_leave(struct mems_space *space);

/* The same for what may allocate: it starts the default space where that is implied. */
bool space_enter_to_alloc(const char *function, struct mems_space *space);

/* True when all invariants hold; otherwise *why names the first that does not. Takes the lock. O(n log n). */
bool space_valid(struct mems_space *space, const char **why);

#endif
