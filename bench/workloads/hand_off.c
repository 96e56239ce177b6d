/*
 * hand_off.c - one thread allocates blocks, another frees them.
 *
 * A ring of batches connects two threads: the producer fills batches[sent % the ring's length] and then raises sent
 * (release); the consumer empties it and then raises received (release); each reads the other's counter with acquire.
 * sent - received <= the ring's length. Batches make the allocator weigh more than the ring.
 *
 * one_size: one producer and one consumer of blocks of 64 bytes. pass_round: blocks of 8 to 16,000 bytes; each thread
 * replaces its live blocks at random and passes the old ones to the next thread, which frees them.
 */
#include <sched.h>

#include "workload.h"

#define BATCHES 40000
#define ROUND_BATCHES 400000

struct ring {
    _Alignas(CACHE_LINE) atomic_size_t sent;
    _Alignas(CACHE_LINE) atomic_size_t received;
    _Alignas(CACHE_LINE) void *batches[16][256];
};

/* An element of a ring. */
struct traffic {
    size_t length; /* of a batch */
    void *(*make)(uint64_t *random);
    void (*drop)(void *block);
};

/* False if the ring is full. */
static inline bool send_batch(struct ring *ring, const struct traffic *traffic, uint64_t *random) {
    size_t number = atomic_load_explicit(&ring->sent, memory_order_relaxed);
    if (number - atomic_load_explicit(&ring->received, memory_order_acquire) == LENGTH(ring->batches)) {
        return false;
    }
    void **batch = ring->batches[number % LENGTH(ring->batches)];
    for (size_t i = 0; i < traffic->length; i++) {
        batch[i] = traffic->make(random);
    }
    atomic_store_explicit(&ring->sent, number + 1, memory_order_release);
    return true;
}

/* False if the ring is empty. */
static inline bool receive_batch(struct ring *ring, const struct traffic *traffic) {
    size_t number = atomic_load_explicit(&ring->received, memory_order_relaxed);
    if (atomic_load_explicit(&ring->sent, memory_order_acquire) == number) {
        return false;
    }
    void **batch = ring->batches[number % LENGTH(ring->batches)];
    for (size_t i = 0; i < traffic->length; i++) {
        traffic->drop(batch[i]);
    }
    atomic_store_explicit(&ring->received, number + 1, memory_order_release);
    return true;
}

static struct ring rings[MAX_THREADS];

/* Sends and receives the given numbers of batches. */
static inline void pass(const struct traffic *traffic, struct ring *out, size_t to_send, struct ring *in,
                        size_t to_receive, uint64_t random) {
    while (to_send > 0 || to_receive > 0) {
        bool sent = to_send > 0 && send_batch(out, traffic, &random);
        bool received = to_receive > 0 && receive_batch(in, traffic);
        to_send -= sent;
        to_receive -= received;
        if (!sent && !received) {
            sched_yield();
        }
    }
}

static void *small_block(uint64_t *random) {
    return allocate(small_size(random));
}

static void *block_of_64(uint64_t *random) {
    (void)random;
    return allocate(64);
}

static const struct traffic small_blocks = {256, small_block, release};
static const struct traffic blocks_of_64 = {256, block_of_64, release};

/* One thread only allocates, the other only frees. */
static inline void one_way(const struct traffic *traffic, size_t index) {
    size_t count = scaled(BATCHES);
    pass(traffic, &rings[0], index == 0 ? count : 0, &rings[0], index == 1 ? count : 0, random_seed(0));
    count_operations(traffic->length * count);
}

static void hand_off(size_t index) {
    one_way(&small_blocks, index);
}

static void one_size(size_t index) {
    one_way(&blocks_of_64, index);
}

/* To the next thread and from the previous one, if there are others. */
static inline void around(const struct traffic *traffic, size_t batches, size_t index) {
    size_t before = (index + run.threads - 1) % run.threads;
    size_t to_send = share(batches, index);
    size_t to_receive = share(batches, before);
    pass(traffic, &rings[index], to_send, &rings[before], to_receive, random_seed(index));
    count_operations(traffic->length * (to_send + to_receive));
}

static void relay(size_t index) {
    around(&small_blocks, BATCHES, index);
}

/* With less than 16 bytes a block holds only the stamp's word, not the last byte. */
static void *block_of_any_size(uint64_t *random) {
    size_t size = size_between(random, 8, 16001);
    if (size >= 16) {
        return allocate(size);
    }
    uint64_t *block = malloc(size);
    if (block == NULL) {
        die("malloc failed");
    }
    *block = (uintptr_t)block + size;
    return block;
}

static void drop_any_size(void *block) {
    if (*(uint64_t *)block - (uintptr_t)block < 16) {
        free(block);
    } else {
        release(block);
    }
}

/* Passes a random live block on and puts a fresh one in its place. */
static _Thread_local void *live[512];

static void *replaced(uint64_t *random) {
    void **slot = &live[next_random(random) % LENGTH(live)];
    void *block = *slot;
    *slot = block_of_any_size(random);
    return block;
}

static void pass_round(size_t index) {
    static const struct traffic traffic = {32, replaced, drop_any_size};
    uint64_t random = random_seed(run.threads + index);
    for (size_t i = 0; i < LENGTH(live); i++) {
        live[i] = block_of_any_size(&random);
    }
    around(&traffic, ROUND_BATCHES, index);
    for (size_t i = 0; i < LENGTH(live); i++) {
        drop_any_size(live[i]);
    }
    count_operations(2 * LENGTH(live));
}

static const struct variant variants[] = {{"hand_off", .each = hand_off, .threads = 2},
                                          {"one_size", .each = one_size, .threads = 2},
                                          {"relay", .each = relay},
                                          {"pass_round", .each = pass_round}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
