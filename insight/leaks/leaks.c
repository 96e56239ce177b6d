/*
 * leaks.c - `mems leaks`: the blocks that a program can no longer reach.
 */
#include "leaks/leaks.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "leaks/reach.h"
#include "support/json.h"
#include "support/support.h"
#include "target/core.h"

/* How often a heap that was changing is captured again: HMM takes no lock in a process with one thread. */
#define ATTEMPTS 5

/* --- What is reached ---------------------------------------------------------------------------------------------- */

static void reach_from_roots(const struct leaks *leaks, struct reach *reach) {
    const struct target *target = &leaks->session->target;
    for (size_t i = 0; i < leaks->roots.count; i++) {
        reach_from_memory(reach, leaks->roots.roots[i].start, leaks->roots.roots[i].end);
        progress("looking at roots", i, leaks->roots.count);
    }
    progress_end();
    for (size_t i = 0; i < target->thread_count; i++) {
        reach_from_words(reach, target->threads[i].registers, target->threads[i].register_count);
    }
}

/* --- What is kept quiet ------------------------------------------------------------------------------------------- */

static void suppress(struct leaks *leaks, struct rule *rule, uint64_t count, uint64_t bytes) {
    rule->count += count;
    rule->bytes += bytes;
    leaks->suppressed_count += count;
    leaks->suppressed_bytes += bytes;
}

/* glibc's guard for mangled pointers is in each thread's control block. */
static uint64_t find_guard(struct target *target) {
#if defined(__x86_64__)
    enum { FS_BASE = 21, GUARD = 0x30 };
    for (size_t i = 0; i < target->thread_count; i++) {
        uint64_t guard;
        if (target->threads[i].register_count > FS_BASE &&
            target_read_pointer(target, target->threads[i].registers[FS_BASE] + GUARD, &guard) && guard != 0) {
            return guard;
        }
    }
#else
    (void)target;
#endif
    return 0;
}

/* Blocks that only mangled pointers lead to, in roots and in reached blocks, and the blocks below. */
static void reach_mangled(struct leaks *leaks, struct reach *reach) {
    reach->reached_count = reach->reached_bytes = 0;
    for (size_t i = 0; i < reach->mangled_count; i++) {
        const uint64_t address = reach->mangled[i];
        reach_from_words(reach, &address, 1);
    }
    suppress(leaks, leaks->rules.mangled, reach->reached_count, reach->reached_bytes);
}

/* Blocks that a rule matches, and all that they lead to. */
static void reach_suppressed(struct leaks *leaks, struct reach *reach) {
    const struct blocks *blocks = &leaks->blocks;
    for (uint64_t number = 0; (number = blocks_next(blocks, leaks->unreached, number)) < blocks->numbers; number++) {
        struct block block = blocks_by_number(blocks, number, NULL, NULL);
        struct hint hint = hint_of(&leaks->hints, &block);
        const struct sample *sample = leaks->rules.by_stack ? origins_of(&leaks->origins, block.start) : NULL;
        const struct call_stack *stack = sample != NULL ? sample->allocated.calls : NULL;
        struct rule *rule = rules_match(&leaks->rules, &block, &hint, &leaks->origins.calls, stack);
        if (rule != NULL) {
            block_clear(leaks->unreached, number);
            reach->reached_count = 1;
            reach->reached_bytes = block.size;
            reach_from_block(reach, number);
            suppress(leaks, rule, reach->reached_count, reach->reached_bytes);
        }
    }
}

/* The rules that come with the command: where it was built, or installed. */
static char *find_shipped_rules(void) {
    char *folder = own_folder();
    char *path = make_text("%s/../share/mems/leaks.supp", folder);
    free(folder);
    if (access(path, R_OK) == 0) {
        return path;
    }
    free(path);
    return NULL;
}

static void read_rules(struct leaks *leaks, const struct arguments *arguments) {
    static char *shipped;
    if (!arguments->no_suppressions && (shipped != NULL || (shipped = find_shipped_rules()) != NULL)) {
        rules_read(&leaks->rules, shipped);
    }
    for (size_t i = 0; i < arguments->suppression_count; i++) {
        rules_read(&leaks->rules, arguments->suppressions[i]);
    }
}

