/*
 * hand_off.c - blocks that one thread allocates and another one frees.
 *
 * A ring of batches lies between two threads: the producer fills batches[sent % the ring's length] and then raises sent
 * (release), the consumer empties it and then raises received (release); each reads the other's counter with acquire.
 * sent - received <= the ring's length. In batches, so that the allocator weighs more than the ring.
 */
#include <sched.h>

#include "workload.h"

#define BATCHES 40000

struct ring {
    _Alignas(CACHE_LINE) atomic_size_t sent;
    _Alignas(CACHE_LINE) atomic_size_t received;
    _Alignas(CACHE_LINE) void *batches[16][256];
};

/* False if the ring is full. */
static bool send_batch(struct ring *ring, uint64_t *random) {
    size_t number = atomic_load_explicit(&ring->sent, memory_order_relaxed);
    if (number - atomic_load_explicit(&ring->received, memory_order_acquire) == LENGTH(ring->batches)) {
        return false;
    }
    void **batch = ring->batches[number % LENGTH(ring->batches)];
    for (size_t i = 0; i < LENGTH(ring->batches[0]); i++) {
        batch[i] = allocate(small_size(random));
    }
    atomic_store_explicit(&ring->sent, number + 1, memory_order_release);
    return true;
}

/* False if the ring is empty. */
static bool receive_batch(struct ring *ring) {
    size_t number = atomic_load_explicit(&ring->received, memory_order_relaxed);
    if (atomic_load_explicit(&ring->sent, memory_order_acquire) == number) {
        return false;
    }
    void **batch = ring->batches[number % LENGTH(ring->batches)];
    for (size_t i = 0; i < LENGTH(ring->batches[0]); i++) {
        release(batch[i]);
    }
    atomic_store_explicit(&ring->received, number + 1, memory_order_release);
    return true;
}

static struct ring rings[MAX_THREADS];

/* Moves so many batches through two rings, as far as each of them is to be sent and received here. */
static void pass(struct ring *out, size_t to_send, struct ring *in, size_t to_receive, uint64_t random) {
    while (to_send > 0 || to_receive > 0) {
        bool sent = to_send > 0 && send_batch(out, &random);
        bool received = to_receive > 0 && receive_batch(in);
        to_send -= sent;
        to_receive -= received;
        if (!sent && !received) {
            sched_yield();
        }
    }
}

/* One thread does nothing but allocate, the other nothing but free. */
static void produce_or_consume(size_t index) {
    size_t count = scaled(BATCHES);
    pass(&rings[0], index == 0 ? count : 0, &rings[0], index == 1 ? count : 0, random_seed(0));
}

static void hand_off(void) {
    in_threads(produce_or_consume);
    count_operations(2 * LENGTH(rings[0].batches[0]) * scaled(BATCHES));
}

/* Each thread allocates for the next one and frees what the one before it has allocated, with others or alone. */
static void relay(size_t index) {
    size_t before = (index + run.threads - 1) % run.threads;
    size_t to_send = share(BATCHES, index);
    size_t to_receive = share(BATCHES, before);
    pass(&rings[index], to_send, &rings[before], to_receive, random_seed(index));
    count_operations(LENGTH(rings[0].batches[0]) * (to_send + to_receive));
}

static const struct variant variants[] = {{"hand_off", .whole = hand_off, .threads = 2}, {"relay", .each = relay}};

int main(int argc, char **argv) {
    return workload_main(argc, argv, variants, LENGTH(variants));
}
