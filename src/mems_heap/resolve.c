#include "resolve.h"

#include <errno.h>

#include "base/compiler.h"

struct sub_node *resolve(const struct mems_space *space, const void *v_ptr) {
    uintptr_t handle = (uintptr_t)v_ptr;
    struct sub_node *node = dict_search(&space->dict, handle_address(handle));
    return LIKELY(node != NULL && handle_fits(handle, space->number, node->tag)) ? node : NULL;
}

struct sub_node *resolve_start(const struct mems_space *space, const void *v_ptr) {
    struct sub_node *node = resolve(space, v_ptr);
    return LIKELY(node != NULL && node->start == handle_address((uintptr_t)v_ptr)) ? node : NULL;
}

/* Of a main node; v_address is in no PROCESS. */
static const struct sub_node *find_hole(const struct mems_space *space, const struct main_node *main,
                                        uintptr_t v_address) {
    const struct sub_node *before = dict_search_before(&space->dict, v_address);
    return before != NULL && before->start >= main->range.start ? sub_chain_after(before) : sub_chain_first(main);
}

/* What is wrong with a handle; returns the error number. */
static int describe_handle(const struct mems_space *space, struct fmt *line, uintptr_t handle) {
    uintptr_t v_address = space->number != 0 ? handle_address(handle) : handle;
    if (space->number != 0 && handle_number(handle) != space->number) {
        fmt_format(line, "%u belongs to another space", (uint64_t)v_address);
        return EFAULT;
    }
    const struct main_node *main = main_chain_find(&space->chain, v_address);
    const struct sub_node *node = dict_search(&space->dict, v_address);
    if (main == NULL) {
        fmt_format(line, "%u was never handed out", (uint64_t)v_address);
    } else if (node == NULL || sub_node_kind(node) == SEGMENT_DOOMED) {
        node = node != NULL ? node : find_hole(space, main, v_address);
        fmt_format(line, "%u is in the HOLE %u:%u: freed before, or never handed out", (uint64_t)v_address,
                   (uint64_t)node->start, (uint64_t)node->last);
    } else if (!handle_fits(handle, space->number, node->tag)) {
        fmt_format(line, "%u is stale: its block was freed before, and %u:%u is another one", (uint64_t)v_address,
                   (uint64_t)node->start, (uint64_t)node->last);
    } else {
        fmt_format(line, "%u is inside the block %u:%u, not its start", (uint64_t)v_address, (uint64_t)node->start,
                   (uint64_t)node->last);
        return EINVAL;
    }
    return EFAULT;
}

COLD void resolve_refuse(const char *function, struct mems_space *space, const void *v_ptr) {
    struct complaint complaint;
    complaint_begin(&complaint, function, (uintptr_t)v_ptr, 0);
    complaint.error.error = describe_handle(space, &complaint.message.line, (uintptr_t)v_ptr);
    space_leave(space);
    complaint_tell(&complaint);
}

COLD void resolve_refuse_pins(const char *function, struct mems_space *space, const void *v_ptr, bool pinned) {
    struct complaint complaint;
    space_leave(space);
    complaint_begin(&complaint, function, (uintptr_t)v_ptr, pinned ? EBUSY : EINVAL);
    fmt_format(&complaint.message.line, pinned ? "%u is pinned" : "%u is not pinned",
               (uint64_t)handle_address((uintptr_t)v_ptr));
    complaint_tell(&complaint);
}

struct sub_node *resolve_enter(const char *function, struct mems_space *space, const void *v_ptr) {
    struct sub_node *node = NULL;
    if (space_enter(function, space, v_ptr)) {
        node = resolve(space, v_ptr);
        if (UNLIKELY(node == NULL)) {
            resolve_refuse(function, space, v_ptr);
        }
    }
    return node;
}