/* --- All ---------------------------------------------------------------------------------------------------------- */

static void capture_blocks(struct leaks *leaks, bool is_stopped) {
    struct session *session = leaks->session;
    bool again = true;
    for (int attempt = 1; again; attempt++) {
        capture_take(&leaks->capture, session, is_stopped);
        blocks_find(&leaks->blocks, session);
        again =
            leaks->blocks.trouble != NULL && session->target.kind == TARGET_LIVE && !is_stopped && attempt < ATTEMPTS;
        if (again) {
            blocks_free(&leaks->blocks);
            capture_free(&leaks->capture, session);
        }
    }
    if (leaks->blocks.trouble != NULL) {
        fail("%s: cannot tell which blocks are live: %s", session->target.name, leaks->blocks.trouble);
    }
}

void leaks_find(struct leaks *leaks, struct session *session, const struct arguments *arguments, bool is_stopped) {
    struct reach reach;
    memset(leaks, 0, sizeof *leaks);
    leaks->session = session;
    leaks->origins = (struct origins){.session = session};
    if (session->target.kind == TARGET_SAVED) {
        fail("%s: a saved heap has no contents of blocks, and so no pointers: give a process or a core",
             session->target.name);
    }
    if (core_truncated(&session->target)) {
        fail("%s: this core is cut short: the missing part may have pointers to any block", session->target.name);
    }
    read_rules(leaks, arguments);
    capture_blocks(leaks, is_stopped);
    if (session->target.thread_count == 0) {
        fail("%s: the registers and stacks of its threads are unknown", session->target.name);
    }
    roots_find(&leaks->roots, session, &leaks->capture.image);
    hints_start(&leaks->hints, session, &leaks->capture.image);
    leaks->guard = find_guard(&session->target);
    leaks->unreached = blocks_bits(&leaks->blocks);
    memcpy(leaks->unreached, leaks->blocks.live, (leaks->blocks.numbers / 64 + 1) * sizeof *leaks->unreached);
    reach_start(&reach, &leaks->blocks, &leaks->capture.image, leaks->unreached);
    reach.guard = leaks->rules.mangled != NULL ? leaks->guard : 0;
    reach_from_roots(leaks, &reach);
    bool all = blocks_next(&leaks->blocks, leaks->unreached, 0) == leaks->blocks.numbers;
    if (!all && reach.guard != 0) {
        reach_mangled(leaks, &reach);
    }
    reach.guard = 0;
    if (!all && leaks->rules.by_stack && !origins_known(&leaks->origins)) {
        warn("%s: no block has been sampled, so rules \"leak:\" see no allocation stacks: run it with sample=1 or the "
             "like",
             session->target.name);
    }
    if (!all && leaks->rules.by_contents) {
        reach_suppressed(leaks, &reach);
    }
    reach_end(&reach);
    leaked_find(&leaks->leaked, &leaks->blocks, &leaks->capture.image, leaks->unreached);
}

void leaks_free(struct leaks *leaks) {
    leaked_free(&leaks->leaked);
    free(leaks->unreached);
    hints_end(&leaks->hints);
    origins_close(&leaks->origins);
    roots_free(&leaks->roots);
    blocks_free(&leaks->blocks);
    rules_free(&leaks->rules);
    capture_free(&leaks->capture, leaks->session);
}

int verb_leaks(const struct arguments *arguments) {
    struct session session;
    struct leaks leaks;
    uint64_t address = 0;
    if (arguments->why != NULL && !parse_number(arguments->why, &address)) {
        fail("--why %s: not an address: give it as 0x... or in decimal", arguments->why);
    }
    session_open(&session, arguments->words[0], true);
    leaks_find(&leaks, &session, arguments, false);
    int status = leaks.leaked.count != 0 ? EXIT_FOUND : EXIT_FINE;
    if (arguments->why != NULL) {
        status = leaks_why(&leaks, address, arguments->json);
    } else if (arguments->json) {
        print_json(leaks_json(&leaks));
    } else {
        leaks_print(&leaks, stdout);
    }
    leaks_free(&leaks);
    session_close(&session);
    return status;
}
