#include "registry.h"

#include "complaint.h"
#include "os/process.h"
#include "ranks.h"

struct space_root space_root = {
    .head = ROOT_HEAD(ROOT_SPACES, MEMS_VERSION, space_layout, &space_root),
    .first = &space_default,
    .lock = LOCK_INIT(LOCK_SPACES),
    .spaces = {&space_root.spaces, &space_root.spaces},
};

ROOT_NOTE(space_root, space_root);

void registry_add(struct mems_space *space) {
    lock_take(&space_root.lock);
    list_push_back(&space_root.spaces, &space->link);
    lock_give(&space_root.lock);
}

void registry_remove(struct mems_space *space) {
    lock_take(&space_root.lock);
    list_remove(&space->link);
    lock_give(&space_root.lock);
}

static void each_list_lock(void (*act)(struct lock *lock)) {
    act(&space_root.lock);
}

static void each_space_lock(void (*act)(struct lock *lock)) {
    act(&space_default.lock);
    for (struct list *link = space_root.spaces.next; link != &space_root.spaces; link = link->next) {
        act(&CONTAINER_OF(link, struct mems_space, link)->lock);
    }
    complaint_each_lock(act);
}

/* Every space is whole while its lock is free: there is nothing to recover in a child. */
static struct process_participant list_participant = {.rank = LOCK_SPACES, .each_lock = each_list_lock};
static struct process_participant space_participant = {.rank = LOCK_SPACE, .each_lock = each_space_lock};

__attribute__((constructor(PROCESS_JOIN))) static void join(void) {
    process_join(&list_participant);
    process_join(&space_participant);
}
