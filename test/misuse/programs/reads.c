/*
 * reads.c - reads of memory that does not, or no longer, belong to the program; and which addresses can be predicted.
 */
#include "program.h"

static bool seen;
static ptrdiff_t from;
static size_t bytes;

static void read_it(char *block) {
    seen = secrets(hidden(block) + from, bytes) != 0;
}

static bool sees(char *block, ptrdiff_t at, size_t count) {
    from = at;
    bytes = count;
    by_thread(read_it, block);
    return seen;
}

static bool after_free(size_t size) {
    char *block = full(size);
    free(block);
    return sees(block, 0, size);
}

static bool after_free_later(size_t size) {
    char *block = full(size);
    char *other = full(size);
    free(block);
    free(other);
    return sees(block, (ptrdiff_t)size / 2, size / 2);
}

/* Where the block was. */
static bool after_realloc(size_t size) {
    char *block = full(size);
    char *kept = hidden(block);
    if (hidden(realloc(block, size * 4)) == kept) {
        return false;
    }
    return sees(kept, 0, size);
}

/* A block still has its last user's contents. */
static bool never_written(size_t size) {
    for (int i = 0; i < 100; i++) {
        char *block = full(size);
        free_by_thread(block);
        block = hidden(malloc(size));
        if (block == NULL || secrets(block, size) != 0) {
            return true;
        }
        free(block);
    }
    return false;
}

static bool never_written_by_realloc(size_t size) {
    for (int i = 0; i < 100; i++) {
        free(full(size * 2));
        char *block = (char *)malloc(1);
        block = hidden(realloc(hidden(block), size * 2));
        if (block == NULL || secrets(block + 1, size * 2 - 1) != 0) {
            return true;
        }
        free(block);
    }
    return false;
}

/* A neighbour's secrets. */
static bool behind(size_t size) {
    char *blocks[16];
    for (int i = 0; i < 16; i++) {
        blocks[i] = full(size);
    }
    return sees(blocks[8], (ptrdiff_t)size, 64);
}

static bool of_no_bytes(size_t size) {
    char *block = hidden(malloc(size / SIZE_MAX));
    return sees(block, 0, 1) || *block == 0;
}

/* A freed block comes back at once. */
static bool comes_back(size_t size) {
    char *block = full(size);
    free_by_thread(block);
    return hidden(malloc(size)) == block;
}

/* The distance of blocks that are allocated one after the other is that of the blocks before. */
static bool evenly_spaced(size_t size) {
    char *blocks[8];
    for (int i = 0; i < 8; i++) {
        blocks[i] = full(size);
    }
    for (int i = 2; i < 8; i++) {
        if (blocks[i] - blocks[i - 1] != blocks[1] - blocks[0]) {
            return false;
        }
    }
    return true;
}

const struct kind reads[] = {
    {"read_after_free", after_free},
    {"read_after_free_later", after_free_later},
    {"read_after_realloc", after_realloc},
    {"never_written", never_written},
    {"never_written_by_realloc", never_written_by_realloc},
    {"read_behind", behind},
    {"read_of_no_bytes", of_no_bytes},
    {"comes_back", comes_back},
    {"evenly_spaced", evenly_spaced},
    {NULL, NULL},
};
