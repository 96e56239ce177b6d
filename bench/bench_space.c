/*
 * bench_space.c - what the MeMS heap costs with many segments, compared with a plain hash table of as many entries.
 *
 * usage: bench_space SEGMENTS OPERATIONS
 *        bench_space generations SEGMENTS OPERATIONS
 *        bench_space compact BLOCKS
 *
 * Prints one line: nanoseconds of processor time a pair and a get, of both; bytes of metadata a segment. Or the results
 * of a compaction.
 *
 * The heap holds SEGMENTS blocks of mixed sizes. A pair frees a random one and allocates another of a new random size;
 * a get translates a random address in a random block. The hash table (open addressing, at most half full) maps a
 * block's handle to its index; there a pair removes an entry and inserts another, and a get looks up a random
 * one. Both use the same random blocks. What to look up is drawn before the clock starts, because finding a random
 * block among a million costs as many cache misses as a get. With `generations`, handles have them; otherwise they are
 * plain addresses.
 *
 * For compaction a movable space gets BLOCKS blocks of 16 to 4,096 bytes, of which a random three quarters are freed.
 * Then it prints what is resident relative to what is in use; the time relative to a memcpy of as many bytes as were
 * moved into fresh memory; and the time of a get afterwards relative to one before.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mems.h>

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

static void die(const char *what) {
    fprintf(stderr, "bench_space: %s\n", what);
    exit(1);
}

/* Half have up to 64 bytes, a quarter up to 256, the others up to 1 KiB. */
static size_t mixed_size(uint64_t *random) {
    static const size_t limits[] = {64, 64, 256, 1024};
    uint64_t number = next_random(random);
    return 1 + (number >> 2) % limits[number & 3];
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time); /* other processes do not count */
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static char **blocks;
static size_t *sizes;
static size_t count;

static void fill(size_t i, uint64_t *random) {
    sizes[i] = mixed_size(random);
    blocks[i] = mems_malloc(sizes[i]);
    if (blocks[i] == NULL) {
        die("mems_malloc failed");
    }
}

static double heap_pairs(size_t operations) {
    uint64_t random = 1;
    double start = now();
    for (size_t left = operations; left > 0; left--) {
        size_t i = next_random(&random) % count;
        mems_free(blocks[i]);
        fill(i, &random);
    }
    return (now() - start) / (double)operations;
}

/* Random blocks; if `inside`, random addresses in them. */
static char **draw(size_t operations, bool inside) {
    uint64_t random = 2;
    char **drawn = malloc(operations * sizeof *drawn);
    if (drawn == NULL) {
        die("no memory");
    }
    for (size_t n = 0; n < operations; n++) {
        uint64_t number = next_random(&random);
        size_t i = number % count;
        drawn[n] = blocks[i] + (inside ? (number >> 32) % sizes[i] : 0);
    }
    return drawn;
}

static double heap_gets(size_t operations) {
    char **drawn = draw(operations, true);
    uintptr_t sum = 0;
    double start = now();
    for (size_t n = 0; n < operations; n++) {
        sum += (uintptr_t)mems_get(drawn[n]);
    }
    double end = now();
    if (sum == 0) {
        die("no address was translated");
    }
    free(drawn);
    return (end - start) / (double)operations;
}

/* key 0: empty */
struct entry {
    uintptr_t key;
    size_t value;
};
static struct entry *table;
static size_t mask;

static size_t home(uintptr_t key) {
    return (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 20) & mask;
}

static struct entry *find(uintptr_t key) {
    size_t i = home(key);
    while (table[i].key != key && table[i].key != 0) {
        i = (i + 1) & mask;
    }
    return &table[i];
}

static void insert(uintptr_t key, size_t value) {
    *find(key) = (struct entry){key, value};
}

/* Moves entries behind it that could not be found otherwise. */
static void remove_key(uintptr_t key) {
    size_t gap = (size_t)(find(key) - table);
    table[gap].key = 0;
    for (size_t i = (gap + 1) & mask; table[i].key != 0; i = (i + 1) & mask) {
        size_t distance = (i - home(table[i].key)) & mask;
        if (distance >= ((i - gap) & mask)) {
            table[gap] = table[i];
            table[i].key = 0;
            gap = i;
        }
    }
}

static void make_table(void) {
    size_t size = 2;
    while (size < 2 * count) {
        size *= 2;
    }
    mask = size - 1;
    table = calloc(size, sizeof *table);
    if (table == NULL) {
        die("no memory");
    }
    for (size_t i = 0; i < count; i++) {
        insert((uintptr_t)blocks[i], i);
    }
}

/* Replaces a key by another that is as far from all keys of the heap. */
static double table_pairs(size_t operations) {
    uint64_t random = 1;
    double start = now();
    for (size_t left = operations; left > 0; left--) {
        size_t i = next_random(&random) % count;
        (void)mixed_size(&random);
        uintptr_t key = (uintptr_t)blocks[i];
        remove_key(key);
        blocks[i] = (char *)(key ^ UINT64_C(1) << 40);
        insert(key ^ UINT64_C(1) << 40, i);
    }
    return (now() - start) / (double)operations;
}

