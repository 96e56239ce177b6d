#include "space.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "complaint.h"
#include "os/os.h"
#include "registry.h"

#define ALIGNMENT_MIN FREE_LIST_GRAIN
#define ALIGNMENT_MAX 16u

/* The most cells that a new block takes: a main node and its HOLE, or the rest of one without memory and its HOLE; and
 * what the block leaves of its HOLE. */
#define MAIN_NODES_MAX 1
#define SUB_NODES_MAX 2

struct mems_space space_default = {
    .lock = LOCK_INIT(LOCK_SPACE),
    .page_size = PAGE_SIZE,
    .alignment = ALIGNMENT_MIN,
};

/* The page size with which the default space starts; guarded by its lock. */
static size_t next_page_size = PAGE_SIZE;

/* --- Life ---------------------------------------------------------------------------------------------------- */

/* The space, locked or new, becomes an empty one that is ready. */
static void begin(struct mems_space *space, size_t page_size, size_t alignment) {
    space->page_size = page_size;
    space->alignment = alignment;
    main_chain_init(&space->chain);
    memset(&space->holes, 0, sizeof space->holes);
    memset(&space->reserved, 0, sizeof space->reserved);
    nodes_init(&space->nodes);
    space->processes = 0;
    space->process_bytes = 0;
    space->failures = 0;
    space->state = SPACE_READY;
}

static bool is_page_size(size_t size) {
    return size != 0 && size % os_page_size() == 0 && size <= PTRDIFF_MAX;
}

/* With the default space's lock held, in state unused or finished. */
static int start_default(void) {
    if (!is_page_size(next_page_size)) {
        return EINVAL;
    }
    begin(&space_default, next_page_size, ALIGNMENT_MIN);
    return 0;
}

static void tell_page_size(const char *function, size_t page_size) {
    struct complaint complaint;
    complaint_begin(&complaint, function, 0, EINVAL);
    fmt_format(&complaint.line, "a PAGE_SIZE of %u is no multiple of the system's page size, %u", (uint64_t)page_size,
               (uint64_t)os_page_size());
    complaint_tell(&complaint);
}

int space_start(const char *function) {
    struct mems_space *space = &space_default;
    lock_take(&space->lock);
    size_t wanted = next_page_size;
    size_t in_use = space->page_size;
    int error = 0;
    if (space->state != SPACE_READY) {
        error = start_default();
    } else if (wanted != in_use) {
        error = EBUSY;
    }
    lock_give(&space->lock);
    if (error == EINVAL) {
        tell_page_size(function, wanted);
    } else if (error == EBUSY) {
        complain(function, error, "the heap is in use with a PAGE_SIZE of %u", in_use);
    }
    return error;
}

void space_set_page_size(size_t page_size) {
    lock_take(&space_default.lock);
    next_page_size = page_size;
    lock_give(&space_default.lock);
}

/* Gives all memory back, and the space's lock. What the system refuses to take is told. */
static void end(const char *function, struct mems_space *space) {
    size_t refused = main_chain_finish(&space->chain);
    nodes_finish(&space->nodes);
    space->state = SPACE_FINISHED;
    lock_give(&space->lock);
    if (refused > 0) {
        complain(function, ENOMEM, "the system refused to unmap %u bytes", refused);
    }
}

void space_finish(const char *function) {
    struct mems_space *space = &space_default;
    if (!space_enter(function, space, NULL)) {
        return;
    }
    if (space->state == SPACE_UNUSED) {
        space_leave(space);
        return;
    }
    end(function, space);
}

static size_t space_bytes(void) {
    return round_up(sizeof(struct mems_space), os_page_size());
}

