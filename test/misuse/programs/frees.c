/*
 * frees.c - pointers that are freed, or resized, and are no live block.
 */
#include "program.h"

#include <malloc.h>
#include <sys/mman.h>

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

static bool in_the_middle(size_t size) {
    free_by_thread(full(size) + size / 2);
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

static bool of_a_mapping(size_t size) {
    void *mapped = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)size;
    free_by_thread((char *)mapped + 4096);
    return true;
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
    {"moved_by_realloc", moved_by_realloc},
    {"freed_by_realloc", freed_by_realloc},
    {"inside", inside},
    {"in_the_middle", in_the_middle},
    {"unaligned", unaligned},
    {"of_the_stack", of_the_stack},
    {"of_static_data", of_static_data},
    {"of_a_mapping", of_a_mapping},
    {"never_set", never_set},
    {"realloc_of_freed", realloc_of_freed},
    {"realloc_inside", realloc_inside},
    {"size_of_freed", size_of_freed},
    {"size_inside", size_inside},
    {"poisoned_list", poisoned_list},
    {NULL, NULL},
};
