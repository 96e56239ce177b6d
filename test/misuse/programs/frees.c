/*
 * frees.c - pointers that are freed, or resized, and are no live block.
 */
#include "program.h"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static bool twice(size_t size) {
    char *block = full(size);
    free(block);
    free_by_thread(block);
    return true;
}

static bool twice_interleaved(size_t size) {
    char *a = full(size);
    char *b = full(size);
    free(a);
    free(b);
    free_by_thread(a);
    return true;
}

static bool twice_later(size_t size) {
    char *block = full(size);
    char *others[200];
    for (int i = 0; i < 200; i++) {
        others[i] = full(size < 100000 ? size : 100);
    }
    free(block);
    for (int i = 0; i < 200; i++) {
        free(others[i]);
    }
    free_by_thread(block);
    return true;
}

static bool twice_remotely(size_t size) {
    char *block = full(size);
    free_by_thread(block);
    free_by_thread(block);
    return true;
}

/* The block may be another user's by then. */
static bool twice_after_reuse(size_t size) {
    char *block = full(size);
    free(block);
    char *next = full(size);
    free_by_thread(block);
    return hidden(next) != NULL;
}

static bool twice_after_many(size_t size) {
    char *block = full(size);
    free(block);
    for (int i = 0; i < 1000; i++) {
        free(full(size));
    }
    free_by_thread(block);
    return true;
}

static bool twice_in_a_child(size_t size) {
    char *block = full(size);
    free(block);
    const pid_t child = fork();
    if (child == 0) {
        free(hidden(block));
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status);
}

static size_t to_make;
static char *made;

static void make_it(char *unused) {
    (void)unused;
    made = full(to_make);
}

/* A block of a thread that has ended. */
static bool twice_of_an_ended_thread(size_t size) {
    to_make = size;
    by_thread(make_it, NULL);
    free(made);
    free(hidden(made));
    return true;
}

static pthread_barrier_t gate;

static void *free_at_the_gate(void *block) {
    pthread_barrier_wait(&gate);
    free(block);
    return NULL;
}

static bool twice_at_once(size_t size) {
    pthread_barrier_init(&gate, NULL, 2);
    for (int i = 0; i < 50; i++) {
        char *block = full(size);
        pthread_t threads[2];
        for (int k = 0; k < 2; k++) {
            if (pthread_create(&threads[k], NULL, free_at_the_gate, block) != 0) {
                exit(2);
            }
        }
        pthread_join(threads[0], NULL);
        pthread_join(threads[1], NULL);
    }
    return true;
}

static bool moved_by_realloc(size_t size) {
    char *block = full(size);
    char *kept = hidden(block);
    char *moved = hidden(realloc(block, size * 3));
    if (moved == kept) {
        return false;
    }
    free_by_thread(kept);
    return true;
}

static bool moved_twice(size_t size) {
    char *block = full(size);
    char *kept = hidden(block);
    if (hidden(realloc(block, size * 4)) == kept) {
        return false;
    }
    return realloc(hidden(kept), size * 8) != NULL;
}

static bool freed_by_realloc(size_t size) {
    char *block = full(size);
    char *kept = hidden(block);
    block = (char *)realloc(block, 0);
    free_by_thread(kept);
    return block == NULL;
}

static bool inside(size_t size) {
    free_by_thread(full(size) + 16);
    return true;
}

/* Where another block could start, if there were no block here. */
static bool a_unit_inside(size_t size) {
    free_by_thread(full(size) + 65536);
    return true;
}

static bool in_the_middle(size_t size) {
    free_by_thread(full(size) + size / 2);
    return true;
}

static bool inside_an_aligned_one(size_t size) {
    free_by_thread(hidden(memalign(256, size)) + 64);
    return true;
}

static bool before_an_aligned_one(size_t size) {
    free_by_thread(hidden(memalign(4096, size)) - 16);
    return true;
}

static bool behind_the_end(size_t size) {
    free_by_thread(full(size) + (size + 15) / 16 * 16);
    return true;
}

/* The upper half was lost, as in a conversion to int. */
static bool cut_off(size_t size) {
    free_by_thread((char *)(uintptr_t)(uint32_t)(uintptr_t)full(size));
    return true;
}

/* The program has put something into the upper bits. */
static bool tagged(size_t size) {
    free_by_thread((char *)((uintptr_t)full(size) | (uintptr_t)1 << 56));
    return true;
}

