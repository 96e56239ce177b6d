/*
 * leaks.c - a program with reachable and unreachable blocks. It prints them, "kept ADDRESS" or "leaked ADDRESS" and
 * how, on each line, and waits; with an argument it ends instead.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define MASK UINT64_C(0x5555555555555555)

struct node {
    void *next, *other;
    char rest[40];
};

static void *volatile in_data = (void *)1;
static void *volatile in_bss;
static __attribute__((aligned(4096))) struct {
    void *volatile pointer;
    char rest[4096 - sizeof(void *)];
} alone = {(void *)1, {0}};
static void *volatile inner;
static void *volatile last_byte;
static void *volatile chain;
static void *volatile *volatile many;
static void *volatile in_far_bss[20000];
static volatile uint64_t mangled;
static __thread void *volatile in_tls;
static void *volatile sink;
static volatile int ready;

/* Prints a block, and leaves no copy of its address except the caller's. */
static __attribute__((noinline)) void *tell(const char *state, const char *how, void *block) {
    char line[100];
    int length = snprintf(line, sizeof line, "%s %#lx %s\n", state, (unsigned long)(uintptr_t)block, how);
    if (write(STDOUT_FILENO, line, (size_t)length) != length) {
        _exit(1);
    }
    memset(line, 0, sizeof line);
    return block;
}

/* Overwrites the part of the stack that functions which have returned used. */
static __attribute__((noinline)) void wipe_stack(void) {
    volatile char space[20000];
    memset((void *)(uintptr_t)space, 0, sizeof space);
}

static __attribute__((noinline)) void lose(void) {
    tell("leaked", "small", malloc(100));
    tell("leaked", "large", malloc((size_t)300 << 10));
    struct node *holder = tell("leaked", "holder", malloc(sizeof(struct node)));
    memset(holder, 0, sizeof *holder);
    holder->next = tell("below", "below_a_leak", malloc(50));
    struct node *self = tell("leaked", "self", malloc(sizeof(struct node)));
    memset(self, 0, sizeof *self);
    self->next = self;
    char **freed = malloc(5000);
    freed[100] = tell("leaked", "in_a_freed_block", malloc(200));
    free(freed);
    strcpy(tell("leaked", "text", malloc(40)), "a text that nobody reads");
}

static __attribute__((noinline)) void lose_cycle(void) {
    struct node *nodes[3];
    for (int i = 0; i < 3; i++) {
        nodes[i] = tell("cycle", "cycle", malloc(sizeof(struct node)));
        memset(nodes[i], 0, sizeof *nodes[i]);
    }
    nodes[0]->next = nodes[1];
    nodes[1]->next = nodes[2];
    nodes[2]->next = nodes[0];
    nodes[2]->other = tell("below", "below_a_cycle", malloc(60));
}

/* Far below every later stack pointer. */
static __attribute__((noinline)) void lose_in_dead_stack(void) {
    void *volatile space[30000];
    space[100] = tell("leaked", "in_dead_stack", malloc(300));
    (void)space[100];
}

/* More pointers to one stretch of the heap than the command notes in one piece. */
static __attribute__((noinline)) void keep_many(void) {
    enum { COUNT = 2000 };
    many = tell("kept", "many", malloc(COUNT * sizeof *many));
    for (size_t i = 0; i < COUNT; i++) {
        many[i] = tell("kept", "one_of_many", malloc(24));
    }
}

static __attribute__((noinline)) void keep(void) {
    in_data = tell("kept", "in_data", malloc(100));
    in_bss = tell("kept", "in_bss", malloc((size_t)300 << 10));
    in_far_bss[19999] = tell("kept", "in_far_bss", malloc(100));
    inner = (char *)tell("kept", "inner", malloc(1000)) + 500;
    last_byte = (char *)tell("kept", "last_byte", malloc(1024)) + 1023;
    in_tls = tell("kept", "in_tls", malloc(33));
    struct node *first = tell("kept", "chain", malloc(sizeof(struct node)));
    struct node *second = tell("kept", "chain", malloc(sizeof(struct node)));
    *first = (struct node){.next = second};
    *second = (struct node){.other = tell("kept", "chain", malloc((size_t)66 << 20))};
    chain = first;
    void **page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[7] = tell("kept", "in_a_mapping", malloc(100));
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    page[8] = tell("kept", "in_shared_memory", malloc(100));
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[9] = tell("kept", "in_a_page_made_read_only", malloc(100));
    mprotect(page, 4096, PROT_READ);
    alone.pointer = tell("kept", "in_data_made_read_only", malloc(100));
    mprotect(&alone, sizeof alone, PROT_READ);
    pthread_key_t key;
    pthread_key_create(&key, NULL);
    pthread_setspecific(key, tell("kept", "specific", malloc(100)));
#if defined(__x86_64__) && defined(__GLIBC__)
    uint64_t word = (uint64_t)(uintptr_t)tell("mangled", "mangled", malloc(700));
    __asm__("xor %%fs:0x30, %0\n\trol $17, %0" : "+r"(word));
    mangled = word;
#endif
}

