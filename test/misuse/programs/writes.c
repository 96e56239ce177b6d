/*
 * writes.c - writes beside a block, and into one that has been freed.
 */
#include "program.h"

#include <malloc.h>

/* What write_it writes, and where. */
static ptrdiff_t from;
static size_t bytes;
static int value;

static void write_it(char *block) {
    memset(hidden(block) + from, value, bytes);
}

static void write_to(char *block, ptrdiff_t at, size_t count, int what) {
    from = at;
    bytes = count;
    value = what;
    by_thread(write_it, block);
}

static char *written(size_t size, ptrdiff_t at, size_t count, int what) {
    char *block = full(size);
    write_to(block, at, count, what);
    return block;
}

static bool free_written(char *block, ptrdiff_t at, size_t count, int what) {
    write_to(block, at, count, what);
    free(block);
    return true;
}

static bool write_behind(size_t size, size_t count, int what) {
    return free_written(full(size), (ptrdiff_t)size, count, what);
}

static bool one_byte_behind(size_t size) {
    return write_behind(size, 1, 1);
}

static bool a_zero_behind(size_t size) {
    return write_behind(size, 1, 0);
}

static bool eight_bytes_behind(size_t size) {
    return write_behind(size, 8, 1);
}

static bool many_bytes_behind(size_t size) {
    return write_behind(size, 100, 1);
}

static bool zeros_behind(size_t size) {
    return write_behind(size, 32, 0);
}

static bool ones_behind(size_t size) {
    return write_behind(size, 16, 0xff);
}

static bool a_page_behind(size_t size) {
    return write_behind(size, 8192, 1);
}

static bool behind_and_never_freed(size_t size) {
    return written(size, (ptrdiff_t)size, 1, 1) != NULL;
}

static bool behind_calloc(size_t size) {
    return free_written(hidden(calloc(1, size)), (ptrdiff_t)size, 1, 1);
}

static bool behind_an_aligned_one(size_t size) {
    return free_written(hidden(memalign(64, size)), (ptrdiff_t)size, 1, 1);
}

static bool behind_an_aligned_page(size_t size) {
    return free_written(hidden(memalign(4096, size)), (ptrdiff_t)size, 1, 0);
}

static bool behind_all_that_is_usable(size_t size) {
    char *block = full(size);
    return free_written(block, (ptrdiff_t)malloc_usable_size(block), 1, 1);
}

static bool behind_a_shrunk_one(size_t size) {
    char *block = hidden(realloc(full(size), size - 5));
    return free_written(block, (ptrdiff_t)size - 1, 1, 1);
}

static bool behind_a_grown_one(size_t size) {
    char *block = hidden(realloc(full(size), size * 2));
    return free_written(block, (ptrdiff_t)size * 2, 1, 1);
}

static bool behind_before_it_grows(size_t size) {
    return realloc(written(size, (ptrdiff_t)size, 1, 1), size * 4) != NULL;
}

static bool write_before(size_t size, size_t count, int what) {
    char *blocks[4];
    for (int i = 0; i < 4; i++) {
        blocks[i] = full(size);
    }
    for (int i = 0; i < 4; i++) {
        write_to(blocks[i], -(ptrdiff_t)count, count, what);
    }
    for (int i = 0; i < 4; i++) {
        free(blocks[i]);
    }
    return true;
}

static void *in_a_thread(void *function) {
    ((void (*)(void))function)();
    return NULL;
}

/* By a thread that ends afterwards. */
static void by_one_that_ends(void (*function)(void)) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, in_a_thread, (void *)function) != 0) {
        exit(2);
    }
    pthread_join(thread, NULL);
}

static size_t size_there;
static char *block_there;

static void overflow_there(void) {
    block_there = written(size_there, (ptrdiff_t)size_there, 1, 1);
}

static void allocate_there(void) {
    block_there = full(size_there);
}

static void free_there(void) {
    free(hidden(block_there));
}

/* A block of a thread that ends: overflowed by that thread, or by another one when it has ended. */
static bool behind_one_of_an_ended_thread(size_t size) {
    size_there = size;
    by_one_that_ends(overflow_there);
    return true;
}

static bool behind_one_that_an_ended_thread_left(size_t size) {
    size_there = size;
    by_one_that_ends(allocate_there);
    write_to(block_there, (ptrdiff_t)size, 1, 1);
    return true;
}

static bool after_free_by_one_that_ended(size_t size) {
    block_there = full(size);
    by_one_that_ends(free_there);
    write_to(block_there, (ptrdiff_t)size / 2, 1, 1);
    return true;
}

static bool before(size_t size) {
    return write_before(size, 1, 1);
}

static bool eight_bytes_before(size_t size) {
    return write_before(size, 8, 1);
}

static bool zeros_before(size_t size) {
    return write_before(size, 16, 0);
}

static bool a_page_before(size_t size) {
    return write_before(size, 4096, 1);
}

static bool a_string_too_long(size_t size) {
    char *text = full(size + 9);
    text[size + 8] = '\0';
    char *block = full(size);
    strcpy(hidden(block), hidden(text));
    free(block);
    return true;
}

static bool a_copy_too_long(size_t size) {
    char *other = full(size + 16);
    char *block = full(size);
    memcpy(hidden(block), hidden(other), size + (size_t)hidden((void *)9));
    free(block);
    return true;
}

/* Whether a neighbour's bytes were changed. */
static bool into_a_neighbour(size_t size) {
    char *blocks[64];
    bool changed = false;
    for (int i = 0; i < 64; i++) {
        blocks[i] = full(size);
    }
    write_to(blocks[32], (ptrdiff_t)size, 64, 1);
    for (int i = 0; i < 64; i++) {
        changed |= secrets(blocks[i], size) != size;
    }
    free(blocks[31]);
    return changed;
}