static bool unaligned(size_t size) {
    free_by_thread(full(size) + 1);
    return true;
}

static bool of_the_stack(size_t size) {
    __attribute__((aligned(16))) char bytes[256];
    memset(bytes, 0, sizeof bytes);
    free_by_thread(hidden(bytes) + size % 2);
    return true;
}

static bool of_static_data(size_t size) {
    static __attribute__((aligned(16))) char bytes[4096];
    free_by_thread(hidden(bytes) + size % 2);
    return true;
}

static bool of_code(size_t size) {
    free_by_thread(hidden((void *)(uintptr_t)of_static_data) + size % 2);
    return true;
}

static bool of_the_environment(size_t size) {
    (void)size;
    free_by_thread(hidden(getenv("PATH")));
    return true;
}

static bool of_a_mapping(size_t size) {
    void *mapped = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)size;
    free_by_thread((char *)mapped + 4096);
    return true;
}

static bool of_a_protected_mapping(size_t size) {
    void *mapped = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)size;
    free_by_thread((char *)mapped);
    return true;
}

static bool realloc_of_the_stack(size_t size) {
    __attribute__((aligned(16))) char bytes[256];
    memset(bytes, 0, sizeof bytes);
    return realloc(hidden(bytes), size) != NULL;
}

static bool size_of_the_stack(size_t size) {
    __attribute__((aligned(16))) char bytes[256];
    memset(bytes, 0, sizeof bytes);
    return malloc_usable_size(hidden(bytes) + size % 2) != 0;
}

static bool never_set(size_t size) {
    char *block = hidden((void *)(uintptr_t)0x1234567890);
    (void)size;
    free_by_thread(block);
    return true;
}

static bool realloc_of_freed(size_t size) {
    char *block = full(size);
    free(block);
    return realloc(hidden(block), size + 1) != NULL;
}

static bool realloc_inside(size_t size) {
    return realloc(hidden(full(size) + 16), size) != NULL;
}

static bool size_of_freed(size_t size) {
    char *block = full(size);
    free(block);
    return malloc_usable_size(hidden(block)) != 0;
}

static bool size_inside(size_t size) {
    return malloc_usable_size(hidden(full(size) + 16)) != 0;
}

/* A free list in freed memory leads where the program says. */
static bool poisoned_list(size_t size) {
    static __attribute__((aligned(16))) char target[4096];
    const char *leads_to = target;
    char *a = full(size);
    char *b = full(size);
    free(a);
    free(b);
    memcpy(hidden(b), &leads_to, sizeof leads_to);
    for (int i = 0; i < 8; i++) {
        if (hidden(malloc(size)) == target) {
            return true;
        }
    }
    return false;
}

const struct kind frees[] = {
    {"twice", twice},
    {"twice_interleaved", twice_interleaved},
    {"twice_later", twice_later},
    {"twice_remotely", twice_remotely},
    {"twice_after_reuse", twice_after_reuse},
    {"twice_after_many", twice_after_many},
    {"twice_in_a_child", twice_in_a_child},
    {"twice_of_an_ended_thread", twice_of_an_ended_thread},
    {"twice_at_once", twice_at_once},
    {"moved_by_realloc", moved_by_realloc},
    {"moved_twice", moved_twice},
    {"freed_by_realloc", freed_by_realloc},
    {"inside", inside},
    {"a_unit_inside", a_unit_inside},
    {"in_the_middle", in_the_middle},
    {"inside_an_aligned_one", inside_an_aligned_one},
    {"before_an_aligned_one", before_an_aligned_one},
    {"behind_the_end", behind_the_end},
    {"cut_off", cut_off},
    {"tagged", tagged},
    {"unaligned", unaligned},
    {"of_the_stack", of_the_stack},
    {"of_static_data", of_static_data},
    {"of_code", of_code},
    {"of_the_environment", of_the_environment},
    {"of_a_mapping", of_a_mapping},
    {"of_a_protected_mapping", of_a_protected_mapping},
    {"realloc_of_the_stack", realloc_of_the_stack},
    {"size_of_the_stack", size_of_the_stack},
    {"never_set", never_set},
    {"realloc_of_freed", realloc_of_freed},
    {"realloc_inside", realloc_inside},
    {"size_of_freed", size_of_freed},
    {"size_inside", size_inside},
    {"poisoned_list", poisoned_list},
    {NULL, NULL},
};
