/*
 * seccomp_test.c - after its first allocation a process needs few system calls for the rest of its life: the kernel
 * ends it at any other.
 */
#include "support/family.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifdef LIBRARY_mems
#include <mems.h>
#endif

#include "support/check.h"
#include "support/child.h"

/* --- The filter -------------------------------------------------------------------------------------------------- */

/* From the kernel's <linux/filter.h> and <linux/seccomp.h>, which not every C library's compiler finds. */
struct filter_step {
    uint16_t code;
    uint8_t if_true;
    uint8_t if_false;
    uint32_t value;
};
struct filter_program {
    unsigned short length;
    const struct filter_step *steps;
};
enum { LOAD_WORD = 0x20, JUMP_IF_EQUAL = 0x15, RETURN = 0x06 };
#define KILL_PROCESS UINT32_C(0x80000000)
#define ALLOW UINT32_C(0x7fff0000)
enum { SET_MODE_FILTER = 1, ALL_THREADS = 1 };

static const uint32_t allowed[] = {
    /* the heap's calls */
    SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_futex, SYS_getrandom,
#ifdef LIBRARY_hmm
    SYS_brk,
#endif
    /* this program's calls, and those of the C library when a thread ends */
    SYS_write, SYS_exit, SYS_exit_group, SYS_rt_sigreturn, SYS_rt_sigprocmask};
#define ALLOWED (sizeof allowed / sizeof allowed[0])

/* For all threads. If the kernel has no vDSO, reading a clock is a system call. */
static void allow_few_calls(void) {
    struct filter_step steps[2 * (ALLOWED + 1) + 2] = {{.code = LOAD_WORD, .value = 0}};
    unsigned short length = 1;
    for (size_t i = 0; i <= ALLOWED; i++) {
        uint32_t number = i < ALLOWED ? allowed[i] : SYS_clock_gettime;
        if (i < ALLOWED || getauxval(AT_SYSINFO_EHDR) == 0) {
            steps[length++] = (struct filter_step){JUMP_IF_EQUAL, 0, 1, number};
            steps[length++] = (struct filter_step){RETURN, 0, 0, ALLOW};
        }
    }
    steps[length++] = (struct filter_step){RETURN, 0, 0, KILL_PROCESS};
    const struct filter_program program = {length, steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_seccomp, SET_MODE_FILTER, ALL_THREADS, &program) != 0) {
        child_cannot();
    }
}

/* --- What a program does ------------------------------------------------------------------------------------------ */

#define BLOCKS 4000

static size_t size_of(size_t k) {
    static const size_t sizes[] = {1, 40, 700, 5000, 30000};
    return sizes[k % (sizeof sizes / sizeof sizes[0])] + k % 64;
}

/* Small and large, aligned and zeroed, grown and shrunk blocks, freed in another order. */
static void use_blocks(void) {
    static _Thread_local unsigned char *blocks[BLOCKS];
    for (size_t k = 0; k < BLOCKS; k++) {
        size_t size = k % 50 == 0 ? 40 * KIB + k * 200 : size_of(k);
        void *block = NULL;
        if (k % 5 == 0) {
            CHECK(posix_memalign(&block, (size_t)16 << k % 14, size) == 0);
        } else {
            block = k % 3 == 0 ? calloc(1, size) : malloc(size);
        }
        CHECK(block != NULL);
        memset(block, 1, size);
        blocks[k] = block;
    }
    for (size_t k = 0; k < BLOCKS; k += 2) {
        blocks[k] = realloc(blocks[k], size_of(k + 1));
        CHECK(blocks[k] != NULL);
    }
    for (size_t k = 0; k < BLOCKS; k++) {
        free(blocks[k * 7 % BLOCKS]);
    }
}

/* A block that grows with something behind it moves by its pages; huge blocks are mappings. */
static void grow_blocks(void) {
    char *behind[40] = {NULL};
    char *block = NULL;
    for (size_t k = 1; k < 40; k++) {
        block = realloc(block, k * 4 * MIB);
        CHECK(block != NULL && (k == 1 || block[(k - 1) * 4 * MIB - 1] == 1));
        block[0] = block[k * 4 * MIB - 1] = 1;
        behind[k] = malloc(MIB);
    }
    for (size_t k = 0; k < 40; k++) {
        free(behind[k]);
    }
    free(block);
}

