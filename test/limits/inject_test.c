/*
 * The kernel refuses: each mmap, munmap, mprotect, madvise and mremap of a whole scenario fails in turn, once and for
 * good. Allocations may then fail with ENOMEM; nothing else may.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os.h"
#include "stress/stress.h"

#define BLOCKS 96
#define THREADS 2
#define FOREVER UINT64_MAX
#define ADDRESS_LIMIT ((size_t)8 << 30)

static struct block blocks[BLOCKS];

/* What a child process reports by its exit status; anything else is a failure. */
enum { REACHED = 0, NOT_REACHED = 7 };

/* An allocation either works or says ENOMEM. */
static void accept(struct block *block, unsigned char *memory, size_t size, uint64_t mark) {
    if (memory == NULL) {
        CHECK(errno == ENOMEM);
        *block = (struct block){.memory = NULL};
        return;
    }
    *block = (struct block){.memory = memory, .size = size, .mark = mark};
    block_fill(block);
}

static void make(struct block *block, size_t size, uint64_t mark) {
    errno = 0;
    switch (mark % 3) {
    case 0:
        block->memory = engine_alloc_zeroed(1, size);
        block->size = block->memory != NULL ? size : 0;
        CHECK(block_zero(block));
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

/* A realloc that fails leaves the block as it was. */
static void resize(struct block *block, size_t size) {
    if (block->memory == NULL) {
        return;
    }
    errno = 0;
    unsigned char *memory = engine_realloc("realloc", block->memory, size);
    if (memory == NULL) {
        CHECK(errno == ENOMEM);
        CHECK(block_intact(block, SIZE_MAX));
        return;
    }
    block->memory = memory;
    CHECK(block_intact(block, size));
    block->size = size;
    block_fill(block);
}

static void destroy(struct block *block) {
    CHECK(block_intact(block, SIZE_MAX));
    errno = ERANGE;
    engine_free(block->memory);
    CHECK(errno == ERANGE);
    *block = (struct block){.memory = NULL};
}

/* Small, large and huge sizes by turns; the k-th block of a call is the same in every run. */
static size_t size_of(size_t k) {
    static const size_t sizes[] = {24, 200, 3000, 40 * KIB, 100 * KIB, 400 * KIB, 1500 * KIB, 70 * MIB};
    return sizes[k % (sizeof sizes / sizeof sizes[0])] + k;
}

static void *visit(void *first) {
    struct block *own = first;
    for (size_t i = 0; i < 8; i++) {
        make(&own[i], size_of(i), i);
    }
    for (size_t i = 0; i < 4; i++) {
        destroy(&own[i]);
    }
    return NULL;
}

/* Thread creation uses the C library's memory, not ours, so it is not refused. */
static void visit_by_threads(struct block *first) {
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

/* When the kernel gives in again, so does the heap: all is intact, all can be freed, and there is memory to be had. */
static void check_recovery(void) {
    struct block large;
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
    bool started; /* the refusals begin when the engine has started */
    bool limited; /* in ADDRESS_LIMIT bytes, where the engine claims addresses piece by piece */
    bool reached; /* the scenario came as far as the first refusal */
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

/* A trial in a process of its own, whose engine has not started yet; returns whether it met the refusal. */
static bool refuse(struct trial trial) {
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit limit = {.rlim_cur = ADDRESS_LIMIT, .rlim_max = ADDRESS_LIMIT};
        alarm(60);
        CHECK(!trial.limited || setrlimit(RLIMIT_AS, &limit) == 0);
        run_in_thread(attempt, &trial);
        check_nothing_left();
        _exit(trial.reached ? REACHED : NOT_REACHED);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || (WEXITSTATUS(status) != REACHED && WEXITSTATUS(status) != NOT_REACHED)) {
        fail_msg("refusal %llu of call kind %d (%llu times): wait status %#x", (unsigned long long)trial.after,
                 (int)trial.call, (unsigned long long)trial.count, (unsigned)status);
    }
    return WEXITSTATUS(status) == REACHED;
}

/* Every refusal in turn while there are few; then in growing strides, as the later ones are much alike. */
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

static void test_refused_mmap(void **state) {
    (void)state;
    refuse_each((struct trial){.call = OS_CALL_MMAP, .error = ENOMEM});
    refuse_each((struct trial){.call = OS_CALL_MMAP, .error = ENOMEM, .started = true});
}

static void test_refused_mmap_where_addresses_are_limited(void **state) {
    (void)state;
    if (UNDER_TSAN) {
        skip(); /* TSan itself needs more addresses than that */
    }
    refuse_each((struct trial){.call = OS_CALL_MMAP, .error = ENOMEM, .limited = true});
    refuse_each((struct trial){.call = OS_CALL_MMAP, .error = EEXIST, .limited = true, .started = true});
}

static void test_refused_munmap(void **state) {
    (void)state;
    refuse_each((struct trial){.call = OS_CALL_MUNMAP, .error = ENOMEM});
}

static void test_refused_mprotect(void **state) {
    (void)state;
    refuse_each((struct trial){.call = OS_CALL_MPROTECT, .error = ENOMEM});
}

static void test_refused_madvise(void **state) {
    (void)state;
    refuse_each((struct trial){.call = OS_CALL_MADVISE, .error = EPERM});
    refuse_each((struct trial){.call = OS_CALL_MADVISE, .error = EINVAL, .started = true});
}

static void test_refused_mremap(void **state) {
    (void)state;
    refuse_each((struct trial){.call = OS_CALL_MREMAP, .error = ENOMEM});
    refuse_each((struct trial){.call = OS_CALL_MREMAP, .error = EPERM});
}

static void refuse_everything(bool started) {
    for (unsigned again = 0; again < 2; again++) {
        pid_t child = fork();
        int status = 0;
        if (child == 0) {
            alarm(60);
            if (started) {
                engine_free(engine_alloc(100));
            }
            for (int call = 0; call < OS_CALLS; call++) {
                os_inject((enum os_call)call, again, FOREVER, ENOMEM);
            }
            run_scenario();
            os_inject_clear();
            check_recovery();
            CHECK_VALID();
            _exit(0);
        }
        CHECK(child > 0 && waitpid(child, &status, 0) == child);
        assert_int_equal(status, 0);
    }
}

static void test_all_refused_at_once(void **state) {
    (void)state;
    refuse_everything(false);
    refuse_everything(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_mmap),        cmocka_unit_test(test_refused_mmap_where_addresses_are_limited),
        cmocka_unit_test(test_refused_munmap),      cmocka_unit_test(test_refused_mprotect),
        cmocka_unit_test(test_refused_madvise),     cmocka_unit_test(test_refused_mremap),
        cmocka_unit_test(test_all_refused_at_once),
    };
    alarm(900);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
