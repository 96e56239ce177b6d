#include "options.h"

#include <unistd.h>

#include "base/fmt.h"
#include "base/options.h"
#include "heap.h"
#include "os/os.h"
#include "region.h"
#include "state.h"

static const char *const break_words[] = {[BREAK_REAL] = "real", [BREAK_SIMULATED] = "simulated", NULL};

static const struct option options[] = {
    {
        .name = "break",
        .values = "real|simulated",
        .fallback = "real",
        .description = "move the process's own break, or one in reserved address space",
        .kind = OPTION_WORD,
        .words = break_words,
        OPTION_MEMBER(struct hmm_options, break_kind),
    },
    {
        .name = "size",
        .values = "SIZE[k|m|g|t]",
        .fallback = "1g",
        .description = "reserve this much address space for a simulated break",
        .kind = OPTION_SIZE,
        OPTION_MEMBER(struct hmm_options, size),
    },
};

static const struct option_table table = {
    .variable = "HMM_OPTIONS",
    .options = options,
    .count = sizeof options / sizeof *options,
};

/* What has been read. Guarded by the heap's lock. */
static struct hmm_options chosen;
static enum { NOTHING, DEFAULTS, ENVIRONMENT } known;

static void complain(const char *line) {
    char buffer[512];
    struct fmt text;
    fmt_init(&text, buffer, sizeof buffer);
    fmt_format(&text, "%s\n", line);
    fmt_flush(&text, STDERR_FILENO);
}

/* Reads the environment once there is one; before the C library's own start the loader may have handed it over. */
static void read_options(char *const *early) {
    if (known == NOTHING) {
        options_init(&table, &chosen);
        known = DEFAULTS;
    }
    if (known == ENVIRONMENT || (early == NULL && !os_environment_ready())) {
        return;
    }
    known = ENVIRONMENT;
    const char *text = os_environment(early, table.variable);
    if (text != NULL) {
        options_parse(&table, &chosen, text, complain);
    }
}

const struct hmm_options *hmm_options(void) {
    read_options(NULL);
    return &chosen;
}

int hmm_option_set(const char *name, const char *value) {
    bool locked = heap_enter("hmm_option_set");
    read_options(NULL);
    struct hmm_options changed = chosen;
    int error = options_set(&table, &changed, name, value);
    if (error == 0 && hmm_heap.brk.move != NULL) {
        error = EBUSY; /* all options shape the heap */
    }
    if (error == 0) {
        chosen = changed;
    }
    heap_leave(locked);
    return error;
}

int hmm_option_get(const char *name, char *value, size_t size) {
    bool locked = heap_enter("hmm_option_get");
    read_options(NULL);
    int error = options_get(&table, &chosen, name, value, size);
    heap_leave(locked);
    return error;
}

/*
 * The loader may have allocated before there was an environment to be read: those few blocks stay on the real break,
 * and the heap goes on on the one that is asked for.
 */
__attribute__((constructor(101))) static void begin(int count, char **arguments, char **environment) {
    (void)count, (void)arguments;
    bool locked = heap_enter("start");
    uint32_t was = hmm_options()->break_kind;
    read_options(os_environment_ready() ? NULL : environment);
    struct program_break brk;
    if (hmm_heap.brk.move != NULL && chosen.break_kind != was && hmm_break_reserved(&brk, chosen.size) == 0 &&
        (uintptr_t)brk.start > (uintptr_t)hmm_heap.end) { /* regions lie in order of address */
        hmm_heap_start(&brk);
    }
    heap_leave(locked);
}