/* Fresh zeros, used completely, a little or not at all; and zeros in memory that was used before. */
static void use_zeros(void) {
    for (size_t size = 50 * KIB; size < 4 * MIB; size += 64 * KIB) {
        for (size_t used = 0; used <= size; used += size / 2) {
            char *block = calloc(1, size);
            CHECK(block != NULL && block[0] == 0 && block[size - 1] == 0);
            memset(block, 1, used);
            free(block);
        }
    }
}

/* Unused memory goes back. */
static void wait_for_decay(void) {
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        free(malloc(100 * KIB));
        free(malloc(100));
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < 100);
}

static void use_everything(void) {
    use_blocks();
    grow_blocks();
    use_zeros();
    wait_for_decay();
}

/* --- Threads ------------------------------------------------------------------------------------------------------ */

#define THREADS 2
static pthread_barrier_t ready, filtered;
static void *_Atomic handed_over[THREADS][BLOCKS];

/* Its first call frees another thread's block. */
static void *work(void *argument) {
    void *_Atomic *blocks = argument;
    pthread_barrier_wait(&ready);
    pthread_barrier_wait(&filtered);
    for (size_t k = 0; k < BLOCKS; k++) {
        free(atomic_exchange(&blocks[k], NULL));
    }
    use_everything();
    for (size_t k = 0; k < BLOCKS; k++) {
        atomic_store(&blocks[k], malloc(size_of(k)));
    }
    return NULL;
}

/* HMM's break soon meets another mapping: so the heap takes further regions as well. */
static void limit_break(void) {
#ifdef LIBRARY_hmm
    uintptr_t wall = ((uintptr_t)sbrk(0) + 4 * MIB) & ~(uintptr_t)(MIB - 1);
    void *mapped = mmap((void *)wall, MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    CHECK(mapped == (void *)wall);
#endif
}

static void run_sandboxed(void *unused) {
    (void)unused;
    pthread_t threads[THREADS];
#ifdef LIBRARY_mems
    CHECK(mems_option_set("decay_ms", "20") == 0);
#endif
    free(malloc(1));
    limit_break();
    pthread_barrier_init(&ready, NULL, THREADS + 1);
    pthread_barrier_init(&filtered, NULL, THREADS + 1);
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, work, handed_over[i]) == 0);
    }
    pthread_barrier_wait(&ready);
    allow_few_calls();
    for (size_t i = 0; i < THREADS; i++) {
        for (size_t k = 0; k < BLOCKS; k++) {
            atomic_store(&handed_over[i][k], malloc(size_of(k)));
        }
    }
    pthread_barrier_wait(&filtered);
    use_everything();
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        for (size_t k = 0; k < BLOCKS; k++) {
            free(atomic_load(&handed_over[i][k]));
        }
    }
    _exit(0);
}

#ifdef LIBRARY_mems

/* Limited by a call that the library does not see: a refused block makes the heap give up its reservation. */
static void be_refused(void *unused) {
    (void)unused;
    free(malloc(1));
    const struct rlimit limit = {64 * MIB, 64 * MIB};
    CHECK(syscall(SYS_prlimit64, 0, RLIMIT_AS, &limit, NULL) == 0);
    allow_few_calls();
    CHECK(malloc(100 * MIB) == NULL);
    CHECK(malloc(5 * MIB) != NULL);
    _exit(0);
}

#endif

static void make_another_call(void *unused) {
    (void)unused;
    allow_few_calls();
    (void)syscall(SYS_getpid);
    _exit(0);
}

static void malloc_and_free_make_few_system_calls(void) {
    struct child_result result;
    child_run(&result, make_another_call, NULL);
    child_skip_if_cannot(&result);
    assert_int_equal(result.signal, SIGSYS);
    expect_success(run_sandboxed, NULL);
#ifdef LIBRARY_mems
    expect_success(be_refused, NULL);
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {PLAIN(malloc_and_free_make_few_system_calls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
