#include "heap_request.h"

#include <errno.h>

#include "base/fmt.h"
#include "engine/engine.h"
#include "engine/heaps/heap.h"
#include "engine/modes/background.h"
#include "engine/reports/fault_report.h"
#include "engine/root/root.h"
#include "engine/upkeep/trim.h"
#include "os/process.h"

size_t engine_trim(void) {
    if (!root_ready()) {
        return 0;
    }
    int saved = errno;
    size_t given = upkeep_trim(heap_or_null());
    fault_if_suspect();
    errno = saved;
    return given;
}

/* From a number: the option's own, or that of one of its words. */
static int set_option(uint32_t number, uint64_t value) {
    if (number > engine_options.count) {
        return EINVAL;
    }
    const struct option *option = &engine_options.options[number - 1];
    if (option->kind == OPTION_WORD) {
        for (uint64_t i = 0; option->words[i] != NULL; i++) {
            if (i == value) {
                return engine_option_set(option->name, option->words[i]);
            }
        }
        return EINVAL;
    }
    if (option->kind == OPTION_SIZE && value == 0) {
        return engine_option_set(option->name, option->words[0]);
    }
    char text[32];
    struct fmt out = fmt_of(text, sizeof text);
    fmt_decimal(&out, value);
    return option->kind != OPTION_TEXT ? engine_option_set(option->name, text) : EINVAL;
}

COLD static void serve(struct root_request *request, uint8_t bell) {
    uint32_t order = atomic_load_explicit(&request->order, memory_order_relaxed);
    uint64_t value = atomic_load_explicit(&request->value, memory_order_relaxed);
    int error = 0;
    if (order == 0) {
        value = upkeep_trim(heap_or_null());
    } else {
        error = set_option(order, value);
    }
    atomic_store_explicit(&request->value, value, memory_order_relaxed);
    atomic_store_explicit(&request->error, (uint16_t)error, memory_order_relaxed);
    /* Release: whoever sees the answer sees its result. */
    atomic_store_explicit(&request->answered, bell, memory_order_release);
}

void heap_request_serve(void) {
    static _Atomic uint8_t taken; /* the last bell that a thread serves, or has served */
    struct root_request *request = &mems_root.head.request;
    uint8_t bell = atomic_load_explicit(&request->bell, memory_order_acquire);
    uint8_t before = atomic_load_explicit(&taken, memory_order_relaxed);
    /* Relaxed: it only has to let exactly one thread continue. */
    if (UNLIKELY(bell != before) &&
        atomic_compare_exchange_strong_explicit(&taken, &before, bell, memory_order_relaxed, memory_order_relaxed)) {
        serve(request, bell);
    }
}

__attribute__((constructor(PROCESS_JOIN))) static void join(void) {
    background_also(heap_request_serve);
}
