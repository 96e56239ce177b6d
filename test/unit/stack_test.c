/*
 * stack_test.c - stacks are walked to their ends wherever the thread is, never off the stack, and with little of it.
 */
#include "support/test.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "os/frame.h"
#include "os/os.h"
#include "os/stack.h"
#include "os/unwind_table.h"
#include "support/thread.h"

#define DEPTH 64u
#define STACK_SIZE ((size_t)256 << 10)

/* The last walk. */
static struct {
    uintptr_t frames[DEPTH];
    unsigned depth;
    bool cut;
} walked;

static struct os_stack own;

__attribute__((noinline)) static void walk(void) {
    walked.depth = os_stack_walk(&own, walked.frames, DEPTH, &walked.cut);
}

/* Frame pointers lead only through code that is compiled to have them, which these tests are not. */
static void skip_without_tables(void) {
    if (os_unwinder() != OS_UNWINDER_TABLES) {
        skip();
    }
}

/* Whether one of the frames lies in a function of at most 512 bytes. */
static bool passes(void (*function)(void)) {
    for (unsigned i = 0; i < walked.depth; i++) {
        if (walked.frames[i] - (uintptr_t)function < 512) {
            return true;
        }
    }
    return false;
}

__attribute__((noinline)) static void called(void) {
    walk();
    __asm__ volatile("");
}

static void a_walk_comes_to_the_end_of_the_stack(void) {
    skip_without_tables();
    called();
    assert_true(walked.depth >= 2);
    assert_true(passes(called));
    if (os_unwinder() == OS_UNWINDER_TABLES) {
        assert_false(walked.cut);
    }
}

static void *walk_in_thread(void *unused) {
    (void)unused;
    memset(&own, 0, sizeof own);
    called();
    return NULL;
}

static void a_thread_has_a_stack_of_its_own(void) {
    skip_without_tables();
    thread_run(walk_in_thread, NULL);
    assert_true(passes(called));
    if (os_unwinder() == OS_UNWINDER_TABLES) {
        assert_false(walked.cut);
    }
    memset(&own, 0, sizeof own);
}

/* --- Other stacks ------------------------------------------------------------------------------------------------- */

static void handle(int number) {
    (void)number;
    called();
}

__attribute__((noinline)) static void interrupted(void) {
    raise(SIGUSR1);
    __asm__ volatile("");
}

static void *new_stack(void) {
    void *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(stack != MAP_FAILED);
    return stack;
}

static void a_signal_handler_leads_back_to_what_it_has_interrupted(void) {
    skip_without_tables();
    stack_t alternate = {.ss_sp = new_stack(), .ss_size = STACK_SIZE};
    assert_int_equal(sigaltstack(&alternate, NULL), 0);
    for (int flags = 0; flags <= SA_ONSTACK; flags += SA_ONSTACK) {
        struct sigaction action = {.sa_handler = handle, .sa_flags = flags};
        assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
        interrupted();
        assert_true(passes(called));
#ifdef __x86_64__ /* elsewhere an emulator's return from a signal has no tables */
        assert_true(passes(interrupted));
        assert_false(walked.cut);
#endif
    }
    alternate.ss_flags = SS_DISABLE;
    sigaltstack(&alternate, NULL);
}

#ifdef __GLIBC__ /* musl has no makecontext */
static ucontext_t outside, inside;

static void a_swapped_stack_is_followed_to_its_end(void) {
    skip_without_tables();
    getcontext(&inside);
    inside.uc_stack.ss_sp = new_stack();
    inside.uc_stack.ss_size = STACK_SIZE;
    inside.uc_link = &outside;
    makecontext(&inside, called, 0);
    assert_int_equal(swapcontext(&outside, &inside), 0);
    assert_true(passes(called));
    assert_true(walked.depth >= 2);
}
#endif

