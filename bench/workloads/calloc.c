/*
 * calloc.c - zeroed blocks: from memory that the process never had before, and from memory that it has used. The
 * programs read the zeros before they write.
 *
 * recycled_64k to recycled_8m: a block of one size is allocated, written on each page and freed, again and again.
 * one_word: the same over all these sizes, but only one word of each block is written. dense_sparse: sparsely used
 * tables beside full small ones; it shows how much of the tables becomes resident.
 */
#include "workload.h"

/* A zeroed block, of which the first and last word and a byte on each page are read. */
static char *zeroed(size_t size) {
    char *block = calloc(size / 16, 16);
    if (block == NULL) {
        die("calloc failed");
    }
    bool good = *(uint64_t *)block == 0 && *(uint64_t *)(block + size - 8) == 0;
    for (size_t at = PAGE; at < size; at += PAGE) {
        good &= block[at] == 0;
    }
    if (!good) {
        die("a block of calloc is not zero");
    }
    return block;
}

/* Sizes in multiples of 16: up to 32 KiB, and one block in 64 between 64 KiB and 1 MiB. */
static size_t mixed_size(uint64_t *random) {
    size_t size = next_random(random) % 64 == 0 ? size_between(random, 64 * KIB, MIB) : tail_size(random);
    return size & ~(size_t)15;
}

/* A heap that only grows. */
static void fresh(size_t index) {
    uint64_t random = random_seed(index);
    char *last = NULL; /* each block holds the address of the one before */
    size_t count = 0;
    for (size_t left = share(512 * MIB, index); left > 0; count++) {
        size_t size = mixed_size(&random);
        char *block = zeroed(size);
        fill_pages(block, 0, size, index);
        *(char **)block = last;
        last = block;
        left -= size < left ? size : left;
    }
    while (last != NULL) {
        char *before = *(char **)last;
        free(last);
        last = before;
    }
    count_operations(2 * count);
}

/* Blocks in memory of others, which the program had filled and freed. */
static void recycled(size_t index) {
    char *live[256];
    uint64_t random = random_seed(index);
    size_t steps = share(3000000, index);
    for (size_t i = 0; i < LENGTH(live); i++) {
        live[i] = zeroed(16);
    }
    for (size_t left = steps; left > 0; left--) {
        char **slot = &live[next_random(&random) % LENGTH(live)];
        free(*slot);
        size_t size = (left % 64 == 0 ? size_between(&random, 64 * KIB, 128 * KIB) : tail_size(&random)) & ~(size_t)15;
        *slot = zeroed(size);
        memset(*slot, 0xa5, size);
    }
    for (size_t i = 0; i < LENGTH(live); i++) {
        free(live[i]);
    }
    count_operations(2 * (LENGTH(live) + steps));
}

/* Large tables of which the program uses little: an allocator that clears them itself makes all their pages
 * resident. */
static void sparse(size_t index) {
    char *live[4] = {NULL};
    uint64_t random = random_seed(index);
    size_t steps = share(1000, index);
    for (size_t left = steps; left > 0; left--) {
        char **slot = &live[left % LENGTH(live)];
        size_t pages = MIB / PAGE << next_random(&random) % 5;
        free(*slot);
        *slot = calloc(pages, PAGE);
        if (*slot == NULL) {
            die("calloc failed");
        }
        for (int uses = 0; uses < 32; uses++) {
            uint64_t *word = (uint64_t *)(*slot + next_random(&random) % pages * PAGE);
            if (*word > left) {
                die("a block of calloc is not zero");
            }
            *word = left;
        }
    }
    for (size_t i = 0; i < LENGTH(live); i++) {
        free(live[i]);
    }
    count_operations(2 * steps);
}

static void recycle(size_t size, size_t bytes) {
    size_t count = scaled(bytes / size);
    for (size_t left = count; left > 0; left--) {
        char *block = zeroed(size);
        fill_pages(block, 0, size, left | 1); /* odd: no page begins with a zero, so stale bytes show */
        free(block);
    }
    count_operations(2 * count);
}

static void recycled_64k(void) {
    recycle(64 * KIB, 8 * 1024 * MIB);
}

static void recycled_256k(void) {
    recycle(256 * KIB, 8 * 1024 * MIB);
}

static void recycled_1m(void) {
    recycle(MIB, 8 * 1024 * MIB);
}

static void recycled_8m(void) {
    recycle(8 * MIB, 8 * 1024 * MIB);
}

/* Sizes from 64 KiB, doubling up to 8 MiB; 16 blocks of each in turn. */
static void one_word(void) {
    uint64_t random = random_seed(0);
    size_t steps = scaled(60000);
    for (size_t step = 0; step < steps; step++) {
        size_t size = 64 * KIB << step / 16 % 8;
        char *block = calloc(1, size);
        if (block == NULL) {
            die("calloc failed");
        }
        uint64_t *word = (uint64_t *)(block + next_random(&random) % (size / PAGE) * PAGE);
        if (*word != 0) {
            die("a block of calloc is not zero");
        }
        *word = step + 1;
        free(block);
    }
    count_operations(2 * steps);
}

/* Each object is a filled buffer and seven tables, each of which it uses one word of. */
struct object {
    char *buffer;
    uint64_t *tables[7];
};

static void make_object(struct object *object, uint64_t *random) {
    static const size_t table_size = 1000000;
    object->buffer = zeroed(64 * KIB);
    memset(object->buffer, 0xa5, 64 * KIB);
    for (size_t i = 0; i < LENGTH(object->tables); i++) {
        object->tables[i] = calloc(1, table_size);
        if (object->tables[i] == NULL) {
            die("calloc failed");
        }
        uint64_t *word = &object->tables[i][next_random(random) % (table_size / sizeof(uint64_t))];
        if (*word != 0) {
            die("a block of calloc is not zero");
        }
        *word = 1;
    }
}

static void dense_sparse(void) {
    static struct object objects[1000];
    uint64_t random = random_seed(0);
    size_t rounds = 4;
    size_t count = run.percent < 100 ? scaled(LENGTH(objects)) : LENGTH(objects);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < count; i++) {
            make_object(&objects[i], &random);
        }
        for (size_t i = 0; i < count; i++) {
            free(objects[i].buffer);
            for (size_t j = 0; j < LENGTH(objects[i].tables); j++) {
                free(objects[i].tables[j]);
            }
        }
    }
    count_operations(2 * rounds * count * (1 + LENGTH(objects[0].tables)));
}

static const struct variant variants[] = {{"fresh", .each = fresh},
                                          {"recycled", .each = recycled},
                                          {"sparse", .each = sparse},
                                          {"recycled_64k", .whole = recycled_64k, .threads = 1},
                                          {"recycled_256k", .whole = recycled_256k, .threads = 1},
                                          {"recycled_1m", .whole = recycled_1m, .threads = 1},
                                          {"recycled_8m", .whole = recycled_8m, .threads = 1},
                                          {"one_word", .whole = one_word, .threads = 1},
                                          {"dense_sparse", .whole = dense_sparse, .threads = 1}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
