#include "budget.h"

/* Beyond the soft limit somebody sees to it each time that this part of it has been taken more. */
#define ATTEND_SHARE 32u

/* What is held is less again when it is so much below the soft limit. */
#define REARM_SHARE 16u

struct budget budget = {.hard = SIZE_MAX, .soft = SIZE_MAX, .attend_at = SIZE_MAX};

static void set(_Atomic size_t *word, size_t value) {
    atomic_store_explicit(word, value, memory_order_relaxed);
}

void budget_set(size_t hard, size_t soft) {
    if (soft == 0) {
        soft = hard != 0 ? hard - hard / 8 : SIZE_MAX;
    }
    set(&budget.hard, hard != 0 ? hard : SIZE_MAX);
    set(&budget.soft, soft);
    set(&budget.attend_at, soft);
}

static void look(size_t held) {
    if (held > atomic_load_explicit(&budget.attend_at, memory_order_relaxed)) {
        atomic_store_explicit(&budget.pressed, true, memory_order_relaxed);
    }
}

bool budget_take(size_t bytes) {
    size_t held = atomic_fetch_add_explicit(&budget.held, bytes, memory_order_relaxed) + bytes;
    look(held);
    if (held <= atomic_load_explicit(&budget.hard, memory_order_relaxed)) {
        return true;
    }
    budget_give(bytes);
    return bytes == 0;
}

void budget_add(size_t bytes) {
    look(atomic_fetch_add_explicit(&budget.held, bytes, memory_order_relaxed) + bytes);
}

void budget_give(size_t bytes) {
    size_t held = atomic_fetch_sub_explicit(&budget.held, bytes, memory_order_relaxed) - bytes;
    size_t soft = budget_soft();
    if (held < soft - soft / REARM_SHARE && atomic_load_explicit(&budget.attend_at, memory_order_relaxed) != soft) {
        set(&budget.attend_at, soft);
        atomic_store_explicit(&budget.told, false, memory_order_relaxed);
    }
}

bool budget_attended(void) {
    size_t held = budget_held();
    size_t soft = budget_soft();
    atomic_store_explicit(&budget.pressed, false, memory_order_relaxed);
    set(&budget.attend_at, held > soft ? held + soft / ATTEND_SHARE : soft);
    return held > soft && !atomic_exchange_explicit(&budget.told, true, memory_order_relaxed);
}
