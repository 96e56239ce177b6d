#include "registry.h"

#include "complaint.h"
#include "os/process.h"
#include "ranks.h"

/* The spaces but the default one, which is always there. */
static struct {
    struct lock lock;
    struct list spaces;
} registry = {
    .lock = LOCK_INIT(LOCK_SPACES),
    .spaces = {&registry.spaces, &registry.spaces},
};

void registry_add(struct mems_space *space) {
    lock_take(&registry.lock);
    list_push_back(&registry.spaces, &space->link);
    lock_give(&registry.lock);
}

void registry_remove(struct mems_space *space) {
    lock_take(&registry.lock);
    list_remove(&space->link);
    lock_give(&registry.lock);
}

static void each_list_lock(void (*act)(struct lock *lock)) {
    act(&registry.lock);
}

static void each_space_lock(void (*act)(struct lock *lock)) {
    act(&space_default.lock);
    for (struct list *link = registry.spaces.next; link != &registry.spaces; link = link->next) {
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
