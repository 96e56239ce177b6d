#include "registry.h"

#include <pthread.h>

#include "complaint.h"
#include "os/os.h"
#include "ranks.h"

/* The spaces but the default one, which is always there. `alone`: with one thread there is nobody to wait for; and if
 * it forks in a signal handler that interrupted a space, it must not wait for itself. Decided before the fork, for both
 * sides. */
static struct {
    struct lock lock;
    struct list spaces;
    bool alone;
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

static void each_space(void (*act)(struct lock *)) {
    act(&space_default.lock);
    for (struct list *link = registry.spaces.next; link != &registry.spaces; link = link->next) {
        act(&CONTAINER_OF(link, struct mems_space, link)->lock);
    }
}

static void fork_prepare(void) {
    if (os_single_threaded()) {
        registry.alone = true;
        return;
    }
    os_streams_lock();
    lock_ranks_suspend();
    lock_take(&registry.lock);
    each_space(lock_take);
    complaint_fork_prepare();
    registry.alone = false; /* under the locks: other threads may fork as well */
}

static void fork_parent(void) {
    if (registry.alone) {
        return;
    }
    complaint_fork_parent();
    each_space(lock_give);
    lock_give(&registry.lock);
    lock_ranks_resume();
    os_streams_unlock();
}

static void fork_child(void) {
    if (registry.alone) {
        return;
    }
    complaint_fork_child();
    each_space(lock_reset);
    lock_reset(&registry.lock);
    lock_ranks_resume();
    os_streams_reset();
}

/* pthread_atfork may allocate, so it is not called with a lock held. */
__attribute__((constructor)) static void begin(void) {
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}
