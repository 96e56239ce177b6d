#include "spaces.h"

#include "complaint.h"
#include "copy.h"
#include "os/os.h"
#include "os/process.h"
#include "ranks.h"

struct space_root space_root = {
    .head = ROOT_HEAD(ROOT_SPACES, MEMS_VERSION, &space_layout, &space_root),
    .first = &space_default,
    .lock = LOCK_INIT(LOCK_SPACES),
    .spaces = {&space_root.spaces, &space_root.spaces},
};

ROOT_NOTE(space_root, space_root);

/* The spaces with each number. [0] is not used. */
static struct {
    struct lock lock;
    uint32_t users[HANDLE_NUMBERS];
    uint32_t next[HANDLE_NUMBERS]; /* the generation with which the next user starts */
} numbers = {.lock = LOCK_INIT(LOCK_SPACE_NUMBERS)};

/* The golden ratio of all generations: keeps them as far apart as possible for any number of spaces. */
#define GENERATIONS_APART 1266u

void spaces_add(struct mems_space *space) {
    lock_take(&space_root.lock);
    list_push_back(&space_root.spaces, &space->link);
    lock_give(&space_root.lock);
}

void spaces_remove(struct mems_space *space) {
    lock_take(&space_root.lock);
    list_remove(&space->link);
    lock_give(&space_root.lock);
}

uint32_t spaces_take_number(uint32_t *generation) {
    lock_take(&numbers.lock);
    uint32_t number = 1;
    for (uint32_t i = 2; i < HANDLE_NUMBERS; i++) {
        number = numbers.users[i] < numbers.users[number] ? i : number;
    }
    *generation = numbers.next[number] + numbers.users[number] * GENERATIONS_APART;
    numbers.users[number]++;
    lock_give(&numbers.lock);
    return number;
}

void spaces_give_number(uint32_t number, uint32_t newest) {
    lock_take(&numbers.lock);
    numbers.users[number]--;
    numbers.next[number] = newer(numbers.next[number], newest + 1);
    lock_give(&numbers.lock);
}

static void each_list_lock(void (*act)(struct lock *lock)) {
    act(&space_root.lock);
}

static void each_space_lock(void (*act)(struct lock *lock)) {
    act(&space_default.lock);
    for (struct list *link = space_root.spaces.next; link != &space_root.spaces; link = link->next) {
        act(&CONTAINER_OF(link, struct mems_space, link)->lock);
    }
    act(&numbers.lock);
    complaint_each_lock(act);
}

/* A space is consistent whenever its lock is free, but copies by the parent's other threads do not continue here. */
static void recover(bool alone) {
    if (alone) {
        return;
    }
    copy_forget_all(&space_default);
    for (struct list *link = space_root.spaces.next; link != &space_root.spaces; link = link->next) {
        copy_forget_all(CONTAINER_OF(link, struct mems_space, link));
    }
}

static struct process_participant list_participant = {.rank = LOCK_SPACES, .each_lock = each_list_lock};
static struct process_participant space_participant = {
    .rank = LOCK_SPACE, .each_lock = each_space_lock, .recover = recover};

__attribute__((constructor(PROCESS_JOIN))) static void join(void) {
    os_build_id(&space_root.head.build_id);
    process_join(&list_participant);
    process_join(&space_participant);
}
