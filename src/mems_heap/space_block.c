/* space_block.c - allocating, resizing and freeing the blocks of a space. */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "copy.h"
#include "resolve.h"
#include "space_compact.h"

/* The most cells that a new block takes: a main node and its HOLE, and the rest of the HOLE that it is cut from. */
#define MAIN_NODES_MAX 1
#define SUB_NODES_MAX 2

/* A block of at least GROWING_MIN that must move to grow will probably grow again: it gets half as much again, and the
 * pages that it leaves are unmapped. So it takes at most 2.5 times its size, and at most 3 times its size is copied. */
#define GROWING_MIN ((size_t)64 * 1024)

static const char too_much[] = "%u bytes are more than a block can hold";
static const char no_memory[] = "cannot get memory for %u bytes (mmap failed)";

/* Leaves the space and reports the failure. */
COLD static void *refuse_request(const char *function, struct mems_space *space, const char *format, size_t size) {
    space->failures++;
    space_leave(space);
    complain(function, ENOMEM, format, size);
    return NULL;
}

/* --- Allocating ----------------------------------------------------------------------------------------------- */

/* Rounds up to whole pages; 0 if that is too much. `size` is at most PTRDIFF_MAX. */
static size_t whole_pages(const struct mems_space *space, size_t size) {
    size_t pages = (size - 1) / space->page_size + 1;
    size_t bytes;
    return __builtin_mul_overflow(pages, space->page_size, &bytes) || bytes > PTRDIFF_MAX ? 0 : bytes;
}

/* Backs the first pages of a main node without memory; returns their HOLE, unlisted; NULL: no memory. */
static struct sub_node *back_hole(struct mems_space *space, struct sub_node *hole, size_t bytes) {
    struct main_node *main = main_chain_find(&space->chain, hole->start);
    hole_list_remove(&space->reserved, hole);
    struct sub_node *rest;
    bool backed = main_chain_back(&space->chain, &space->nodes, main, bytes, &rest) == 0;
    if (!backed) {
        rest = hole;
    }
    if (rest != NULL) {
        hole_list_insert(&space->reserved, rest);
    }
    return backed ? hole : NULL;
}

/* A HOLE of new memory, all zero, not in the free list; NULL: no memory. */
static struct sub_node *fresh_hole(struct mems_space *space, size_t size, size_t headroom) {
    size_t bytes = whole_pages(space, size + headroom);
    if (bytes == 0) {
        return NULL;
    }
    struct sub_node *hole = search_free_list(&space->reserved, bytes);
    uintptr_t start = hole != NULL ? hole->start : space->chain.next;
    if (size > space->chain.limit - start || dict_reserve(&space->dict, start, start + size - 1) != 0) {
        return NULL;
    }
    if (hole != NULL) {
        return back_hole(space, hole, bytes);
    }
    return main_chain_extend(&space->chain, &space->nodes, bytes, &hole) == 0 ? hole : NULL;
}

/* In a movable space, whose HOLEs have no memory: further addresses. */
static struct sub_node *further_hole(struct mems_space *space, size_t size, size_t headroom) {
    size_t bytes = whole_pages(space, size + headroom);
    struct main_node *main = main_chain_find(&space->chain, space->chain.next - 1);
    struct sub_node *last = main != NULL ? sub_node_of(main->sub_chain.prev) : NULL;
    uintptr_t start = last != NULL && sub_node_kind(last) == SEGMENT_HOLE ? last->start : space->chain.next;
    if (bytes == 0 || bytes > space->chain.limit - space->chain.next ||
        dict_reserve(&space->dict, start, start + size - 1) != 0 || store_reserve(&space->store, size, headroom) != 0) {
        return NULL;
    }
    struct sub_node *hole = main_chain_stretch(&space->chain, &space->nodes, bytes);
    return merge_holes(&space->nodes, &space->holes, hole);
}

/* A main node that got its memory back and begins with a PROCESS joins those whose memory it continues. New main nodes
 * are never joined: the chain should not depend on where the system places mappings. */
