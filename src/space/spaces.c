#include "spaces.h"

#include "complaint.h"
#include "copy.h"
#include "os/process.h"
#include "ranks.h"

/* The spaces but the default one, which is always there. */
static struct {
    struct lock lock;
    struct list list;
} spaces = {
    .lock = LOCK_INIT(LOCK_SPACES),
    .list = {&spaces.list, &spaces.list},
};

/* Who has which number. [0] is not in use. */
static struct {
    struct lock lock;
    uint32_t users[HANDLE_NUMBERS];
    uint32_t next[HANDLE_NUMBERS]; /* the generation with which the next user begins */
} numbers = {.lock = LOCK_INIT(LOCK_SPACE_NUMBERS)};

/* As far from each other as may be, for any number of spaces: the golden ratio's part of all generations. */
#define GENERATIONS_APART 1266u

void spaces_add(struct mems_space *space) {
    lock_take(&spaces.lock);
    list_push_back(&spaces.list, &space->link);
    lock_give(&spaces.lock);
}

void spaces_remove(struct mems_space *space) {
    lock_take(&spaces.lock);
    list_remove(&space->link);
    lock_give(&spaces.lock);
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
    act(&spaces.lock);
}

static void each_space_lock(void (*act)(struct lock *lock)) {
    act(&space_default.lock);
    for (struct list *link = spaces.list.next; link != &spaces.list; link = link->next) {
        act(&CONTAINER_OF(link, struct mems_space, link)->lock);
    }
    act(&numbers.lock);
    complaint_each_lock(act);
}

/* Every space is whole while its lock is free; but the copies of the parent's other threads do not go on here. */
static void recover(bool alone) {
    if (alone) {
        return;
    }
    copies_forget(&space_default);
    for (struct list *link = spaces.list.next; link != &spaces.list; link = link->next) {
        copies_forget(CONTAINER_OF(link, struct mems_space, link));
    }
}

static struct process_participant list_participant = {.rank = LOCK_SPACES, .each_lock = each_list_lock};
static struct process_participant space_participant = {
    .rank = LOCK_SPACE, .each_lock = each_space_lock, .recover = recover};

__attribute__((constructor(PROCESS_JOIN))) static void join(void) {
    process_join(&list_participant);
    process_join(&space_participant);
}
