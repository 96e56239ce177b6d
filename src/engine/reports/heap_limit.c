#include "heap_limit.h"

#include <errno.h>

#include "engine/engine.h"
#include "engine/root/root.h"
#include "engine/upkeep/trim.h"
#include "os/message.h"

/* Under mems_root.lock. */
static struct {
    engine_limit_handler *call;
    void *context;
} handler;

static void tell(size_t held) {
    struct message message;
    message_begin(&message);
    fmt_format(&message.line, "mems: limit: the heap holds %u bytes, more than limit_soft, %u", (uint64_t)held,
               (uint64_t)holding_soft());
    message_tell(&message, 2);
    lock_take(&mems_root.lock);
    engine_limit_handler *call = handler.call;
    void *context = handler.context;
    lock_give(&mems_root.lock);
    if (call != NULL) {
        call(held, holding_soft(), context);
    }
}

static _Atomic bool at_work;

void heap_limit_trim(struct heap *heap) {
    /* Relaxed: one at a time is enough, in any order. */
    if (atomic_exchange_explicit(&at_work, true, memory_order_relaxed)) {
        return;
    }
    const int saved = errno;
    (void)upkeep_trim(heap);
    if (holding_attended()) {
        tell(holding_held());
    }
    atomic_store_explicit(&at_work, false, memory_order_relaxed);
    errno = saved;
}

void heap_limit_recover(void) {
    atomic_store_explicit(&at_work, false, memory_order_relaxed);
}

void engine_on_limit(engine_limit_handler *call, void *context) {
    lock_take(&mems_root.lock);
    handler.call = call;
    handler.context = context;
    lock_give(&mems_root.lock);
}