static void join_main_nodes(struct mems_space *space, struct main_node *main) {
    if (main_chain_continues(&space->chain, main)) {
        struct sub_node *last = sub_node_of(main->sub_chain.prev);
        main_chain_weld(&space->chain, &space->nodes, main);
        if (sub_node_kind(last) == SEGMENT_HOLE) {
            hole_list_remove(&space->holes, last);
            hole_list_insert(&space->holes, merge_holes(&space->nodes, &space->holes, last));
        }
    }
    struct main_node *before = main_chain_before(&space->chain, main);
    if (before != NULL && main_chain_continues(&space->chain, before)) {
        main_chain_weld(&space->chain, &space->nodes, before);
    }
}

/* A HOLE, not in the free list, with everything reserved that the block takes; *fresh: its memory is new. NULL, with
 * nothing changed, if there is no memory. */
static struct sub_node *take_hole(struct mems_space *space, size_t size, size_t headroom, bool *fresh) {
    if (nodes_reserve(&space->nodes, MAIN_NODES_MAX, SUB_NODES_MAX) != 0) {
        return NULL;
    }
    struct sub_node *hole = search_free_list(&space->holes, size + headroom);
    *fresh = hole == NULL;
    if (hole == NULL) {
        return space->movable ? further_hole(space, size, headroom) : fresh_hole(space, size, headroom);
    }
    if (dict_reserve(&space->dict, hole->start, hole->start + size - 1) != 0 ||
        (space->movable && store_reserve(&space->store, size, headroom) != 0)) {
        return NULL;
    }
    hole_list_remove(&space->holes, hole);
    return hole;
}

/* `size` is aligned; `headroom` is behind the block; *zero: it reads as zero. NULL: no memory. */
static struct sub_node *take_block(struct mems_space *space, size_t size, size_t headroom, bool *zero) {
    bool fresh;
    uintptr_t end = space->chain.next;
    struct sub_node *node = take_hole(space, size, headroom, &fresh);
    if (node == NULL) {
        return NULL;
    }
    *zero = fresh;
    char *physical = space->movable ? NULL : sub_chain_physical(node);
    if (size < sub_node_size(node)) {
        hole_list_insert(&space->holes, sub_chain_cut(&space->nodes, node, node->start + size));
    }
    node->pins = 0;
    node->copies = 0;
    node->region = NULL;
    if (space->movable) {
        *zero = store_place(&space->store, node, size);
    } else {
        PUBLISH(node->physical, physical);
    }
    sub_node_set_tag(node, SEGMENT_PROCESS, sub_node_generation(node) + 1);
    space->newest = newer(space->newest, sub_node_generation(node));
    dict_insert(&space->dict, node);
    space->processes++;
    space->process_bytes += size;
    if (fresh && !space->movable && end == space->chain.next) { /* it was backed, not added */
        join_main_nodes(space, main_chain_find(&space->chain, node->start));
    }
    return node;
}

/* With as much headroom as there is memory for; if there is none at all, tries again after a trim. */
static struct sub_node *take_or_trim(struct mems_space *space, size_t size, size_t headroom, bool *zero) {
    struct sub_node *node = take_block(space, size, headroom, zero);
    if (node == NULL && headroom > 0) {
        node = take_block(space, size, 0, zero);
    }
    if (UNLIKELY(node == NULL) && space_trim_locked(space) > 0) {
        node = take_block(space, size, 0, zero);
    }
    return node;
}

/* In the locked space; NULL, with the space left, if there is no memory. */
static struct sub_node *new_block(const char *function, struct mems_space *space, size_t size, bool *zero) {
    if (size == 0) {
        return refuse_request(function, space, "cannot allocate a block of %u bytes", size);
    }
    space_compact_ahead(space, size);
    struct sub_node *node = take_or_trim(space, round_up(size, space->alignment), 0, zero);
    if (UNLIKELY(node == NULL)) {
        refuse_request(function, space, no_memory, size);
    }
    return node;
}

void *space_alloc(const char *function, struct mems_space *space, size_t size) {
    if (!space_enter_to_alloc(function, space)) {
        return NULL;
    }
    if (size > PTRDIFF_MAX) {
        return refuse_request(function, space, too_much, size);
    }
    bool zero;
    struct sub_node *node = new_block(function, space, size, &zero);
    if (node == NULL) {
        return NULL;
    }
    void *v_ptr = handle_of(node, space->number);
    space_leave(space);
    return v_ptr;
}