static bool after_free(size_t size) {
    char *block = full(size);
    free(block);
    write_to(block, 0, 1, 1);
    return true;
}

static bool after_free_by_another(size_t size) {
    char *block = full(size);
    free_by_thread(block);
    *hidden(block) = 1;
    return true;
}

static bool after_free_at_the_end(size_t size) {
    char *block = full(size);
    free(block);
    write_to(block, (ptrdiff_t)size - 1, 1, 1);
    return true;
}

static bool after_free_and_others(size_t size) {
    char *block = full(size);
    free(block);
    for (int i = 0; i < 10; i++) {
        free(full(size));
    }
    write_to(block, 0, 1, 1);
    return true;
}

static bool after_free_of_an_aligned_one(size_t size) {
    char *block = hidden(memalign(64, size));
    free(block);
    write_to(block, 0, 1, 1);
    return true;
}

/* To where the block was. */
static bool after_realloc(size_t size) {
    char *block = full(size);
    char *kept = hidden(block);
    if (hidden(realloc(block, size * 4)) == kept) {
        return false;
    }
    write_to(kept, 0, 8, 1);
    return true;
}

/* The next blocks of the size show what was written to a freed one. */
static bool after_free_seen(size_t size) {
    char *block = full(size);
    free(block);
    write_to(block, (ptrdiff_t)size / 2, 1, SECRET);
    for (int i = 0; i < 100; i++) {
        char *next = hidden(malloc(size));
        if (next == NULL || next[size / 2] == SECRET) {
            return true;
        }
    }
    return false;
}

/* The slot is used again. */
static bool after_free_and_before_others(size_t size) {
    char *block = full(size);
    free(block);
    write_to(block, (ptrdiff_t)size / 2, 1, 1);
    for (int i = 0; i < 1000; i++) {
        hidden(malloc(size));
    }
    return true;
}

static bool after_free_and_before_pairs(size_t size) {
    char *block = full(size);
    free(block);
    write_to(block, (ptrdiff_t)size / 2, 1, 1);
    for (int i = 0; i < 1000; i++) {
        free(hidden(malloc(size)));
    }
    return true;
}

/* The block that was freed is another's now. */
static bool after_free_into_another(size_t size) {
    char *block = full(size);
    free(block);
    char *next = full(size);
    write_to(block, 0, 1, 1);
    return secrets(next, 1) != 1;
}

static bool of_no_bytes(size_t size) {
    char *block = hidden(malloc(size / SIZE_MAX));
    *block = 1;
    free(block);
    return true;
}

static bool behind_no_bytes(size_t size) {
    char *block = hidden(malloc(size / SIZE_MAX));
    block[16] = 1;
    free(block);
    return true;
}

static bool of_no_bytes_aligned(size_t size) {
    char *block = hidden(aligned_alloc(64, size / SIZE_MAX));
    write_to(block, 0, 1, 1);
    free(block);
    return true;
}

static bool of_no_bytes_by_calloc(size_t size) {
    char *block = hidden(calloc(size / SIZE_MAX, 8));
    *block = 1;
    free(block);
    return true;
}

const struct kind writes[] = {
    {"one_byte_behind", one_byte_behind},
    {"a_zero_behind", a_zero_behind},
    {"eight_bytes_behind", eight_bytes_behind},
    {"many_bytes_behind", many_bytes_behind},
    {"zeros_behind", zeros_behind},
    {"ones_behind", ones_behind},
    {"a_page_behind", a_page_behind},
    {"behind_calloc", behind_calloc},
    {"behind_an_aligned_one", behind_an_aligned_one},
    {"behind_an_aligned_page", behind_an_aligned_page},
    {"behind_all_that_is_usable", behind_all_that_is_usable},
    {"behind_a_shrunk_one", behind_a_shrunk_one},
    {"behind_a_grown_one", behind_a_grown_one},
    {"behind_before_it_grows", behind_before_it_grows},
    {"behind_and_never_freed", behind_and_never_freed},
    {"behind_one_of_an_ended_thread", behind_one_of_an_ended_thread},
    {"behind_one_that_an_ended_thread_left", behind_one_that_an_ended_thread_left},
    {"after_free_by_one_that_ended", after_free_by_one_that_ended},
    {"before", before},
    {"eight_bytes_before", eight_bytes_before},
    {"zeros_before", zeros_before},
    {"a_page_before", a_page_before},
    {"a_string_too_long", a_string_too_long},
    {"a_copy_too_long", a_copy_too_long},
    {"into_a_neighbour", into_a_neighbour},
    {"after_free", after_free},
    {"after_free_by_another", after_free_by_another},
    {"after_free_at_the_end", after_free_at_the_end},
    {"after_free_and_others", after_free_and_others},
    {"after_free_of_an_aligned_one", after_free_of_an_aligned_one},
    {"after_realloc", after_realloc},
    {"after_free_seen", after_free_seen},
    {"after_free_and_before_others", after_free_and_before_others},
    {"after_free_and_before_pairs", after_free_and_before_pairs},
    {"after_free_into_another", after_free_into_another},
    {"write_of_no_bytes", of_no_bytes},
    {"write_behind_no_bytes", behind_no_bytes},
    {"write_of_no_bytes_aligned", of_no_bytes_aligned},
    {"write_of_no_bytes_by_calloc", of_no_bytes_by_calloc},
    {NULL, NULL},
};
