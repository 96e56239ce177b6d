#include "hmm_options.h"

#include "break_moves.h"
#include "hmm_alloc.h"
#include "os/settings.h"

#include "heap_state.h"

static const char *const break_words[] = {
    [BREAK_AUTO] = "auto", [BREAK_REAL] = "real", [BREAK_SIMULATED] = "simulated", NULL};

static const struct option options[] = {
    OPTION_NAMED("break", struct hmm_options, break_kind, OPTION_WORD, "auto|real|simulated", "auto",
                 "move the process's own break (auto: unless another malloc uses it), or one in reserved address space",
                 .fixed = true, .words = break_words),
    OPTION(struct hmm_options, size, OPTION_SIZE, "SIZE[k|m|g|t]", "1g",
           "reserve this much address space for a simulated break", .fixed = true),
    OPTION_CONFINE(struct hmm_options),
    OPTION_DEEPBIND(struct hmm_options),
    OPTION(struct hmm_options, advice, OPTION_WORD, "on|off", "on",
           "when a block is freed, undo what madvise and mprotect set for it", .words = toggle_words),
};

static const struct option_table table = {
    .variable = "HMM_OPTIONS",
    .options = options,
    .count = sizeof options / sizeof *options,
    .size = sizeof(struct hmm_options),
};

/* Both guarded by the heap's lock. */
static struct hmm_options chosen;
static struct settings state = {.table = &table, .choices = &chosen};

/* Whether a break has been chosen. */
static bool started(void) {
    return hmm_heap.brk.move != NULL;
}

const struct hmm_options *hmm_options(void) {
    (void)settings_read(&state, NULL, started());
    return &chosen;
}

bool hmm_keeps_deepbind(void) {
    bool locked = heap_enter(&hmm_heap, "dlopen");
    bool keeps = hmm_options()->deepbind == DEEPBIND_KEEP;
    heap_leave(&hmm_heap, locked);
    return keeps;
}

/* The word changes at most once, so a race reads the old value or the new one. */
RACY_READER bool hmm_ends_advice(void) {
    return chosen.advice == TOGGLE_ON;
}

int hmm_option_set(const char *name, const char *value) {
    bool locked = heap_enter(&hmm_heap, "hmm_option_set");
    (void)hmm_options();
    int error = settings_set(&state, name, value, started());
    heap_leave(&hmm_heap, locked);
    return error;
}

int hmm_option_get(const char *name, char *value, size_t size) {
    bool locked = heap_enter(&hmm_heap, "hmm_option_get");
    (void)hmm_options();
    int error = options_get(&table, &chosen, name, value, size);
    heap_leave(&hmm_heap, locked);
    return error;
}

/* The loader may have allocated before there was an environment. Those few blocks stay on the real break, and the heap
 * continues on the one that the options request. */
void hmm_options_begin(char *const *environment) {
    bool locked = heap_enter(&hmm_heap, "start");
    uint32_t was = hmm_options()->break_kind;
    (void)settings_read(&state, environment, false);
    struct program_break brk;
    if (started() && chosen.break_kind != was && chosen.break_kind == BREAK_SIMULATED &&
        hmm_break_reserved(&brk, chosen.size) == 0) {
        hmm_use_break(&hmm_heap, &brk);
    }
    heap_leave(&hmm_heap, locked);
}