struct mems_space *space_create(const struct mems_space_options *options) {
    static const char function[] = "mems_space_create";
    size_t page_size = options != NULL && options->page_size != 0 ? options->page_size : PAGE_SIZE;
    size_t alignment = options != NULL && options->alignment != 0 ? options->alignment : ALIGNMENT_MIN;
    if (!is_page_size(page_size)) {
        tell_page_size(function, page_size);
        return NULL;
    }
    if (alignment != ALIGNMENT_MIN && alignment != ALIGNMENT_MAX) {
        complain(function, EINVAL, "an alignment of %u is neither 8 nor 16", alignment);
        return NULL;
    }
    void *memory;
    if (os_map(space_bytes(), OS_PAGE, &memory) != 0) {
        complain(function, ENOMEM, "the system gives no memory for a space of %u bytes", space_bytes());
        return NULL;
    }
    struct mems_space *space = memory;
    lock_init(&space->lock, LOCK_SPACE);
    begin(space, page_size, alignment);
    registry_add(space);
    return space;
}

void space_destroy(const char *function, struct mems_space *space) {
    if (!space_enter(function, space, NULL)) {
        return;
    }
    if (space == &space_default) {
        space_leave(space);
        complain(function, EINVAL, "the default space is ended by mems_finish, not destroyed", 0);
        return;
    }
    space_leave(space);
    registry_remove(space); /* whose lock comes before a space's */
    lock_take(&space->lock);
    end(function, space);
    (void)os_unmap(space, space_bytes());
}

/* --- Coming in and going out ---------------------------------------------------------------------------------- */

bool space_enter(const char *function, struct mems_space *space, const void *v_ptr) {
    if (space == NULL) {
        complain(function, EINVAL, "the space is NULL", 0);
        return false;
    }
    lock_take(&space->lock);
    if (LIKELY(space->state != SPACE_FINISHED)) {
        return true;
    }
    lock_give(&space->lock);
    struct complaint complaint;
    complaint_begin(&complaint, function, (uintptr_t)v_ptr, EPERM);
    if (v_ptr != NULL) {
        fmt_format(&complaint.line, "%u is of a heap that is no more: ", (uint64_t)(uintptr_t)v_ptr);
    }
    fmt_text(&complaint.line, "called after mems_finish");
    complaint_tell(&complaint);
    return false;
}

void space_leave(struct mems_space *space) {
    lock_give(&space->lock);
}

/* For what may allocate: starts the default space where that is implied. */
static bool enter_to_alloc(const char *function, struct mems_space *space) {
    if (!space_enter(function, space, NULL)) {
        return false;
    }
    if (LIKELY(space->state == SPACE_READY) || start_default() == 0) {
        return true;
    }
    size_t page_size = next_page_size;
    space_leave(space);
    tell_page_size(function, page_size);
    return false;
}

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
    complaint.error.error = describe(space, &complaint.line, v_address);
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

/* --- Blocks ---------------------------------------------------------------------------------------------------- */

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
    if (!enter_to_alloc(function, space)) {
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
    if (!enter_to_alloc(function, space)) {
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
        fmt_format(&complaint.line, "%u bytes from %u on go beyond the block %u:%u", (uint64_t)size,
                   (uint64_t)v_address, (uint64_t)node->range.start, (uint64_t)node->range.last);
    } else if (other == NULL && size > 0) {
        complaint_begin(&complaint, function, v_address, EINVAL);
        fmt_format(&complaint.line, "NULL is no place for %u bytes", (uint64_t)size);
    } else {
        *physical = main_node_physical(block.main, v_address);
        return 0;
    }
    space_leave(space);
    complaint_tell(&complaint);
    return complaint.error.error;
}

int space_read(const char *function, struct mems_space *space, void *v_ptr, void *to, size_t size) {
    char *physical;
    int error = enter_to_copy(function, space, v_ptr, to, size, &physical);
    if (error == 0) {
        if (size > 0) {
            memmove(to, physical, size);
        }
        space_leave(space);
    }
    return error;
}

int space_write(const char *function, struct mems_space *space, void *v_ptr, const void *from, size_t size) {
    char *physical;
    int error = enter_to_copy(function, space, v_ptr, from, size, &physical);
    if (error == 0) {
        if (size > 0) {
            memmove(physical, from, size);
        }
        space_leave(space);
    }
    return error;
}
