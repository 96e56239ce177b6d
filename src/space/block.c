/*
 * block.c - the blocks of a space: found, taken, resized, freed, read and written; what is wrong with an address.
 */
#include "space.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "complaint.h"

/* The most cells that a new block takes: a main node and its HOLE, or the rest of one without memory and its HOLE; and
 * what the block leaves of its HOLE. */
#define MAIN_NODES_MAX 1
#define SUB_NODES_MAX 2

/* --- Finding -------------------------------------------------------------------------------------------------- */

/* The main node that holds v_address, and the PROCESS in it that does; each NULL when there is none. */
static struct place find(const struct mems_space *space, uintptr_t v_address) {
    struct place found = {.main = dict_search_main(&space->chain.dict, v_address)};
    if (LIKELY(found.main != NULL)) {
        found.node = dict_search(found.main, v_address);
    }
    return found;
}

/* The HOLE of a main node that holds v_address, which no PROCESS of it does. */
static const struct sub_node *find_hole(const struct main_node *main, uintptr_t v_address) {
    const struct sub_node *before = dict_search_before(main, v_address);
    return before != NULL ? sub_chain_after(main, before) : sub_chain_first(main);
}

/* What a virtual address is that cannot be what the caller wants. Returns the error number for it. */
static int describe(const struct mems_space *space, struct fmt *line, uintptr_t v_address) {
    struct place found = find(space, v_address);
    if (found.main == NULL) {
        fmt_format(line, "%u was never handed out", (uint64_t)v_address);
        return EFAULT;
    }
    if (found.node == NULL) {
        const struct sub_node *hole = find_hole(found.main, v_address);
        fmt_format(line, "%u is in the HOLE %u:%u: freed before, or never handed out", (uint64_t)v_address,
                   (uint64_t)hole->range.start, (uint64_t)hole->range.last);
        return EFAULT;
    }
    fmt_format(line, "%u is inside the block %u:%u, not its start", (uint64_t)v_address,
               (uint64_t)found.node->range.start, (uint64_t)found.node->range.last);
    return EINVAL;
}

/* Leaves the space and tells what is wrong with the virtual address that the function was given. */
COLD static int refuse_address(const char *function, struct mems_space *space, uintptr_t v_address) {
    struct complaint complaint;
    complaint_begin(&complaint, function, v_address, 0);
    complaint.error.error = describe(space, &complaint.message.line, v_address);
    space_leave(space);
    complaint_tell(&complaint);
    return complaint.error.error;
}

/* Leaves the space and tells that a request failed. */
COLD static void *refuse_request(const char *function, struct mems_space *space, const char *format, size_t size) {
    space->failures++;
    space_leave(space);
    complain(function, ENOMEM, format, size);
    return NULL;
}

static const char too_much[] = "%u bytes are more than a block can have";
static const char no_memory[] = "the system gives no memory for %u bytes (mmap failed)";

/* --- Segments ---------------------------------------------------------------------------------------------------- */

/* The block that starts at v_address; its node is NULL when none does. */
static struct place find_block(const struct mems_space *space, uintptr_t v_address) {
    struct place found = find(space, v_address);
    if (found.node != NULL && found.node->range.start != v_address) {
        found.node = NULL;
    }
    return found;
}

/* Whole pages for `size` bytes, which is at most PTRDIFF_MAX; 0 when that is too much. */
static size_t whole_pages(const struct mems_space *space, size_t size) {
    size_t pages = (size - 1) / space->page_size + 1;
    size_t bytes;
    return __builtin_mul_overflow(pages, space->page_size, &bytes) || bytes > PTRDIFF_MAX ? 0 : bytes;
}

/* A HOLE of at least `size` bytes with memory, not in the free list: the first pages of a main node without memory, or
 * a new main node. It reads as zero. False when the system gives no memory. */
static bool fresh_hole(struct mems_space *space, size_t size, struct place *hole) {
    size_t bytes = whole_pages(space, size);
    if (bytes == 0) {
        return false;
    }
    hole->node = search_free_list(&space->reserved, bytes);
    if (hole->node == NULL) {
        return main_chain_extend(&space->chain, &space->nodes, bytes, hole) == 0;
    }
    hole->main = dict_search_main(&space->chain.dict, hole->node->range.start);
    free_list_remove(&space->reserved, hole->node);
    struct sub_node *rest;
    bool backed = main_chain_back(&space->chain, &space->nodes, hole->main, bytes, &rest) == 0;
    if (!backed) {
        rest = hole->node;
    }
    if (rest != NULL) {
        free_list_insert(&space->reserved, rest);
    }
    return backed;
}

