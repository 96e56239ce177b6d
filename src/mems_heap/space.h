/* space.h - a MeMS heap: the functions of mems.h, for the default space and for those that programs make. `function` is
 * the public function that was called. Every mistake by a caller and every failure of the system sets errno, leaves the
 * space unchanged, and is reported (complaint.h) after the lock's release. See mems.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dict.h"
#include "handle.h"
#include "hole_list.h"
#include "main_chain.h"
#include "mems.h"
#include "node.h"
#include "os/lock.h"
#include "store.h"

enum space_state { SPACE_UNUSED, SPACE_READY, SPACE_FINISHED };

/* The lock guards all members except the first two; the dictionary is read without it. */
struct mems_space {
    struct lock lock;
    struct list link; /* in the list of spaces (spaces.h), unless it is the default one */
    enum space_state state;
    bool movable;     /* blocks have their bytes in the store */
    bool restless;    /* and are moved as often as possible */
    uint32_t number;  /* in its handles; 0: no generations */
    uint32_t newest;  /* newest generation of any block */
    size_t page_size; /* this and `alignment` are 0 in the default space until it starts */
    size_t alignment;
    struct main_chain chain;
    struct hole_list holes;    /* with memory; in a movable space, all */
    struct hole_list reserved; /* of main nodes without memory */
    struct nodes nodes;
    struct dict dict;
    struct store store;
    size_t processes; /* number of PROCESS segments */
    size_t process_bytes;
    size_t pinned;  /* number of pinned blocks */
    size_t copying; /* copies being made without the lock */
    uint64_t failures;
};

/* For functions that name no space. */
extern struct mems_space space_default;

/* On the default space: mems_init, mems_set_page_size, mems_set_options and mems_finish. */
int space_start(const char *function);
void space_set_page_size(size_t page_size);
int space_set_options(const char *function, const struct mems_space_options *options);
void space_finish(const char *function);

struct mems_space *space_create(const struct mems_space_options *options);
void space_destroy(const char *function, struct mems_space *space);

/* In space_block.c: allocating, resizing and freeing blocks. */
void *space_alloc(const char *function, struct mems_space *space, size_t size);
void *space_alloc_zeroed(const char *function, struct mems_space *space, size_t count, size_t size);
void *space_realloc(const char *function, struct mems_space *space, void *v_ptr, size_t size);
void space_free(const char *function, struct mems_space *space, void *v_ptr);
size_t space_usable_size(const char *function, struct mems_space *space, void *v_ptr);

/* In space_access.c: the bytes of blocks. */
void *space_get(const char *function, struct mems_space *space, void *v_ptr);
void *space_pin(const char *function, struct mems_space *space, void *v_ptr);
void space_unpin(const char *function, struct mems_space *space, void *v_ptr);
int space_read(const char *function, struct mems_space *space, void *v_ptr, void *to, size_t size);
int space_write(const char *function, struct mems_space *space, void *v_ptr, const void *from, size_t size);

size_t space_trim(const char *function, struct mems_space *space);
size_t space_compact(const char *function, struct mems_space *space, size_t budget);
size_t space_compact_for(const char *function, struct mems_space *space, unsigned microseconds);
int space_stats(const char *function, struct mems_space *space, struct mems_stats *stats);

/* With the space locked: its statistics; the bytes of its nodes and tables; the work of space_trim. */
void space_collect(const struct mems_space *space, struct mems_stats *stats);
size_t space_metadata_bytes(const struct mems_space *space);
size_t space_trim_locked(struct mems_space *space);

/* With the space locked: unmaps whole pages inside a HOLE of the free list, which may then no longer be a HOLE; returns
 * their bytes. 0 if there are none, the system refuses, or memory would be cut into too many pieces. */
size_t space_trim_hole(struct mems_space *space, struct sub_node *hole);

/* With the space locked: turns a block into a HOLE, which it returns. */
struct sub_node *space_give_block(struct mems_space *space, struct sub_node *node);

/* Whether a pointer is NULL, or NULL with an offset, such as a member's: no memory is in the first page. */
static inline bool space_is_null(const void *ptr) {
    return (uintptr_t)ptr < 4096;
}

/* Takes the space's lock. If the space is NULL or finished, reports this, with the virtual address that the function
 * was given (may be NULL), and returns false without the lock. An unused space can be entered: it is empty. */
bool space_enter(const char *function, struct mems_space *space, const void *v_ptr);
void space_leave(struct mems_space *space);

/* For functions that may allocate: starts the default space if necessary. */
bool space_enter_to_alloc(const char *function, struct mems_space *space);
