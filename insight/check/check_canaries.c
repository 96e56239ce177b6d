/* check_canaries.c - `mems check`: canaries behind live blocks in the engine's hardened modes. A process runs on while
 * its blocks are read, so a block that seems damaged may only have been freed. It is a suspect until it is read again
 * while the process is stopped. */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "check/check.h"
#include "check/in_flight.h"
#include "support/support.h"
#include "walk/engine_hardened.h"
#include "walk/engine_slots.h"

struct suspect {
    uint64_t block;
    struct engine_record record;
};

static void suspect(struct suspects *suspects, uint64_t block, const struct engine_record *record) {
    suspects->all = grow(suspects->all, suspects->count, sizeof *suspects->all);
    suspects->all[suspects->count++] = (struct suspect){block, *record};
}

static void look_at_slot(const struct engine_walk *walk, unsigned slot, struct suspects *suspects) {
    const struct engine_span *span = &walk->span;
    struct engine_record record;
    if (slot < span->used && engine_slot_state(walk, slot) == STATE_LIVE &&
        engine_record(walk->engine, span, slot, &record) && record.live && record.changed != 0) {
        suspect(suspects, span->start + slot * walk->engine->classes[span->size_class].size, &record);
    }
}

static void look_at_large(const struct engine_walk *walk, struct suspects *suspects) {
    struct engine_record record;
    if (engine_large_record(walk->engine, walk, &record) && record.changed != 0) {
        suspect(suspects, walk->span.start, &record);
    }
}

/* At one huge block, or (block 0) at all. */
static void look_at_huge(struct engine *engine, uint64_t block, struct suspects *suspects) {
    size_t count;
    struct engine_huge *blocks = engine_huge_blocks(engine, &count);
    struct engine_record record;
    for (size_t i = 0; i < count; i++) {
        if ((block == 0 || blocks[i].start == block) && engine_huge_record(engine, &blocks[i], &record) &&
            record.changed != 0) {
            suspect(suspects, blocks[i].start, &record);
        }
    }
    free(blocks);
}

static void look_at_all(struct engine *engine, struct suspects *suspects) {
    struct engine_walk walk;
    const bool slots = engine_has_records(engine);
    engine_walk_start(&walk, engine, 0);
    while (engine_walk_next(&walk)) {
        for (unsigned slot = 0; slots && walk.span.kind == SPAN_SLAB && slot < walk.span.used; slot++) {
            look_at_slot(&walk, slot, suspects);
        }
        if (walk.span.kind == SPAN_LARGE) {
            look_at_large(&walk, suspects);
        }
    }
    engine_walk_end(&walk);
    look_at_huge(engine, 0, suspects);
}

static void look_at(struct engine *engine, uint64_t block, struct suspects *suspects) {
    if (block - engine->base >= engine->top * engine->unit) {
        look_at_huge(engine, block, suspects);
        return;
    }
    struct engine_walk walk;
    if (engine_walk_to(&walk, engine, block)) {
        if (walk.span.kind == SPAN_SLAB) {
            look_at_slot(&walk, (unsigned)((block - walk.span.start) / engine->classes[walk.span.size_class].size),
                         suspects);
        } else if (walk.span.kind == SPAN_LARGE) {
            look_at_large(&walk, suspects);
        }
    }
    engine_walk_end(&walk);
}

/* Keeps the suspects that are still damaged. */
static void look_again(struct check *check) {
    const struct suspects before = check->suspects;
    check->suspects = (struct suspects){0};
    for (size_t i = 0; i < before.count && check->session->has_engine; i++) {
        look_at(check->engine, before.all[i].block, &check->suspects);
    }
    free(before.all);
}

/* The same while the process is stopped. */
static void look_again_stopped(struct check *check) {
    struct session *session = check->session;
    double start;
    check->attempts += check_stop(session, &check->held, &start);
    target_read_registers(&session->target);
    check->in_flight = in_flight_threads(session);
    look_again(check);
    target_continue(&session->target);
    check->pause += now_seconds() - start;
}

void check_canaries(struct check *check) {
    struct suspects *suspects = &check->suspects;
    look_at_all(check->engine, suspects);
    if (check->session->target.kind == TARGET_LIVE) {
        target_drop_copies(&check->session->target);
        look_again(check);
        for (unsigned looks = 0; suspects->count != 0 && looks < LOOKS_IN_FLIGHT; looks++) {
            look_again_stopped(check);
            if (check->in_flight == 0 && check->held == NULL) {
                break;
            }
            usleep(1000);
        }
    }
    for (size_t i = 0; i < suspects->count; i++) {
        const struct engine_record *record = &suspects->all[i].record;
        FIND(check, suspects->all[i].block,
             "overflow: a live block of %" PRIu64 " bytes: %" PRIu64 " of its canary's changed, the first one %" PRIu64
             " behind its end",
             record->size, record->changed, record->first);
    }
    free(suspects->all);
    *suspects = (struct suspects){0};
}