/* A PROCESS of `size` bytes, a multiple of the alignment; *zero: it reads as zero. False when there is no memory. */
static bool take_block(struct mems_space *space, size_t size, struct place *block, bool *zero) {
    if (nodes_reserve(&space->nodes, MAIN_NODES_MAX, SUB_NODES_MAX) != 0) {
        return false;
    }
    block->node = search_free_list(&space->holes, size);
    *zero = block->node == NULL;
    if (block->node != NULL) {
        free_list_remove(&space->holes, block->node);
        block->main = dict_search_main(&space->chain.dict, block->node->range.start);
    } else if (!fresh_hole(space, size, block)) {
        return false;
    }
    struct sub_node *node = block->node;
    if (size < sub_node_size(node)) {
        uintptr_t end = node->range.start + size;
        free_list_insert(&space->holes, sub_chain_cut(&space->nodes, block->main, node, end));
    }
    sub_node_set_kind(node, SEGMENT_PROCESS);
    dict_insert(block->main, node);
    space->processes++;
    space->process_bytes += size;
    return true;
}

/* The block becomes a HOLE. */
static void give_block(struct mems_space *space, struct place block) {
    dict_remove(block.main, block.node);
    space->processes--;
    space->process_bytes -= sub_node_size(block.node);
    sub_node_set_kind(block.node, SEGMENT_HOLE);
    free_list_insert(&space->holes, merge_holes(&space->nodes, &space->holes, block.main, block.node));
}

static void *v_ptr_of(struct place block) {
    return (void *)block.node->range.start;
}

static char *physical_of(struct place block) {
    return main_node_physical(block.main, block.node->range.start);
}

/* --- The functions ---------------------------------------------------------------------------------------------- */

void *space_alloc(const char *function, struct mems_space *space, size_t size) {
    if (!space_enter_to_alloc(function, space)) {
        return NULL;
    }
    if (size == 0) {
        return refuse_request(function, space, "a block of %u bytes cannot be", size);
    }
    if (size > PTRDIFF_MAX) {
        return refuse_request(function, space, too_much, size);
    }
    bool zero;
    struct place block;
    if (!take_block(space, round_up(size, space->alignment), &block, &zero)) {
        return refuse_request(function, space, no_memory, size);
    }
    void *v_ptr = v_ptr_of(block);
    space_leave(space);
    return v_ptr;
}

void *space_alloc_zeroed(const char *function, struct mems_space *space, size_t count, size_t size) {
    if (!space_enter_to_alloc(function, space)) {
        return NULL;
    }
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX) {
        return refuse_request(function, space, "that many elements of %u bytes are more than a block can have", size);
    }
    if (bytes == 0) {
        return refuse_request(function, space, "a block of %u bytes cannot be", bytes);
    }
    bool zero;
    struct place block;
    if (!take_block(space, round_up(bytes, space->alignment), &block, &zero)) {
        return refuse_request(function, space, no_memory, bytes);
    }
    if (!zero) {
        memset(physical_of(block), 0, sub_node_size(block.node));
    }
    void *v_ptr = v_ptr_of(block);
    space_leave(space);
    return v_ptr;
}

void space_free(const char *function, struct mems_space *space, void *v_ptr) {
    if (!space_enter(function, space, v_ptr)) {
        return;
    }
    struct place block = find_block(space, (uintptr_t)v_ptr);
    if (LIKELY(block.node != NULL)) {
        give_block(space, block);
    } else if (v_ptr != NULL) {
        refuse_address(function, space, (uintptr_t)v_ptr);
        return;
    }
    space_leave(space);
}

/* Moves the end of a block down to `size` bytes; what is left over joins the HOLEs. Without a cell for a new HOLE the
 * block stays as it is, which is long enough. */
static void shrink(struct mems_space *space, struct place block, size_t size) {
    uintptr_t last = block.node->range.start + size - 1;
    size_t less = sub_node_size(block.node) - size;
    struct sub_node *after = sub_chain_after(block.main, block.node);
    if (after != NULL && sub_node_kind(after) == SEGMENT_HOLE) {
        free_list_remove(&space->holes, after);
        after->range.start = last + 1;
    } else if (nodes_reserve(&space->nodes, 0, 1) == 0) {
        after = sub_chain_cut(&space->nodes, block.main, block.node, last + 1);
    } else {
        return;
    }
    space->process_bytes -= less;
    dict_resize(block.main, block.node, last);
    free_list_insert(&space->holes, after);
}