static double table_gets(size_t operations) {
    char **drawn = draw(operations, false);
    size_t sum = 0;
    double start = now();
    for (size_t n = 0; n < operations; n++) {
        sum += find((uintptr_t)drawn[n])->value;
    }
    double end = now();
    if (sum == 0 && count > 1) {
        die("no key was found");
    }
    free(drawn);
    return (end - start) / (double)operations;
}

/* --- A compaction ------------------------------------------------------------------------------------------------ */

static size_t resident_bytes(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*u %lu", &pages) != 1) {
        die("resident memory is unknown");
    }
    fclose(file);
    return pages * 4096;
}

/* Nanoseconds a get of a random remaining block. */
static double get_some(struct mems_space *space, size_t operations) {
    uint64_t random = 5;
    uintptr_t sum = 0;
    double start = now();
    for (size_t left = operations; left > 0;) {
        size_t i = next_random(&random) % count;
        if (blocks[i] != NULL) {
            sum += (uintptr_t)mems_space_get(space, blocks[i]);
            left--;
        }
    }
    double end = now();
    if (sum == 0) {
        die("no address was translated");
    }
    return (end - start) / (double)operations;
}

static double copy_bytes(size_t bytes) {
    char *from = malloc(bytes);
    if (from == NULL) {
        die("no memory");
    }
    memset(from, 1, bytes);
    double start = now();
    char *to = malloc(bytes);
    if (to == NULL) {
        die("no memory");
    }
    memcpy(to, from, bytes);
    double end = now();
    if (to[bytes / 2] != 1) {
        die("memcpy has not copied");
    }
    free(from);
    free(to);
    return end - start;
}

static void compact(void) {
    uint64_t random = 3;
    memset(blocks, 1, count * sizeof *blocks); /* resident before */
    memset(sizes, 1, count * sizeof *sizes);
    size_t before = resident_bytes();
    struct mems_space *space = mems_space_create(&(struct mems_space_options){.movable = MEMS_MOVABLE});
    for (size_t i = 0; i < count; i++) {
        sizes[i] = 16 + next_random(&random) % 4081;
        blocks[i] = mems_space_malloc(space, sizes[i]);
        if (blocks[i] == NULL) {
            die("mems_space_malloc failed");
        }
        memset(mems_space_get(space, blocks[i]), 1, sizes[i]);
    }
    for (size_t i = 0; i < count; i++) {
        if (next_random(&random) % 4 != 0) {
            mems_space_free(space, blocks[i]);
            blocks[i] = NULL;
        }
    }
    size_t full = resident_bytes() - before;
    get_some(space, count);
    double get = get_some(space, count), longest = 0, sum = 0;
    for (size_t moved = 1; moved > 0;) {
        double start = now();
        moved = mems_space_compact(space, 1 << 20);
        double time = now() - start;
        longest = time > longest ? time : longest;
        sum += time;
    }
    struct mems_stats stats;
    mems_space_stats(space, &stats);
    size_t left = resident_bytes() - before;
    get_some(space, count);
    printf("full_mib=%zu left_mib=%zu of_live=%.3f of_memcpy=%.2f longest_us=%.0f get_after=%.2f\n", full >> 20,
           left >> 20, (double)left / (double)stats.process_bytes, sum / copy_bytes(stats.moved_bytes), longest / 1000,
           get_some(space, count) / get);
    mems_space_destroy(space);
}

int main(int argc, char **argv) {
    bool compaction = argc == 3 && strcmp(argv[1], "compact") == 0;
    bool generations = argc == 4 && strcmp(argv[1], "generations") == 0;
    char **numbers = argv + (compaction || generations);
    count = argc == 3 || generations ? strtoul(numbers[1], NULL, 10) : 0;
    size_t operations = compaction ? 1 : count != 0 ? strtoul(numbers[2], NULL, 10) : 0;
    if (count == 0 || operations == 0) {
        die("usage: bench_space [generations] SEGMENTS OPERATIONS, or bench_space compact BLOCKS");
    }
    mems_set_options(&(struct mems_space_options){.generations = generations ? 1 : -1});
    blocks = calloc(count, sizeof *blocks);
    sizes = calloc(count, sizeof *sizes);
    if (blocks == NULL || sizes == NULL) {
        die("no memory");
    }
    if (compaction) {
        compact();
        return 0;
    }
    uint64_t random = 3;
    for (size_t i = 0; i < count; i++) {
        fill(i, &random);
    }
    heap_pairs(count); /* a heap that has been in use for a while */

    double pair = heap_pairs(operations);
    double get = heap_gets(operations);
    struct mems_stats stats;
    mems_stats(&stats);
    make_table();
    double table_get = table_gets(operations);
    double table_pair = table_pairs(operations);
    printf("segments=%zu pair_ns=%.1f get_ns=%.1f table_pair_ns=%.1f table_get_ns=%.1f metadata=%.1f unused=%.3f\n",
           stats.processes, pair, get, table_pair, table_get,
           (double)stats.metadata_bytes / (double)(stats.processes + stats.holes),
           (double)stats.hole_bytes / (double)stats.process_bytes);
    return 0;
}
