#include "options.h"

#include "growth.h"
#include "heap.h"
#include "os/settings.h"

#include "state.h"

static const char *const break_words[] = {[BREAK_REAL] = "real", [BREAK_SIMULATED] = "simulated", NULL};

static const char *const deepbind_words[] = {[HMM_DEEPBIND_DROP] = "drop", [HMM_DEEPBIND_KEEP] = "keep", NULL};

static const struct option options[] = {
    {
        .name = "break",
        .values = "real|simulated",
        .fallback = "real",
        .description = "move the process's own break, or one in reserved address space",
        .kind = OPTION_WORD,
        .words = break_words,
        .fixed = true,
        OPTION_MEMBER(struct hmm_options, break_kind),
    },
    {
        .name = "size",
        .values = "SIZE[k|m|g|t]",
        .fallback = "1g",
        .description = "reserve this much address space for a simulated break",
        .kind = OPTION_SIZE,
        .fixed = true,
        OPTION_MEMBER(struct hmm_options, size),
    },
    {
        .name = "deepbind",
        .values = "drop|keep",
        .fallback = "drop",
        .description = "what becomes of RTLD_DEEPBIND in dlopen",
        .kind = OPTION_WORD,
        .words = deepbind_words,
        OPTION_MEMBER(struct hmm_options, deepbind),
    },
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
    bool keeps = hmm_options()->deepbind == HMM_DEEPBIND_KEEP;
    heap_leave(&hmm_heap, locked);
    return keeps;
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
    int error = settings_get(&state, name, value, size);
    heap_leave(&hmm_heap, locked);
    return error;
}

/*
 * The loader may have allocated before there was an environment to be read: those few blocks stay on the real break,
 * and the heap goes on on the one that is asked for.
 */
void hmm_options_begin(char *const *environment) {
    bool locked = heap_enter(&hmm_heap, "start");
    uint32_t was = hmm_options()->break_kind;
    (void)settings_read(&state, environment, false);
    struct program_break brk;
    if (started() && chosen.break_kind != was && hmm_break_reserved(&brk, chosen.size) == 0) {
        hmm_heap_use_break(&hmm_heap, &brk);
    }
    heap_leave(&hmm_heap, locked);
}
