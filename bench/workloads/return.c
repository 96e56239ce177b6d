/*
 * return.c - does the system get its memory back? 256 MiB of blocks are freed; then the program waits for two seconds,
 * and either allocates a little of sizes that it did not use before, which takes an allocator's slow path, or calls
 * malloc_trim. The time excludes the wait.
 *
 * busy_small, busy_large: 1 GiB is freed, and the program serves requests for two seconds instead of waiting. Each is a
 * small block from the thread's cache, so an allocator that returns memory only on its slow path may keep all of it.
 */
#include "workload.h"

#pragma weak malloc_trim
int malloc_trim(size_t pad);

/* The blocks are a list in order of allocation: the program itself holds only its ends. */
struct block {
    uint64_t word; /* written by allocate() */
    struct block *next;
};

static void fill_and_free(size_t bytes, size_t (*size_of)(uint64_t *random)) {
    struct block *first = NULL;
    struct block **end = &first;
    uint64_t random = random_seed(0);
    size_t count = 0;
    for (size_t left = scaled(bytes); left > 0; count++) {
        size_t size = size_of(&random);
        struct block *block = allocate(size);
        block->next = NULL;
        for (size_t at = PAGE; at < size - 1; at += PAGE) {
            ((char *)block)[at] = 1;
        }
        *end = block;
        end = &block->next;
        left -= size < left ? size : left;
    }
    count_operations(2 * count);
    while (first != NULL) {
        struct block *next = first->next;
        release(first);
        first = next;
        count--;
    }
    if (count != 0) {
        die("blocks are missing from the list");
    }
}

static void give_back(size_t (*size_of)(uint64_t *random), bool trim) {
    size_t start = rss_kib();
    fill_and_free(256 * MIB, size_of);
    pause_seconds(2);
    if (trim && malloc_trim != NULL) {
        malloc_trim(0);
    } else {
        slow_path();
    }
    report(" rss_start_kib=%zu rss_peak_kib=%zu rss_after_kib=%zu", start, peak_rss_kib(), rss_kib());
}

/* Short bursts of requests, with untimed pauses in between. */
static void serve(void) {
    void *live[16];
    uint64_t random = random_seed(1);
    size_t requests = 0;
    for (size_t i = 0; i < LENGTH(live); i++) {
        live[i] = allocate(small_size(&random));
    }
    for (int bursts = 0; bursts < 1900; bursts++) {
        for (int i = 0; i < 1000; i++) {
            void **slot = &live[next_random(&random) % LENGTH(live)];
            release(*slot);
            *slot = allocate(small_size(&random));
        }
        requests += 1000;
        pause_seconds(0.001);
    }
    for (size_t i = 0; i < LENGTH(live); i++) {
        release(live[i]);
    }
    count_operations(2 * (requests + LENGTH(live)));
}

static void stay_busy(size_t (*size_of)(uint64_t *random)) {
    size_t start = rss_kib();
    fill_and_free(1024 * MIB, size_of);
    serve();
    report(" rss_start_kib=%zu rss_peak_kib=%zu rss_after_kib=%zu", start, peak_rss_kib(), rss_kib());
}

static size_t large_size(uint64_t *random) {
    return size_between(random, 64 * KIB, 4 * MIB);
}

static size_t little_size(uint64_t *random) {
    return size_between(random, 2 * sizeof(struct block), 256);
}

static void small(void) {
    give_back(little_size, false);
}

static void small_trim(void) {
    give_back(little_size, true);
}

static void large(void) {
    give_back(large_size, false);
}

static void large_trim(void) {
    give_back(large_size, true);
}

static void busy_small(void) {
    stay_busy(little_size);
}

static void busy_large(void) {
    stay_busy(large_size);
}

static const struct variant variants[] = {
    {"small", .whole = small, .threads = 1},           {"small_trim", .whole = small_trim, .threads = 1},
    {"large", .whole = large, .threads = 1},           {"large_trim", .whole = large_trim, .threads = 1},
    {"busy_small", .whole = busy_small, .threads = 1}, {"busy_large", .whole = busy_large, .threads = 1}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
