/* space_access.c - finding, pinning, reading and writing the bytes of blocks. */
#include <errno.h>
#include <string.h>

#include "base/compiler.h"
#include "copy.h"
#include "resolve.h"

/* Under the lock: the handle was not found without it. */
NOINLINE static void *get_locked(const char *function, struct mems_space *space, void *v_ptr) {
    struct sub_node *node = resolve_enter(function, space, v_ptr);
    if (UNLIKELY(node == NULL)) {
        return NULL;
    }
    store_given(&space->store, node);
    void *physical = node->physical + (handle_address((uintptr_t)v_ptr) - node->start);
    space_leave(space);
    return physical;
}

HOT void *space_get(const char *function, struct mems_space *space, void *v_ptr) {
    void *physical = !space_is_null(space) ? dict_translate(&space->dict, (uintptr_t)v_ptr) : NULL;
    return LIKELY(physical != NULL) ? physical : get_locked(function, space, v_ptr);
}

void *space_pin(const char *function, struct mems_space *space, void *v_ptr) {
    struct sub_node *node = resolve_enter(function, space, v_ptr);
    if (node == NULL) {
        return NULL;
    }
    if (node->pins == UINT32_MAX) {
        resolve_refuse_pins(function, space, v_ptr, true);
        return NULL;
    }
    space->pinned += node->pins++ == 0;
    store_given(&space->store, node);
    void *physical = node->physical + (handle_address((uintptr_t)v_ptr) - node->start);
    space_leave(space);
    return physical;
}

void space_unpin(const char *function, struct mems_space *space, void *v_ptr) {
    struct sub_node *node = resolve_enter(function, space, v_ptr);
    if (node == NULL) {
        return;
    }
    if (node->pins == 0) {
        resolve_refuse_pins(function, space, v_ptr, false);
        return;
    }
    if (--node->pins == 0) {
        space->pinned--;
        store_unpinned(node);
    }
    space_leave(space);
}

/* Begins a copy of the bytes v_ptr..v_ptr + size - 1 from or to `other`. Returns without the lock: 0, or the error,
 * which has been reported. */
static int begin_copy(const char *function, struct mems_space *space, void *v_ptr, const void *other, size_t size,
                      char **physical) {
    uintptr_t v_address = handle_address((uintptr_t)v_ptr);
    struct sub_node *node = resolve_enter(function, space, v_ptr);
    if (node == NULL) {
        return errno;
    }
    struct complaint complaint;
    if (size > node->last - v_address + 1) {
        complaint_begin(&complaint, function, (uintptr_t)v_ptr, ERANGE);
        fmt_format(&complaint.message.line, "%u bytes from %u on go beyond the block %u:%u", (uint64_t)size,
                   (uint64_t)v_address, (uint64_t)node->start, (uint64_t)node->last);
    } else if (space_is_null(other) && size > 0) {
        complaint_begin(&complaint, function, (uintptr_t)v_ptr, EINVAL);
        fmt_format(&complaint.message.line,
                   other == NULL ? "cannot copy %u bytes from or to NULL"
                                 : "cannot copy %u bytes from or to address %u",
                   (uint64_t)size, (uint64_t)(uintptr_t)other);
    } else {
        *physical = copy_begin(space, node) + (v_address - node->start);
        space_leave(space);
        return 0;
    }
    space_leave(space);
    complaint_tell(&complaint);
    return complaint.error.error;
}

static void copy(struct mems_space *space, const void *v_ptr, void *to, const void *from, size_t size) {
    if (size > 0) {
        memmove(to, from, size);
    }
    copy_end(space, v_ptr);
    space_leave(space);
}

int space_read(const char *function, struct mems_space *space, void *v_ptr, void *to, size_t size) {
    char *physical;
    int error = begin_copy(function, space, v_ptr, to, size, &physical);
    if (error == 0) {
        copy(space, v_ptr, to, physical, size);
    }
    return error;
}

int space_write(const char *function, struct mems_space *space, void *v_ptr, const void *from, size_t size) {
    char *physical;
    int error = begin_copy(function, space, v_ptr, from, size, &physical);
    if (error == 0) {
        copy(space, v_ptr, physical, from, size);
    }
    return error;
}