static void *keep_on_stack(void *unused) {
    void *volatile local = tell("kept", "on_a_thread's_stack", malloc(120));
    in_tls = tell("kept", "in_a_thread's_tls", malloc(130));
    wipe_stack();
    ready++;
    pause();
    sink = local;
    return unused;
}

/* The system call pause without end, which leaves all registers but these three alone: rax, rcx and r11. */
#define PAUSE "1: mov $34, %%eax\n\tsyscall\n\tjmp 1b"

/* A block whose only pointer is in a register. */
static void *keep_in_register(void *unused) {
    uint64_t hidden = (uint64_t)(uintptr_t)tell("kept", "in_a_register", malloc(140)) ^ MASK;
    wipe_stack();
    ready++;
#if defined(__x86_64__)
    __asm__ volatile("movabs $0x5555555555555555, %%rax\n\txor %0, %%rax\n\tmov %%rax, %%r13\n" PAUSE ::"r"(hidden)
                     : "rax", "rcx", "r11", "r13");
#elif defined(__aarch64__)
    __asm__ volatile("mov x20, #0x5555555555555555\n\teor x20, x20, %0\n1: yield\n\tb 1b" ::"r"(hidden) : "x20");
#endif
    return unused;
}

static void *keep_in_vector(void *unused) {
    uint64_t hidden = (uint64_t)(uintptr_t)tell("kept", "in_a_vector_register", malloc(150)) ^ MASK;
    wipe_stack();
    ready++;
#if defined(__x86_64__)
    __asm__ volatile("movabs $0x5555555555555555, %%rax\n\txor %0, %%rax\n\tmovq %%rax, %%xmm9\n\t"
                     "pslldq $8, %%xmm9\n" PAUSE ::"r"(hidden)
                     : "rax", "rcx", "r11", "xmm9");
#elif defined(__aarch64__)
    __asm__ volatile("mov x20, #0x5555555555555555\n\teor x20, x20, %0\n\tmov v9.d[1], x20\n\tmov x20, #0\n"
                     "1: yield\n\tb 1b" ::"r"(hidden)
                     : "x20", "v9");
#endif
    return unused;
}

/* A leaf function's variable may be below the stack pointer. It makes no system call, so others go first. */
static void *keep_in_red_zone(void *unused) {
#if defined(__x86_64__)
    uint64_t hidden = (uint64_t)(uintptr_t)tell("kept", "in_the_red_zone", malloc(160)) ^ MASK;
    wipe_stack();
    setpriority(PRIO_PROCESS, (id_t)gettid(), 10);
    ready++;
    __asm__ volatile("movabs $0x5555555555555555, %%rax\n\txor %0, %%rax\n\tmov %%rax, -64(%%rsp)\n\txor %%eax, %%eax\n"
                     "1: pause\n\tjmp 1b" ::"r"(hidden)
                     : "rax", "memory");
#else
    ready++;
    pause();
#endif
    return unused;
}

/* On a stack that the program has mapped, with data right below it in the same mapping. */
static void *on_own_stack(void *unused) {
    wipe_stack();
    ready++;
    pause();
    return unused;
}

static void start(void *(*function)(void *), pthread_attr_t *attributes) {
    pthread_t thread;
    const int before = ready;
    if (pthread_create(&thread, attributes, function, NULL) != 0) {
        _exit(1);
    }
    while (ready == before) {
        usleep(1000);
    }
}

static __attribute__((noinline)) void start_on_own_stack(void) {
    const size_t size = (size_t)1 << 20;
    pthread_attr_t attributes;
    char *memory = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *(void **)(memory + 256) = tell("kept", "below_a_stack_of_its_own", malloc(170));
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, memory + size, size);
    start(on_own_stack, &attributes);
}

/* The dynamic TLS of a module: a heap block that only the thread's vector of them points to. */
static __attribute__((noinline)) void keep_in_module(const char *path) {
    void *module = dlopen(path, RTLD_NOW);
    void **(*place)(void) = NULL;
    if (module == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        _exit(1);
    }
    *(void **)&place = dlsym(module, "place");
    *place() = tell("kept", "in_dynamic_tls", malloc(180));
}

int main(int count, char **words) {
    keep();
    keep_many();
    lose();
    lose_cycle();
    lose_in_dead_stack();
    if (count > 1) {
        keep_in_module(words[1]);
    }
    start(keep_on_stack, NULL);
    start(keep_in_red_zone, NULL);
    start(keep_in_register, NULL);
    start(keep_in_vector, NULL);
    start_on_own_stack();
    void *volatile local = tell("kept", "on_the_stack", malloc(190));
    wipe_stack();
    sink = NULL;
    tell("nothing", "", NULL);
    if (count > 2) {
        exit(0);
    }
    for (;;) {
        pause();
    }
    sink = local;
}
