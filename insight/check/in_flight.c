#include "check/in_flight.h"

#include <string.h>

#include "support/support.h"
#include "target/registers.h"

/* More stack counts as inside: reading all of it would prolong the stop. */
#define STACK_MAX ((uint64_t)1 << 20)

#define WORDS 512u

/* In the engine's module. */
static bool is_code(const struct session *session, uint64_t word) {
    const struct mapping *mapping = target_mapping(&session->target, word);
    return mapping != NULL && mapping->executable && strcmp(mapping->path, session->engine.layout->module) == 0;
}

static bool has_code(const struct session *session, const uint64_t *words, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (is_code(session, words[i])) {
            return true;
        }
    }
    return false;
}

/* A return address in the engine, or unreadable. A signal handler's frame holds the interrupted registers. */
static bool stack_has_code(struct session *session, uint64_t stack) {
    const struct mapping *mapping = target_mapping(&session->target, stack);
    uint64_t words[WORDS];
    if (mapping == NULL || mapping->end - stack > STACK_MAX) {
        return true;
    }
    for (uint64_t at = stack & ~UINT64_C(7); at < mapping->end; at += sizeof words) {
        const size_t size = smaller(sizeof words, mapping->end - at);
        if (!target_read(&session->target, at, words, size) || has_code(session, words, size / sizeof *words)) {
            return true;
        }
    }
    return false;
}

static bool may_be_inside(struct session *session, const struct thread *thread) {
    return thread->registers == NULL || has_code(session, thread->registers, registers_general(thread)) ||
           stack_has_code(session, thread->stack);
}

size_t in_flight_threads(struct session *session) {
    const struct target *target = &session->target;
    size_t inside = 0;
    for (size_t i = 0; session->has_engine && i < target->thread_count; i++) {
        inside += may_be_inside(session, &target->threads[i]);
    }
    return inside;
}