/* Moves the end of a block up to `size` bytes, into the HOLE behind it. False: there is none that is large enough. */
static bool grow(struct mems_space *space, struct place block, size_t size) {
    size_t more = size - sub_node_size(block.node);
    struct sub_node *after = sub_chain_after(block.main, block.node);
    if (after == NULL || sub_node_kind(after) != SEGMENT_HOLE || sub_node_size(after) < more) {
        return false;
    }
    free_list_remove(&space->holes, after);
    if (sub_node_size(after) == more) {
        sub_chain_drop(&space->nodes, block.main, after);
    } else {
        after->range.start += more;
        free_list_insert(&space->holes, after);
    }
    dict_resize(block.main, block.node, block.node->range.start + size - 1);
    space->process_bytes += more;
    return true;
}

/* Gives the block `size` bytes, rounded, in place or elsewhere. False when there is no memory; nothing has changed
 * then. */
static bool resize(struct mems_space *space, struct place *block, size_t size) {
    size_t old_size = sub_node_size(block->node);
    if (size < old_size) {
        shrink(space, *block, size);
        return true;
    }
    if (size == old_size || grow(space, *block, size)) {
        return true;
    }
    struct place moved;
    bool zero;
    if (!take_block(space, size, &moved, &zero)) {
        return false;
    }
    memcpy(physical_of(moved), physical_of(*block), old_size);
    give_block(space, *block);
    *block = moved;
    return true;
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
    struct place block = find_block(space, (uintptr_t)v_ptr);
    if (block.node == NULL) {
        refuse_address(function, space, (uintptr_t)v_ptr);
        return NULL;
    }
    if (size > PTRDIFF_MAX) {
        return refuse_request(function, space, too_much, size);
    }
    if (!resize(space, &block, round_up(size, space->alignment))) {
        return refuse_request(function, space, no_memory, size);
    }
    void *result = v_ptr_of(block);
    space_leave(space);
    return result;
}

void *space_get(const char *function, struct mems_space *space, void *v_ptr) {
    if (!space_enter(function, space, v_ptr)) {
        return NULL;
    }
    struct place block = find(space, (uintptr_t)v_ptr);
    if (UNLIKELY(block.node == NULL)) {
        refuse_address(function, space, (uintptr_t)v_ptr);
        return NULL;
    }
    void *physical = main_node_physical(block.main, (uintptr_t)v_ptr);
    space_leave(space);
    return physical;
}

size_t space_usable_size(const char *function, struct mems_space *space, void *v_ptr) {
    if (!space_enter(function, space, v_ptr)) {
        return 0;
    }
    const struct sub_node *node = find_block(space, (uintptr_t)v_ptr).node;
    if (node == NULL && v_ptr != NULL) {
        refuse_address(function, space, (uintptr_t)v_ptr);
        return 0;
    }
    size_t size = node != NULL ? sub_node_size(node) : 0;
    space_leave(space);
    return size;
}

/*
 * Enters, and finds the bytes v_ptr..v_ptr + size - 1 of a block for copying from or to `other`. 0 with the lock held;
 * otherwise the error, which has been told.
 */
static int enter_to_copy(const char *function, struct mems_space *space, void *v_ptr, const void *other, size_t size,
                         char **physical) {
    if (!space_enter(function, space, v_ptr)) {
        return errno;
    }
    uintptr_t v_address = (uintptr_t)v_ptr;
    struct place block = find(space, v_address);
    const struct sub_node *node = block.node;
    if (node == NULL) {
        return refuse_address(function, space, v_address);
    }
    struct complaint complaint;
    if (size > node->range.last - v_address + 1) {
        complaint_begin(&complaint, function, v_address, ERANGE);
        fmt_format(&complaint.message.line, "%u bytes from %u on go beyond the block %u:%u", (uint64_t)size,
                   (uint64_t)v_address, (uint64_t)node->range.start, (uint64_t)node->range.last);
    } else if (other == NULL && size > 0) {
        complaint_begin(&complaint, function, v_address, EINVAL);
        fmt_format(&complaint.message.line, "NULL is no place for %u bytes", (uint64_t)size);
    } else {
        *physical = main_node_physical(block.main, v_address);
        return 0;
    }
    space_leave(space);
    complaint_tell(&complaint);
    return complaint.error.error;
}

static void copy_and_leave(struct mems_space *space, void *to, const void *from, size_t size) {
    if (size > 0) {
        memmove(to, from, size);
    }
    space_leave(space);
}

int space_read(const char *function, struct mems_space *space, void *v_ptr, void *to, size_t size) {
    char *physical;
    int error = enter_to_copy(function, space, v_ptr, to, size, &physical);
    if (error == 0) {
        copy_and_leave(space, to, physical, size);
    }
    return error;
}

int space_write(const char *function, struct mems_space *space, void *v_ptr, const void *from, size_t size) {
    char *physical;
    int error = enter_to_copy(function, space, v_ptr, from, size, &physical);
    if (error == 0) {
        copy_and_leave(space, physical, from, size);
    }
    return error;
}