void *space_alloc_zeroed(const char *function, struct mems_space *space, size_t count, size_t size) {
    if (!space_enter_to_alloc(function, space)) {
        return NULL;
    }
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX) {
        return refuse_request(function, space, "that many elements of %u bytes are more than a block can hold", size);
    }
    bool zero;
    struct sub_node *node = new_block(function, space, bytes, &zero);
    if (node == NULL) {
        return NULL;
    }
    void *v_ptr = handle_of(node, space->number);
    if (!zero) {
        char *physical = copy_begin(space, node);
        size_t rounded = sub_node_size(node);
        space_leave(space);
        memset(physical, 0, rounded);
        copy_end(space, v_ptr);
    }
    space_leave(space);
    return v_ptr;
}

/* --- Freeing -------------------------------------------------------------------------------------------------- */

struct sub_node *space_give_block(struct mems_space *space, struct sub_node *node) {
    dict_remove(&space->dict, node);
    space->processes--;
    space->process_bytes -= sub_node_size(node);
    if (space->movable) {
        store_leave(&space->store, node, sub_node_size(node));
    }
    sub_node_set_tag(node, SEGMENT_HOLE, sub_node_generation(node));
    struct sub_node *hole = merge_holes(&space->nodes, &space->holes, node);
    hole_list_insert(&space->holes, hole);
    return hole;
}

/* The block is not pinned; if its bytes are being copied, frees it when that has ended. */
static void drop_block(struct mems_space *space, struct sub_node *node) {
    if (UNLIKELY(node->copies > 0)) {
        copy_doom(space, node);
    } else {
        space_give_block(space, node);
    }
}

void space_free(const char *function, struct mems_space *space, void *v_ptr) {
    if (!space_enter(function, space, v_ptr)) {
        return;
    }
    struct sub_node *node = resolve_start(space, v_ptr);
    if (UNLIKELY(node == NULL)) {
        if (v_ptr != NULL) {
            resolve_refuse(function, space, v_ptr);
            return;
        }
    } else if (UNLIKELY(node->pins > 0)) {
        resolve_refuse_pins(function, space, v_ptr, true);
        return;
    } else {
        drop_block(space, node);
    }
    space_leave(space);
}

size_t space_usable_size(const char *function, struct mems_space *space, void *v_ptr) {
    if (!space_enter(function, space, v_ptr)) {
        return 0;
    }
    const struct sub_node *node = resolve_start(space, v_ptr);
    if (node == NULL && v_ptr != NULL) {
        resolve_refuse(function, space, v_ptr);
        return 0;
    }
    size_t size = node != NULL ? sub_node_size(node) : 0;
    space_leave(space);
    return size;
}

/* --- Resizing ---------------------------------------------------------------------------------------------------- */

/* The remainder joins the HOLEs. If there is no cell for a new HOLE, or while its bytes are being copied, the block
 * keeps its length, which is enough. */
static void shrink(struct mems_space *space, struct sub_node *node, size_t size) {
    uintptr_t last = node->start + size - 1;
    size_t old = sub_node_size(node);
    if (node->copies > 0 || nodes_reserve(&space->nodes, 0, 1) != 0 ||
        dict_reserve(&space->dict, node->start, last) != 0) {
        return;
    }
    uintptr_t old_last = node->last;
    dict_cut(&space->dict, node, last);
    struct sub_node *rest = sub_chain_append(&space->nodes, node, old_last, sub_node_generation(node));
    hole_list_insert(&space->holes, merge_holes(&space->nodes, &space->holes, rest));
    if (space->movable) {
        (void)store_resize(&space->store, node, old, size);
    }
    space->process_bytes -= old - size;
}

/* Grows the block into the HOLE behind it, with a new generation, because handles of former blocks there may have the
 * block's. False if there is no HOLE, or it is too small. */
