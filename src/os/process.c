#include "process.h"

#include <pthread.h>
#include <stddef.h>

#include "os.h"

/* In ascending rank. Constant once the handlers are registered, so no lock. */
static struct list participants = {&participants, &participants};

/* 0 before the start. */
static uint64_t own_id;

/* Whether the process had one thread when it forked; for both parent and child. */
static bool alone;

static struct process_participant *participant_of(struct list *link) {
    return CONTAINER_OF(link, struct process_participant, link);
}

void process_join(struct process_participant *participant) {
    struct list *at = participants.next;
    while (at != &participants && participant_of(at)->rank <= participant->rank) {
        if (participant_of(at) == participant) {
            return;
        }
        at = at->next;
    }
    list_insert_after(at->prev, &participant->link);
}

static void prepare(void) {
    if (os_single_threaded()) {
        alone = true;
        return;
    }
    for (struct list *at = participants.next; at != &participants; at = at->next) {
        if (participant_of(at)->before_fork != NULL) {
            participant_of(at)->before_fork();
        }
    }
    os_streams_lock();
    lock_ranks_suspend();
    for (struct list *at = participants.next; at != &participants; at = at->next) {
        participant_of(at)->each_lock(lock_take_shared);
    }
    alone = false; /* under the locks, because other threads may fork too */
}

/* act is lock_give_shared or lock_reset. */
static void release_locks(void (*act)(struct lock *lock)) {
    for (struct list *at = participants.prev; at != &participants; at = at->prev) {
        participant_of(at)->each_lock(act);
    }
    lock_ranks_resume();
}

static void parent(void) {
    if (!alone) {
        release_locks(lock_give_shared);
        os_streams_unlock();
    }
}

bool process_is_own(void) {
    return own_id == 0 || own_id == os_process_id();
}

static void child(void) {
    own_id = os_process_id();
    if (!alone) {
        release_locks(lock_reset);
    }
    for (struct list *at = participants.next; at != &participants; at = at->next) {
        if (participant_of(at)->recover != NULL) {
            participant_of(at)->recover(alone);
        }
    }
    if (!alone) {
        os_streams_reset();
    }
}

/* pthread_atfork may allocate: by now all participants have begun, and no lock is held. */
__attribute__((constructor(PROCESS_JOIN + 1))) static void start(int count, char **arguments, char **environment) {
    (void)count, (void)arguments;
    own_id = os_process_id();
    for (struct list *at = participants.next; at != &participants; at = at->next) {
        if (participant_of(at)->begin != NULL) {
            participant_of(at)->begin(environment);
        }
    }
    pthread_atfork(prepare, parent, child);
}
