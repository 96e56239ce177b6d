/*
 * Blocks misused by a thread that does not own them, or after such a thread has freed them: the check happens at the
 * call, in any thread.
 */
#include "misuse.h"

#include <malloc.h>

#include "support/thread.h"

static void *free_in_thread(void *block) {
    free(hidden(block));
    return NULL;
}

/* Ends when the thread has. */
static void free_remotely(void *block) {
    thread_run(free_in_thread, block);
}

/* Blocks that the C library allocates for the first thread must not land where one has just been freed. */
static void warm_up(void) {
    free_remotely(malloc(1));
}

/* --- What is freed and then used -----------------------------------------------------------------------------------
 */

enum operation { FREE, FREE_SIZED, REALLOC, USABLE_SIZE };
enum collection { NONE, BY_OWNER, BY_ANOTHER }; /* of what was freed, before it is used again */

struct misuse {
    size_t size;
    bool first_there;  /* another thread frees the block, */
    bool second_there; /* or uses it again */
    enum operation operation;
    enum collection collection;
    void *block;
};

static void *use(void *argument) {
    const struct misuse *misuse = argument;
    void *block = hidden(misuse->block);
    switch (misuse->operation) {
    case FREE:
        free(block);
        break;
    case FREE_SIZED:
        free_sized(block, misuse->size);
        break;
    case REALLOC:
        block = realloc(block, 2 * misuse->size);
        break;
    case USABLE_SIZE:
        (void)!malloc_usable_size(block);
        break;
    }
    return NULL;
}

static void *trim(void *unused) {
    (void)unused;
    malloc_trim(0);
    return NULL;
}

/* Between two blocks that keep its slab. Nothing follows the second use that could find the mistake later. */
static void free_then_use(void *argument) {
    struct misuse misuse = *(const struct misuse *)argument;
    warm_up();
    void *before = malloc(misuse.size);
    misuse.block = malloc(misuse.size);
    void *behind = malloc(misuse.size);
    if (misuse.first_there) {
        free_remotely(misuse.block);
    } else {
        free(misuse.block);
    }
    if (misuse.collection == BY_OWNER) {
        trim(NULL);
    } else if (misuse.collection == BY_ANOTHER) {
        thread_run(trim, NULL);
    }
    if (misuse.second_there) {
        thread_run(use, &misuse);
    } else {
        use(&misuse);
    }
    free(before);
    free(behind);
}

/* Of a size that nobody else uses: 48 bytes of every use would find other neighbours. */
#define SMALL 5000u

static const char *const problems[] = {
    [FREE] = "free(@): double free",
    [FREE_SIZED] = "free_sized(@): double free",
    [REALLOC] = "realloc(@): not a live block",
    [USABLE_SIZE] = "malloc_usable_size(@): not a live block",
};

/* Another thread's trim leaves the blocks in the owner's magazine there. */
static const char *state_of(const struct misuse *misuse) {
    if (misuse->collection == BY_OWNER || (misuse->collection == BY_ANOTHER && misuse->first_there)) {
        return "free";
    }
    return misuse->first_there ? "freed by another thread" : "cached";
}

static void a_small_block_that_two_threads_misuse_is_a_fault_at_the_call(void) {
    for (unsigned i = 0; i < 3 * 4 * 3; i++) {
        struct misuse misuse = {
            .size = SMALL,
            .first_there = i % 3 != 0,
            .second_there = i % 3 != 1, /* here and there, there and here, there twice */
            .operation = (enum operation)(i / 3 % 4),
            .collection = (enum collection)(i / 12),
        };
        char report[128];
        snprintf(report, sizeof report, "%s: slot # of a #-byte slab, %s", problems[misuse.operation],
                 state_of(&misuse));
        expect_fault(free_then_use, &misuse, report);
    }
}

static void freed_here_then_there(void *argument) {
    warm_up();
    void *block = malloc(*(size_t *)argument);
    free(block);
    free_remotely(hidden(block));
}

static void freed_there_then_here(void *argument) {
    warm_up();
    void *block = malloc(*(size_t *)argument);
    free_remotely(block);
    free(hidden(block));
}

static void freed_there_twice(void *argument) {
    warm_up();
    void *block = malloc(*(size_t *)argument);
    free_remotely(block);
    free_remotely(hidden(block));
}

static void a_large_block_freed_twice_by_two_threads_is_a_fault(void) {
    /* The thread that has ended keeps nothing. */
    static const char report[] = "free(@): double free: in free memory of the window (a span of # bytes)";
    expect_fault(freed_here_then_there, &(size_t){200000}, "free(@): double free: a large block of # bytes, cached");
    expect_fault(freed_there_then_here, &(size_t){200000}, report);
    expect_fault(freed_there_twice, &(size_t){200000}, report);
}

static void a_huge_block_freed_twice_by_two_threads_is_a_fault(void) {
    static const char report[] = "free(@): double free: a huge block of 104857600 bytes, free";
    expect_fault(freed_here_then_there, &(size_t){100 << 20}, report);
    expect_fault(freed_there_then_here, &(size_t){100 << 20}, report);
    expect_fault(freed_there_twice, &(size_t){100 << 20}, report);
}

static void inside(void *argument) {
    size_t offset = *(size_t *)argument;
    char *block = malloc(48);
    free_remotely(hidden(block + offset));
}

static void freeing_the_inside_of_a_slot_in_another_thread_is_a_fault(void) {
    expect_fault(inside, &(size_t){16}, "free(@): not a block's start: 16 bytes into slot # of a 48-byte slab, live");
    expect_fault(inside, &(size_t){1}, "free(@): not a block's start: 1 bytes into slot # of a 48-byte slab, live");
}

/* --- A freed block and its next user -------------------------------------------------------------------------------
 */

static pthread_barrier_t step;

static void *free_and_stay(void *block) {
    free(malloc(64));
    free(block);
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    return NULL;
}

/* Another thread has freed the block and stays. Where the second free were accepted, the block would have two owners:
 * one by the magazine, one by the inbox. */
static void freed_again_while_the_first_freer_stays(void *argument) {
    pthread_t thread;
    for (int i = 0; i < 4; i++) {
        free(malloc(64));
    }
    struct misuse misuse = *(const struct misuse *)argument;
    misuse.block = malloc(misuse.size);
    pthread_barrier_init(&step, NULL, 2);
    pthread_create(&thread, NULL, free_and_stay, misuse.block);
    pthread_barrier_wait(&step);
    use(&misuse);
    pthread_barrier_wait(&step);
    pthread_join(thread, NULL);
}

static void a_block_has_one_owner_whoever_frees_it(void) {
    for (enum operation operation = FREE; operation <= USABLE_SIZE; operation++) {
        char report[128];
        snprintf(report, sizeof report, "%s: slot # of a 64-byte slab, freed by another thread", problems[operation]);
        expect_fault(freed_again_while_the_first_freer_stays, &(struct misuse){.size = 64, .operation = operation},
                     report);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(a_small_block_that_two_threads_misuse_is_a_fault_at_the_call),
        PLAIN(a_large_block_freed_twice_by_two_threads_is_a_fault),
        PLAIN(a_huge_block_freed_twice_by_two_threads_is_a_fault),
        PLAIN(a_block_has_one_owner_whoever_frees_it),
        PLAIN(freeing_the_inside_of_a_slot_in_another_thread_is_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