static bool grow(struct mems_space *space, struct sub_node *node, size_t size) {
    size_t old = sub_node_size(node);
    size_t more = size - old;
    struct sub_node *after = sub_chain_after(node);
    if (after == NULL || sub_node_kind(after) != SEGMENT_HOLE || sub_node_size(after) < more ||
        dict_reserve(&space->dict, node->start, node->start + size - 1) != 0 ||
        (space->movable && !store_resize(&space->store, node, old, size))) {
        return false;
    }
    hole_list_remove(&space->holes, after);
    uint32_t generation = newer(sub_node_generation(node), sub_node_generation(after)) + 1;
    if (sub_node_size(after) == more) {
        sub_chain_drop(&space->nodes, after);
    } else {
        PUBLISH(after->start, after->start + more);
        hole_list_insert(&space->holes, after);
    }
    dict_extend(&space->dict, node, node->start + size - 1, sub_node_tag(SEGMENT_PROCESS, generation));
    space->newest = newer(space->newest, generation);
    space->process_bytes += more;
    return true;
}

/* Unmaps the old pages of a block that has moved and will grow again. */
static void give_grown(struct mems_space *space, struct sub_node *node) {
    bool large = sub_node_size(node) >= GROWING_MIN;
    struct sub_node *hole = space_give_block(space, node);
    if (large && !space->movable) {
        (void)space_trim_hole(space, hole);
    }
}

/* The block was pinned during the move. */
static int undo_move(struct mems_space *space, const void *moved) {
    struct sub_node *node = resolve_start(space, moved);
    if (node != NULL) {
        drop_block(space, node);
    }
    return EBUSY;
}

/* The space is locked, and the block not pinned. Returns 0, with its new handle in *v_ptr; ENOMEM if there is no
 * memory, EBUSY if it is pinned meanwhile: then nothing has changed. */
static int move_to_grow(struct mems_space *space, struct sub_node *node, size_t size, void **v_ptr) {
    bool zero;
    uintptr_t start = node->start;
    size_t old = sub_node_size(node);
    size_t headroom = old >= GROWING_MIN ? round_up(size / 2, space->alignment) : 0;
    const char *from = copy_begin(space, node);
    struct sub_node *moved = take_or_trim(space, size, headroom, &zero);
    void *result = moved != NULL ? handle_of(moved, space->number) : NULL;
    if (moved != NULL) {
        char *to = copy_begin(space, moved);
        space_leave(space);
        memcpy(to, from, old);
        copy_end(space, result);
    }
    node = dict_search(&space->dict, start); /* its cell may have changed */
    bool last = copy_over(space, node);
    if (moved == NULL) {
        return ENOMEM;
    }
    if (UNLIKELY(node->pins > 0)) {
        return undo_move(space, result);
    }
    if (last) {
        give_grown(space, node);
    } else {
        copy_doom(space, node);
    }
    *v_ptr = result;
    return 0;
}

void *space_realloc(const char *function, struct mems_space *space, void *v_ptr, size_t size) {
    if (v_ptr == NULL) {
        return space_alloc(function, space, size);
    }
    if (size == 0) {
        space_free(function, space, v_ptr);
        return NULL;
    }
    if (!space_enter(function, space, v_ptr)) {
        return NULL;
    }
    space_compact_ahead(space, size);
    struct sub_node *node = resolve_start(space, v_ptr);
    if (node == NULL) {
        resolve_refuse(function, space, v_ptr);
        return NULL;
    }
    if (size > PTRDIFF_MAX) {
        return refuse_request(function, space, too_much, size);
    }
    size_t rounded = round_up(size, space->alignment);
    void *result = v_ptr;
    if (rounded < sub_node_size(node)) {
        shrink(space, node, rounded);
    } else if (rounded > sub_node_size(node) && grow(space, node, rounded)) {
        result = handle_of(node, space->number);
    } else if (rounded > sub_node_size(node)) {
        int error = node->pins > 0 ? EBUSY : move_to_grow(space, node, rounded, &result);
        if (error == EBUSY) {
            resolve_refuse_pins(function, space, v_ptr, true);
            return NULL;
        }
        if (error != 0) {
            return refuse_request(function, space, no_memory, size);
        }
    }
    space_leave(space);
    return result;
}
