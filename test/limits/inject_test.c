/*
 * The kernel refuses: each mmap, munmap, mprotect, madvise and mremap of a whole scenario fails in turn, once or
 * permanently. Allocations may then fail with ENOMEM; nothing else may happen.
 */
#include "support/test.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/os.h"
#include "support/child.h"
#include "support/engine_heap.h"
#include "support/marked.h"
#include "support/thread.h"

#define BLOCKS 96
#define THREADS 2
#define FOREVER UINT64_MAX
#define ADDRESS_LIMIT ((size_t)8 << 30)

static struct marked blocks[BLOCKS];

/* Exit statuses of a child process; any other is a failure. */
enum { REACHED = 0, NOT_REACHED = 7 };

/* Fills a block of this size. Few words of a large one, because each touches a page in each of hundreds of processes.
 */
static void fill(struct marked *block, size_t size) {
    block->size = size;
    block->stride = size / 6 / MARKED_WORD * MARKED_WORD;
    marked_fill(block);
}

/* An allocation either succeeds or sets ENOMEM. */
static void accept(struct marked *block, unsigned char *memory, size_t size, uint64_t mark) {
    if (memory == NULL) {
        CHECK(errno == ENOMEM);
        *block = (struct marked){.memory = NULL};
        return;
    }
    *block = (struct marked){.memory = memory, .mark = mark};
    fill(block, size);
}

static void make(struct marked *block, size_t size, uint64_t mark) {
    errno = 0;
    switch (mark % 3) {
    case 0:
        block->memory = engine_alloc_zeroed(1, size);
        block->size = block->memory != NULL ? size : 0;
        CHECK(marked_zero(block));
        break;
    case 1:
        block->memory = engine_alloc_aligned((size_t)1 << (mark % 17), size);
        CHECK((uintptr_t)block->memory % ((size_t)1 << (mark % 17)) == 0);
        break;
    default:
        block->memory = engine_alloc(size);
    }
    accept(block, block->memory, size, mark);
}

/* A failed realloc leaves the block unchanged. */
static void resize(struct marked *block, size_t size) {
    if (block->memory == NULL) {
        return;
    }
    errno = 0;
    unsigned char *memory = engine_realloc("realloc", block->memory, size);
    if (memory == NULL) {
        CHECK(errno == ENOMEM);
        CHECK(marked_intact(block, SIZE_MAX));
        return;
    }
    block->memory = memory;
    CHECK(marked_intact(block, size));
    fill(block, size);
}

static void destroy(struct marked *block) {
    CHECK(marked_intact(block, SIZE_MAX));
    errno = ERANGE;
    engine_free(block->memory);
    CHECK(errno == ERANGE);
    *block = (struct marked){.memory = NULL};
}

/* Small, large and huge sizes in turn; the k-th block of a call is the same in every run. */
static size_t size_of(size_t k) {
    static const size_t sizes[] = {24, 200, 3000, 40 * KIB, 100 * KIB, 400 * KIB, 1100 * KIB, 70 * MIB};
    return sizes[k % (sizeof sizes / sizeof sizes[0])] + k;
}

static void *visit(void *first) {
    struct marked *own = first;
    for (size_t i = 0; i < 8; i++) {
        make(&own[i], size_of(i), i);
    }
    for (size_t i = 0; i < 4; i++) {
        destroy(&own[i]);
    }
    return NULL;
}

/* Creating threads uses the C library's memory, not ours, so it is not refused. */
static void visit_by_threads(struct marked *first) {
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, visit, first + 8 * i) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

static void run_scenario(void) {
    for (size_t i = 0; i < 64; i++) {
        make(&blocks[i], size_of(i), i);
    }
    for (size_t i = 0; i < 64; i += 3) {
        resize(&blocks[i], size_of(i + 1) * 3 / 2);
    }
    for (size_t i = 1; i < 64; i += 3) {
        resize(&blocks[i], size_of(i) / 2);
    }
    resize(&blocks[23], size_of(23) + 2 * MIB); /* a huge block, which grows with its mapping */
    for (size_t i = 0; i < 64; i += 2) {
        destroy(&blocks[i]);
    }
    engine_trim();
    visit_by_threads(&blocks[64]);
    for (size_t i = 0; i < 64; i += 4) {
        make(&blocks[i], size_of(i + 5), i);
    }
    for (size_t i = 0; i < BLOCKS; i += 5) {
        destroy(&blocks[i]);
    }
    engine_trim();
}

/* When the kernel gives in again, so does the heap: everything is intact, can be freed, and there is memory. */
static void check_recovery(void) {
    struct marked large = {.memory = NULL};
    CHECK_VALID();
    for (size_t i = 0; i < BLOCKS; i++) {
        destroy(&blocks[i]);
    }
    make(&large, 100 * MIB, 2);
    CHECK(large.memory != NULL);
    destroy(&large);
    for (size_t i = 0; i < BLOCKS; i++) {
        make(&blocks[i], size_of(i), i);
        CHECK(blocks[i].memory != NULL);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        destroy(&blocks[i]);
    }
}