#ifdef __x86_64__
/* Calls a function on a stack whose frames lead to a return address that was made up, with nothing behind it. */
__attribute__((noinline)) static void call_on(void *top, void (*function)(void)) {
    __asm__ volatile("movq %%rsp, %%rbx\n\tmovq %0, %%rsp\n\tcallq *%1\n\tmovq %%rbx, %%rsp"
                     :
                     : "r"(top), "r"(function)
                     : "rbx", "memory", "cc", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11");
}

static void a_stack_that_ends_at_once_is_not_left(void) {
    skip_without_tables();
    char *stack = mmap(NULL, STACK_SIZE + OS_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(stack != MAP_FAILED);
    assert_int_equal(mprotect(stack, STACK_SIZE, PROT_READ | PROT_WRITE), 0);
    for (int unmapped = 0; unmapped <= 1; unmapped++) { /* at first a guard is behind it */
        call_on(stack + STACK_SIZE, called);
        assert_true(passes(called));
        assert_true(walked.cut);
        assert_int_equal(munmap(stack + STACK_SIZE, OS_PAGE), 0);
    }
}
#endif

/* --- How deep, how far -------------------------------------------------------------------------------------------- */

__attribute__((noinline)) static unsigned recurse(unsigned times) {
    if (times == 0) {
        called();
        return 0;
    }
    unsigned result = recurse(times - 1) + 1;
    __asm__ volatile("" : "+r"(result));
    return result;
}

static void a_deep_stack_is_cut(void) {
    skip_without_tables();
    assert_int_equal(recurse(10000), 10000);
    assert_int_equal(walked.depth, DEPTH);
    assert_true(walked.cut);
}

__attribute__((noinline)) static void walk_below_an_array(void) {
    volatile char array[5 * OS_PAGE];
    array[0] = array[sizeof array - 1] = 1;
    called();
    array[0] = array[1];
}

/* The kernel is asked once about the pages of the thread's own stack. */
static void what_is_known_of_a_stack_is_kept(void) {
    skip_without_tables();
    const uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    memset(&own, 0, sizeof own);
    walk_below_an_array();
    assert_false(walked.cut);
    const struct os_stack before = own;
    assert_true(before.low < here - 5 * OS_PAGE && before.high > here);
    called();
    assert_memory_equal(&own, &before, sizeof own);
#ifdef __x86_64__
    call_on((char *)new_stack() + STACK_SIZE, called);
    assert_memory_equal(&own, &before, sizeof own);
#endif
}

#ifdef __x86_64__
/* Asking about a page of shared memory fills it. */
static void memory_far_below_the_stack_is_not_asked_about(void) {
    skip_without_tables();
    char *stack = mmap(NULL, 2 * STACK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(stack != MAP_FAILED);
    call_on(stack + 4 * OS_PAGE, called);
    assert_true(walked.cut && passes(called));
    unsigned char resident = 0;
    assert_int_equal(mincore(stack + STACK_SIZE, OS_PAGE, &resident), 0);
    assert_int_equal(resident & 1, 0);
}

static char *false_frame;

/* Its caller is found by a frame pointer, which is wrong, as behind code that has replaced other code. */
__attribute__((noinline)) static void walk_with_a_false_frame(void) {
    volatile char *array = __builtin_alloca(walked.depth + 1);
    array[0] = 1;
    __asm__ volatile("movq %%rbp, %%rbx\n\tmovq %0, %%rbp\n\tcallq *%1\n\tmovq %%rbx, %%rbp"
                     :
                     : "r"(false_frame), "r"(called)
                     : "rbx", "memory", "cc", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11");
}

/* As Java closes the ends of its stacks. */
static void a_walk_reads_nothing_below_itself(void) {
    skip_without_tables();
    _Alignas(OS_PAGE) char stacks[8 * OS_PAGE];
    memset(stacks, 0, sizeof stacks);
    call_on(stacks + 4 * OS_PAGE, called);
    assert_true(own.low < (uintptr_t)stacks + 4 * OS_PAGE);
    char *closed = (char *)own.low;
    false_frame = closed + OS_PAGE / 2;
    assert_int_equal(mprotect(closed, OS_PAGE, PROT_NONE), 0);
    call_on(stacks + sizeof stacks, walk_with_a_false_frame);
    assert_true(walked.cut);
    assert_int_equal(mprotect(closed, OS_PAGE, PROT_READ | PROT_WRITE), 0);
}
#endif

#ifdef __x86_64__
/* A guard lies above, so this is not the thread's own stack. */
static void a_stack_within_the_own_is_not_left(void) {
    skip_without_tables();
    _Alignas(OS_PAGE) char stacks[8 * OS_PAGE];
    char *guard = stacks + 4 * OS_PAGE;
    memset(stacks, 0, sizeof stacks);
    memset(&own, 0, sizeof own);
    assert_int_equal(mprotect(guard, OS_PAGE, PROT_NONE), 0);
    call_on(guard, called);
    assert_true(walked.cut && passes(called) && own.high == 0 && own.hole == (uintptr_t)guard);
    char *upper = guard + 2 * OS_PAGE; /* one hole is enough: the pages before it are not asked about again */
    own.hole = (uintptr_t)upper;
    assert_int_equal(mprotect(upper, OS_PAGE, PROT_NONE), 0);
    call_on(guard, called);
    assert_true(walked.cut && passes(called) && own.high == 0 && own.hole == (uintptr_t)upper);
    assert_int_equal(mprotect(upper, OS_PAGE, PROT_READ | PROT_WRITE), 0);
    assert_int_equal(mprotect(guard, OS_PAGE, PROT_READ | PROT_WRITE), 0);
    call_on(guard, called);
    assert_true(passes(called) && own.high != 0 && own.hole == 0);
    call_on(stacks + sizeof stacks, called);
    assert_true(passes(called) && own.high != 0);
}
#endif

/* Below the stack pointer nothing is touched but what the walk needs. */
static void a_walk_takes_4_kib_of_stack_at_most(void) {
    enum { PAINTED = 32 << 10, GRAIN = 8 };
    volatile char *here = __builtin_frame_address(0);
    volatile uint64_t *low = (volatile uint64_t *)(uintptr_t)(here - PAINTED);
    walk(); /* what happens once */
    for (size_t i = 0; i < (PAINTED - 2048) / GRAIN; i++) {
        low[i] = UINT64_C(0x5ca1ab1e5ca1ab1e);
    }
    walk();
    size_t untouched = 0;
    while (low[untouched] == UINT64_C(0x5ca1ab1e5ca1ab1e)) {
        untouched++;
    }
    const size_t took = PAINTED - untouched * GRAIN;
#ifndef __SANITIZE_THREAD__
    assert_true(took <= 4096 + 512); /* this function's own frame included */
#else
    (void)took;
#endif
}

/* --- Beside a loader ---------------------------------------------------------------------------------------------- */

static atomic_bool loading = true;

static void *load_again_and_again(void *unused) {
    (void)unused;
    for (unsigned i = 0; i < scaled(300); i++) {
        void *library = dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL);
        if (library != NULL) {
            dlclose(library);
        }
    }
    loading = false;
    return NULL;
}

static void walks_beside_a_thread_that_loads_libraries(void) {
    skip_without_tables();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, load_again_and_again, NULL), 0);
    while (loading) {
        called();
        assert_true(passes(called));
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* A signal that comes while a stack is walked finds none. */
static atomic_uint inner;

static void walk_within(int number) {
    (void)number;
    uintptr_t frames[DEPTH];
    bool cut;
    struct os_stack unknown = {0};
    inner += os_stack_walk(&unknown, frames, DEPTH, &cut) == 0;
}

static void *send_signals(void *thread) {
    for (unsigned i = 0; i < 20000; i++) {
        pthread_kill(*(pthread_t *)thread, SIGUSR2);
    }
    loading = false;
    return NULL;
}

static void a_walk_within_a_walk_finds_nothing(void) {
    skip_without_tables();
    struct sigaction action = {.sa_handler = walk_within};
    pthread_t self = pthread_self();
    pthread_t thread;
    assert_int_equal(sigaction(SIGUSR2, &action, NULL), 0);
    loading = true;
    assert_int_equal(pthread_create(&thread, NULL, send_signals, &self), 0);
    while (loading) {
        called();
        assert_true(passes(called));
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(inner > 0);
}

/* Of a module: its sorted table has pairs of distances, behind 12 bytes. */
static int check_functions(struct dl_phdr_info *module, size_t size, void *total) {
    (void)size;
    for (unsigned i = 0; i < module->dlpi_phnum; i++) {
        const char *header = (const char *)module->dlpi_addr + module->dlpi_phdr[i].p_vaddr;
        if (module->dlpi_phdr[i].p_type != PT_GNU_EH_FRAME || (unsigned char)header[3] != 0x3b) {
            continue;
        }
        const int32_t *pairs = (const int32_t *)(header + 12);
        const uint32_t count = (uint32_t)pairs[-1];
        for (uint32_t at = 0; at < count; at++) {
            struct unwind_function function = {0};
            const uintptr_t start = (uintptr_t)header + (uintptr_t)(intptr_t)pairs[2 * at];
            const bool found = unwind_find_function(start, &function);
            CHECK(found && function.start == start);
            const bool longer = unwind_find_function(start + 1, &function);
            CHECK(!longer || function.start == start || (at + 1 < count && pairs[2 * at + 2] == pairs[2 * at] + 1));
        }
        *(uint32_t *)total += count;
    }
    return 0;
}

static void every_function_is_found_in_its_table(void) {
    uint32_t total = 0;
    skip_without_tables();
    dl_iterate_phdr(check_functions, &total);
    CHECK(total > 1000);
}

#if defined(__GLIBC__) && defined(__x86_64__)
#if __GLIBC_PREREQ(2, 35)
#define COUNTS_LOOKUPS

/* In place of glibc's: counts look-ups. */
static unsigned lookups;

int _dl_find_object(void *address, struct dl_find_object *object) {
    static int (*find)(void *, struct dl_find_object *);
    if (find == NULL) {
        *(void **)&find = dlsym(RTLD_NEXT, "_dl_find_object");
    }
    lookups++;
    return find(address, object);
}

enum { RULES = 300 };

/* Finds the callers of this many of a module's functions, as if each had just been called. */
static int unwind_functions(struct dl_phdr_info *module, size_t size, void *done) {
    (void)size;
    uintptr_t stack[] = {4711, 4712};
    for (unsigned i = 0; i < module->dlpi_phnum && *(unsigned *)done < RULES; i++) {
        const char *header = (const char *)module->dlpi_addr + module->dlpi_phdr[i].p_vaddr;
        if (module->dlpi_phdr[i].p_type != PT_GNU_EH_FRAME || (unsigned char)header[3] != 0x3b) {
            continue;
        }
        const int32_t *pairs = (const int32_t *)(header + 12);
        for (uint32_t at = 1; at < (uint32_t)pairs[-1] && *(unsigned *)done < RULES; at++) {
            const uintptr_t start = (uintptr_t)header + (uintptr_t)(intptr_t)pairs[2 * at];
            struct frame frame = {.pc = start, .interrupted = true};
            struct frame_bounds bounds = {.low = (uintptr_t)stack, .high = (uintptr_t)(stack + 2)};
            frame.registers[UNWIND_STACK_POINTER] = (uintptr_t)stack;
            if (frame_unwind(&frame, &bounds) == FRAME_FOUND && frame.pc == 4711) {
                CHECK_EQUAL(frame.registers[UNWIND_STACK_POINTER], (uintptr_t)(stack + 1));
                ++*(unsigned *)done;
            }
        }
    }
    return 0;
}

static void rules_are_looked_up_once(void) {
    skip_without_tables();
    for (unsigned time = 0; time < 3; time++) { /* many rules displace the first */
        unsigned done = 0;
        lookups = 0;
        dl_iterate_phdr(unwind_functions, &done);
        assert_int_equal(done, RULES);
    }
    assert_true(lookups < RULES / 3); /* where they are kept depends on addresses, so some still do */
}

#endif
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAIN(a_walk_comes_to_the_end_of_the_stack),
        PLAIN(a_thread_has_a_stack_of_its_own),
        PLAIN(a_signal_handler_leads_back_to_what_it_has_interrupted),
#ifdef __GLIBC__
        PLAIN(a_swapped_stack_is_followed_to_its_end),
#endif
#ifdef __x86_64__
        PLAIN(a_stack_that_ends_at_once_is_not_left),
#endif
        PLAIN(a_deep_stack_is_cut),
        PLAIN(what_is_known_of_a_stack_is_kept),
#ifdef __x86_64__
        PLAIN(a_stack_within_the_own_is_not_left),
        PLAIN(memory_far_below_the_stack_is_not_asked_about),
        PLAIN(a_walk_reads_nothing_below_itself),
#endif
        PLAIN(a_walk_takes_4_kib_of_stack_at_most),
        PLAIN(walks_beside_a_thread_that_loads_libraries),
        PLAIN(a_walk_within_a_walk_finds_nothing),
        PLAIN(every_function_is_found_in_its_table),
#ifdef COUNTS_LOOKUPS
        PLAIN(rules_are_looked_up_once),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
