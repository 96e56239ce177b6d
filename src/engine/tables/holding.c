#include "holding.h"

/* Beyond the soft limit, upkeep is due each time another such part of it has been taken. */
#define ATTEND_SHARE 32u

/* The limit is reported again after the heap has held this part less than it. */
#define REARM_SHARE 16u

struct holding holding = {.hard = SIZE_MAX, .soft = SIZE_MAX, .attend_at = SIZE_MAX};

static void set(_Atomic size_t *word, size_t value) {
    atomic_store_explicit(word, value, memory_order_relaxed);
}

void holding_set(size_t hard, size_t soft) {
    if (soft == 0) {
        soft = hard != 0 ? hard - hard / 8 : SIZE_MAX;
    }
    set(&holding.hard, hard != 0 ? hard : SIZE_MAX);
    set(&holding.soft, soft);
    set(&holding.attend_at, soft);
}

static void look(size_t held) {
    if (held > atomic_load_explicit(&holding.attend_at, memory_order_relaxed)) {
        atomic_store_explicit(&holding.pressed, true, memory_order_relaxed);
    }
}

bool holding_take(size_t bytes) {
    size_t held = atomic_fetch_add_explicit(&holding.held, bytes, memory_order_relaxed) + bytes;
    look(held);
    if (held <= atomic_load_explicit(&holding.hard, memory_order_relaxed)) {
        return true;
    }
    holding_give(bytes);
    return bytes == 0;
}

void holding_add(size_t bytes) {
    look(atomic_fetch_add_explicit(&holding.held, bytes, memory_order_relaxed) + bytes);
}

void holding_give(size_t bytes) {
    size_t held = atomic_fetch_sub_explicit(&holding.held, bytes, memory_order_relaxed) - bytes;
    size_t soft = holding_soft();
    if (held < soft - soft / REARM_SHARE && atomic_load_explicit(&holding.attend_at, memory_order_relaxed) != soft) {
        set(&holding.attend_at, soft);
        atomic_store_explicit(&holding.told, false, memory_order_relaxed);
    }
}

bool holding_attended(void) {
    size_t held = holding_held();
    size_t soft = holding_soft();
    atomic_store_explicit(&holding.pressed, false, memory_order_relaxed);
    set(&holding.attend_at, held > soft ? held + soft / ATTEND_SHARE : soft);
    return held > soft && !atomic_exchange_explicit(&holding.told, true, memory_order_relaxed);
}
