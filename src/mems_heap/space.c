#include "space.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "complaint.h"
#include "os/os.h"
#include "ranks.h"
#include "spaces.h"

#define ALIGNMENT_MIN HOLE_LIST_GRAIN
#define ALIGNMENT_MAX 16u

struct shape {
    size_t page_size;
    size_t alignment;
    bool generations;
    bool movable;
    bool restless;
};

/* All zero in release builds, so it takes no room in the file, and no memory until it is used. */
struct mems_space space_default = {.lock = LOCK_INIT(LOCK_SPACE)};

/* The default space's next page size; 0: the default. Guarded by its lock. */
static struct shape next = {.alignment = ALIGNMENT_MIN};
static bool page_size_chosen;

/* PAGE_SIZE, or the system's if larger. */
static size_t default_page_size(void) {
    return os_page_size() > PAGE_SIZE ? os_page_size() : PAGE_SIZE;
}

static size_t next_page_size(void) {
    return page_size_chosen ? next.page_size : default_page_size();
}

/* The space is locked, or new. */
static void space_begin(struct mems_space *space, const struct shape *shape) {
    uint32_t generation = 0;
    space->page_size = shape->page_size;
    space->alignment = shape->alignment;
    space->movable = shape->movable;
    space->restless = shape->restless;
    space->number = shape->generations ? spaces_take_number(&generation) : 0;
    space->newest = generation;
    main_chain_init(&space->chain, HANDLE_ADDRESS_LAST, generation);
    memset(&space->holes, 0, sizeof space->holes);
    memset(&space->reserved, 0, sizeof space->reserved);
    nodes_init(&space->nodes);
    dict_init(&space->dict, space->number,
              shape->restless  ? DICT_BLOCKS_MOVE_ALWAYS
              : shape->movable ? DICT_BLOCKS_MOVE
                               : DICT_BLOCKS_STAY);
    store_init(&space->store, space->page_size, shape->restless);
    space->processes = 0;
    space->process_bytes = 0;
    space->pinned = 0;
    space->copying = 0;
    space->failures = 0;
    space->state = SPACE_READY;
}

static bool is_page_size(size_t size) {
    return size != 0 && size % os_page_size() == 0 && size <= PTRDIFF_MAX;
}

/* With the default space's lock, in state unused or finished. */
static int start_default(void) {
    next.page_size = next_page_size();
    if (!is_page_size(next.page_size)) {
        return EINVAL;
    }
    space_begin(&space_default, &next);
    return 0;
}

static void tell_page_size(const char *function, size_t page_size) {
    struct complaint complaint;
    complaint_begin(&complaint, function, 0, EINVAL);
    fmt_format(&complaint.message.line, "a PAGE_SIZE of %u is not a multiple of the system's page size, %u",
               (uint64_t)page_size, (uint64_t)os_page_size());
    complaint_tell(&complaint);
}

int space_start(const char *function) {
    struct mems_space *space = &space_default;
    lock_take(&space->lock);
    size_t wanted = next_page_size();
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
    next.page_size = page_size;
    page_size_chosen = true;
    lock_give(&space_default.lock);
}

/* Zeros become defaults. 0, or an error that has been reported. */
static int shape_of(const char *function, const struct mems_space_options *options, bool generations,
                    struct shape *shape) {
    static const struct mems_space_options none;
    const struct mems_space_options *wanted = options != NULL ? options : &none;
    *shape = (struct shape){
        .page_size = wanted->page_size != 0 ? wanted->page_size : default_page_size(),
        .alignment = wanted->alignment != 0 ? wanted->alignment : ALIGNMENT_MIN,
        .generations = wanted->generations != 0 ? wanted->generations > 0 : generations,
        .movable = wanted->movable != 0,
        .restless = wanted->movable == MEMS_MOVES_ALWAYS,
    };
    if (!is_page_size(shape->page_size)) {
        tell_page_size(function, shape->page_size);
        return EINVAL;
    }
    if (shape->alignment != ALIGNMENT_MIN && shape->alignment != ALIGNMENT_MAX) {
        complain(function, EINVAL, "an alignment of %u is neither 8 nor 16", shape->alignment);
        return EINVAL;
    }
    if (wanted->movable > MEMS_MOVES_ALWAYS) {
        complain(function, EINVAL, "movable must be 0, 1 or 2, not %u", wanted->movable);
        return EINVAL;
    }
    if (wanted->generations < -1 || wanted->generations > 1) {
        complain(function, EINVAL, "generations must be -1, 0 or 1", 0);
        return EINVAL;
    }
    return 0;
}