struct trial {
    enum os_call call;
    uint64_t after;
    uint64_t count;
    int error;
    bool started; /* refusals begin once the engine has started */
    bool limited; /* to ADDRESS_LIMIT bytes, so that the engine claims addresses piece by piece */
    bool reached; /* the scenario reached the first refusal */
};

static void *attempt(void *argument) {
    struct trial *trial = argument;
    if (trial->started) {
        engine_free(engine_alloc(100));
    }
    uint64_t before = os_inject_calls(trial->call);
    os_inject(trial->call, trial->after, trial->count, trial->error);
    run_scenario();
    trial->reached = os_inject_calls(trial->call) - before > trial->after;
    os_inject_clear();
    check_recovery();
    return NULL;
}

static void attempt_in_child(void *argument) {
    const struct rlimit limit = {.rlim_cur = ADDRESS_LIMIT, .rlim_max = ADDRESS_LIMIT};
    const struct trial *trial = argument;
    CHECK(!trial->limited || setrlimit(RLIMIT_AS, &limit) == 0);
    thread_run(attempt, argument);
    check_nothing_left();
    _exit(trial->reached ? REACHED : NOT_REACHED);
}

/* Runs a trial in a new process, whose engine has not started; returns whether the refusal happened. */
static bool refuse(struct trial trial) {
    struct child_result result;
    child_run(&result, attempt_in_child, &trial);
    if (result.signal != 0 || (result.status != REACHED && result.status != NOT_REACHED)) {
        fail_msg("refusal %" PRIu64 " of call kind %d (%" PRIu64 " times): signal %d, status %d, %s", trial.after,
                 (int)trial.call, trial.count, result.signal, result.status, result.err);
    }
    return result.status == REACHED;
}

/* Each refusal in turn at first, then with growing strides, because later ones resemble each other. */
static void refuse_each(struct trial trial) {
    const uint64_t counts[] = {1, FOREVER};
    for (unsigned i = 0; i < 2; i++) {
        trial.count = counts[i];
        trial.after = 0;
        while (refuse(trial)) {
            trial.after += 1 + trial.after / 32;
        }
        assert_true(trial.after > 0);
    }
}

static void a_refused_mmap_fails_allocations_and_nothing_else(void) {
    refuse_each((struct trial){.call = OS_CALL_MMAP, .error = ENOMEM});
    refuse_each((struct trial){.call = OS_CALL_MMAP, .error = ENOMEM, .started = true});
}

static void a_refused_mmap_where_addresses_are_limited_fails_allocations_and_nothing_else(void) {
    if (UNDER_TSAN) {
        skip(); /* TSan itself needs more address space than that */
    }
    refuse_each((struct trial){.call = OS_CALL_MMAP, .error = ENOMEM, .limited = true});
    refuse_each((struct trial){.call = OS_CALL_MMAP, .error = EEXIST, .limited = true, .started = true});
}

static void a_refused_munmap_fails_allocations_and_nothing_else(void) {
    refuse_each((struct trial){.call = OS_CALL_MUNMAP, .error = ENOMEM});
}

static void a_refused_mprotect_fails_allocations_and_nothing_else(void) {
    refuse_each((struct trial){.call = OS_CALL_MPROTECT, .error = ENOMEM});
}

static void a_refused_madvise_fails_allocations_and_nothing_else(void) {
    refuse_each((struct trial){.call = OS_CALL_MADVISE, .error = EPERM});
    refuse_each((struct trial){.call = OS_CALL_MADVISE, .error = EINVAL, .started = true});
}

static void a_refused_mremap_fails_allocations_and_nothing_else(void) {
    refuse_each((struct trial){.call = OS_CALL_MREMAP, .error = ENOMEM});
    refuse_each((struct trial){.call = OS_CALL_MREMAP, .error = EPERM});
}

static void refuse_everything(void *argument) {
    const struct trial *trial = argument;
    if (trial->started) {
        engine_free(engine_alloc(100));
    }
    for (int call = 0; call < OS_CALLS; call++) {
        os_inject((enum os_call)call, trial->after, FOREVER, ENOMEM);
    }
    run_scenario();
    os_inject_clear();
    check_recovery();
    CHECK_VALID();
}

static void everything_refused_at_once_fails_allocations_and_nothing_else(void) {
    for (unsigned i = 0; i < 4; i++) {
        expect_success(refuse_everything, &(struct trial){.after = i % 2, .started = i >= 2});
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(a_refused_mmap_fails_allocations_and_nothing_else),
        PLAIN(a_refused_mmap_where_addresses_are_limited_fails_allocations_and_nothing_else),
        PLAIN(a_refused_munmap_fails_allocations_and_nothing_else),
        PLAIN(a_refused_mprotect_fails_allocations_and_nothing_else),
        PLAIN(a_refused_madvise_fails_allocations_and_nothing_else),
        PLAIN(a_refused_mremap_fails_allocations_and_nothing_else),
        PLAIN(everything_refused_at_once_fails_allocations_and_nothing_else),
    };
    alarm(1800);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