int space_set_options(const char *function, const struct mems_space_options *options) {
    struct shape shape;
    int error = shape_of(function, options, false, &shape);
    if (error == 0) {
        lock_take(&space_default.lock);
        next = shape;
        page_size_chosen = options != NULL && options->page_size != 0;
        lock_give(&space_default.lock);
    }
    return error;
}

/* Gives back all memory and the space's lock, and reports what the system refuses to take. Blocks' memory goes first:
 * at the limit of mappings, that makes room for the rest. */
static void space_end(const char *function, struct mems_space *space) {
    size_t refused = main_chain_finish(&space->chain) + store_finish(&space->store);
    dict_finish(&space->dict);
    pool_finish(&space->nodes.sub);
    pool_finish(&space->nodes.main);
    if (space->number != 0) {
        spaces_give_number(space->number, space->newest);
        space->number = 0;
    }
    space->state = SPACE_FINISHED;
    lock_give(&space->lock);
    if (refused > 0) {
        complain(function, ENOMEM, "the system refused to unmap %u bytes", refused);
    }
}

void space_finish(const char *function) {
    struct mems_space *space = &space_default;
    if (space_enter(function, space, NULL)) {
        if (space->state != SPACE_UNUSED) {
            space_end(function, space);
        } else {
            space_leave(space);
        }
    }
}

static size_t space_bytes(void) {
    return round_up(sizeof(struct mems_space), os_page_size());
}

struct mems_space *space_create(const struct mems_space_options *options) {
    static const char function[] = "mems_space_create";
    struct shape shape;
    if (shape_of(function, options, true, &shape) != 0) {
        return NULL;
    }
    void *memory;
    if (os_map(space_bytes(), OS_PAGE, &memory) != 0) {
        complain(function, ENOMEM, "cannot get memory for a space of %u bytes", space_bytes());
        return NULL;
    }
    struct mems_space *space = memory;
    lock_init(&space->lock, LOCK_SPACE);
    space_begin(space, &shape);
    spaces_add(space);
    return space;
}

void space_destroy(const char *function, struct mems_space *space) {
    if (!space_enter(function, space, NULL)) {
        return;
    }
    if (space == &space_default) {
        space_leave(space);
        complain(function, EINVAL, "the default space cannot be destroyed: mems_finish ends it", 0);
        return;
    }
    space_leave(space);
    spaces_remove(space); /* its lock comes before a space's */
    lock_take(&space->lock);
    space_end(function, space);
    (void)os_unmap(space, space_bytes());
}

bool space_enter(const char *function, struct mems_space *space, const void *v_ptr) {
    if (UNLIKELY(space_is_null(space))) {
        complain(function, EINVAL, space == NULL ? "the space is NULL" : "no space is at address %u",
                 (uint64_t)(uintptr_t)space);
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
        fmt_format(&complaint.message.line, "%u belongs to a heap that has ended: ", (uint64_t)(uintptr_t)v_ptr);
    }
    fmt_text(&complaint.message.line, "called after mems_finish");
    complaint_tell(&complaint);
    return false;
}

void space_leave(struct mems_space *space) {
    lock_give(&space->lock);
}

bool space_enter_to_alloc(const char *function, struct mems_space *space) {
    if (!space_enter(function, space, NULL)) {
        return false;
    }
    if (LIKELY(space->state == SPACE_READY) || start_default() == 0) {
        return true;
    }
    size_t page_size = next_page_size();
    space_leave(space);
    tell_page_size(function, page_size);
    return false;
}
